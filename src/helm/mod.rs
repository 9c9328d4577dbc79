//! Helm's concepts: version ranges, releases and release records.

pub mod post_renderer;
pub mod range;
pub mod record;
pub mod release;

use std::fmt;

/// Annotation that makes Helm keep an object on uninstall and upgrade if its value is `keep`.
pub const RESOURCE_POLICY: &str = "helm.sh/resource-policy";
/// Annotation of an object that Helm creates and removes outside the release's manifest.
pub const HOOK: &str = "helm.sh/hook";
/// Label that names the tool which manages an object; `Helm` on a release's objects.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Annotation that names the release which owns an object.
pub const RELEASE_NAME: &str = "meta.helm.sh/release-name";
/// Annotation that names that release's namespace.
pub const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// Longest DNS label, in bytes.
const LONGEST_LABEL: usize = 63;

/// Checks the name of a release or of its namespace by Helm's and Kubernetes' rules.
///
/// # Errors
/// If neither accepts the name: written on an object, it would name no release as owner.
pub fn name(text: &str) -> Result<String, String> {
    if text.split('.').all(is_label) {
        return Ok(text.to_owned());
    }
    Err(
        "use only lower-case letters, digits, - and ., with a letter or digit at both ends"
            .to_owned(),
    )
}

/// True if Helm accepts the name for a release. Source: Helm's `ValidateReleaseName`.
#[must_use]
pub fn is_release_name(text: &str) -> bool {
    text.len() <= release::LONGEST_NAME && text.split('.').all(is_label)
}

/// True if the apiserver accepts the name for a Namespace.
#[must_use]
pub fn is_namespace_name(text: &str) -> bool {
    text.len() <= LONGEST_LABEL && is_label(text)
}

/// True for lower-case letters, digits and `-` with a letter or digit at either end.
fn is_label(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(is_plain) && !text.starts_with('-') && !text.ends_with('-')
}

/// A Helm release by name and namespace, as Helm writes both on its objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// `meta.helm.sh/release-name`.
    pub name: String,
    /// `meta.helm.sh/release-namespace`.
    pub namespace: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_53_bytes_is_a_releases_and_one_of_63_a_namespaces() {
        for (length, is_one) in [(53, true), (54, false)] {
            assert_eq!(is_release_name(&"a".repeat(length)), is_one, "{length}");
        }
        for (length, is_one) in [(63, true), (64, false)] {
            assert_eq!(is_namespace_name(&"a".repeat(length)), is_one, "{length}");
        }
        for no_name in ["", "-a", "a-", "A", "a'", "a\rb", "a_b", "a..b", "\u{e4}"] {
            assert!(!is_release_name(no_name), "{no_name:?}");
            assert!(!is_namespace_name(no_name), "{no_name:?}");
        }
        assert!(is_release_name("a.b-1") && !is_namespace_name("a.b-1"));
    }
}
