//! CustomResourceDefinitions as far as storage goes: versions and storedVersions, never schemas.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

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
    /// `spec.preserveUnknownFields`: taken by the apiserver only where the live definition has it.
    pub preserves_unknown: bool,
    /// `spec.conversion`, of a definition that is written; facts keep none.
    pub conversion: Option<Box<Conversion>>,
}

/// How a CRD's objects are converted between its versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Conversion {
    /// `None` or `Webhook`; absent means nothing is valid.
    pub strategy: Option<String>,
    /// What `Webhook` calls.
    pub webhook: Option<ConversionWebhook>,
}

/// The webhook that converts objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConversionWebhook {
    /// Where it is.
    pub client_config: Option<ClientConfig>,
    /// The versions of the review that it understands; at least one is required.
    pub conversion_review_versions: Option<Vec<String>>,
}

/// Where a conversion webhook is: at a URL or a Service, exactly one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ClientConfig {
    /// A URL outside the cluster.
    pub url: Option<String>,
    /// A Service inside.
    pub service: Option<ServiceReference>,
}

/// A Service by its names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServiceReference {
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its name.
    pub name: Option<String>,
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
    /// Whether it has a `schema`. The schema itself is never read; facts say of every version that it has one.
    #[serde(deserialize_with = "present")]
    pub schema: bool,
}

/// Reads that a key is there, whatever stands under it.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
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

    /// Every version in which objects may lie in etcd, each once: `storedVersions`, and the storage
    /// version, in which every write of now is stored, also where it was taken off that list.
    pub fn held(&self) -> impl Iterator<Item = &str> {
        let listed = self.stored.iter().map(String::as_str);
        listed.chain(self.unlisted())
    }

    /// The storage version, if `storedVersions` lacks it: what a wrong prune leaves. The apiserver itself
    /// lists it at each write of the definition's storage.
    #[must_use]
    pub fn unlisted(&self) -> Option<&str> {
        self.storage()
            .filter(|storage| !self.stored.iter().any(|stored| stored == storage))
    }

    /// The place of a version in `spec.versions`, from 0.
    #[must_use]
    pub fn place(&self, version: &str) -> Option<usize> {
        self.versions.iter().position(|offer| offer.name == version)
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

/// The versions in which the cluster holds objects and that a new definition lacks. The apiserver
/// refuses the update where one is in `storedVersions`: seen to agree with its answer in every case of
/// the storage matrix. It accepts a new definition without the live storage version where somebody
/// took that off the list, and every object is unreadable from then on.
pub fn dropped<'a>(live: &'a Definition, new: &'a Definition) -> impl Iterator<Item = &'a str> {
    live.held().filter(|version| !new.offers(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(versions: &[&str], storage: &str, stored: &[&str]) -> Definition {
        let version = |name: &&str| Version {
            name: (*name).to_owned(),
            served: true,
            storage: *name == storage,
            schema: true,
        };
        Definition {
            versions: versions.iter().map(version).collect(),
            stored: stored.iter().map(|name| (*name).to_owned()).collect(),
            ..Definition::default()
        }
    }

    #[test]
    fn the_live_storage_version_counts_as_stored_also_where_it_was_taken_off_the_list() {
        let live = definition(&["v1", "v1beta2"], "v1beta2", &["v1"]);
        assert_eq!(live.held().collect::<Vec<_>>(), ["v1", "v1beta2"]);
        let new = definition(&["v1"], "v1", &[]);
        assert_eq!(dropped(&live, &new).collect::<Vec<_>>(), ["v1beta2"]);
        assert_eq!(dropped(&live, &live).count(), 0);
    }
}
