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

/// Checks the name of a release or of its namespace by Helm's and Kubernetes' rules.
///
/// # Errors
/// If neither accepts the name: written on an object, it would name no release as owner.
pub fn name(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(is_plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.split('.').all(is_label) {
        return Ok(text.to_owned());
    }
    Err(
        "give lower-case letters, digits, - and . alone, with a letter or digit at either end"
            .to_owned(),
    )
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
