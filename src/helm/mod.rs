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
