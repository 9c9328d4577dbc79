//! Helm's words: version ranges, releases and the record that Helm keeps of them.

pub mod post_renderer;
pub mod range;
pub mod record;
pub mod release;

use std::fmt;

/// Says on uninstall and upgrade that Helm leaves the object alone when its value is `keep`.
pub const RESOURCE_POLICY: &str = "helm.sh/resource-policy";
/// Marks an object that Helm creates and removes beside the release.
pub const HOOK: &str = "helm.sh/hook";
/// Names the tool that manages an object; `Helm` on what a release owns.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Names the release that owns an object.
pub const RELEASE_NAME: &str = "meta.helm.sh/release-name";
/// Names the namespace of that release.
pub const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// The name of a release or of its namespace, as Helm and Kubernetes take it.
///
/// # Errors
/// When neither would take it: written on an object, it would make no release its owner.
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

/// A Helm release, by name and namespace, as Helm writes it on what it owns.
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
