//! CustomResourceDefinitions as far as storage goes: versions and storedVersions, never schemas.

use serde::Deserialize;

/// What fluxkeep knows of one CustomResourceDefinition (`apiextensions.k8s.io/v1`), ~200 bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definition {
    /// `spec.group`.
    pub group: String,
    /// `spec.names.kind`.
    pub kind: String,
    /// `spec.names.plural`.
    pub plural: String,
    /// `spec.scope`: `Namespaced` or `Cluster`.
    pub scope: String,
    /// `spec.versions`, in the order in which they are written.
    pub versions: Vec<Version>,
    /// `status.storedVersions`: every version in which objects may lie in etcd.
    pub stored: Vec<String>,
}

/// One entry of `spec.versions`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Version {
    /// For example `v1beta2`.
    pub name: String,
    /// Whether the apiserver answers requests in this version.
    pub served: bool,
    /// Whether new objects are written in this version; true for exactly one.
    pub storage: bool,
}

impl Definition {
    /// Whether `version` is one of `spec.versions`, served or not.
    #[must_use]
    pub fn offers(&self, version: &str) -> bool {
        self.versions.iter().any(|offer| offer.name == version)
    }

    /// Whether `version` is one of `spec.versions` and served.
    #[must_use]
    pub fn serves(&self, version: &str) -> bool {
        self.versions
            .iter()
            .any(|offer| offer.name == version && offer.served)
    }

    /// The version in which new objects are written.
    #[must_use]
    pub fn storage(&self) -> Option<&str> {
        self.versions
            .iter()
            .find(|offer| offer.storage)
            .map(|offer| offer.name.as_str())
    }

    /// The names of `spec.versions`, for messages: `v1, v1beta2`, or `no version at all`.
    #[must_use]
    pub fn offered(&self) -> String {
        if self.versions.is_empty() {
            return "no version at all".to_owned();
        }
        self.versions
            .iter()
            .map(|offer| offer.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// The stored versions that an offer lacks. The apiserver refuses the update exactly when there is
/// one: seen to agree with its answer in every case of the storage matrix.
pub fn dropped<'a>(
    stored: &'a [String],
    offer: &'a Definition,
) -> impl Iterator<Item = &'a str> + 'a {
    stored
        .iter()
        .map(String::as_str)
        .filter(|version| !offer.offers(version))
}
