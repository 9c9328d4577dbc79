//! CustomResourceDefinitions for questions of storage: versions and storedVersions, no schemas.

pub mod kube_version;
pub mod migration;

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

use crate::walks::counted;

/// The kept part of a CustomResourceDefinition (`apiextensions.k8s.io/v1`), ~200 bytes.
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
    /// `spec.versions`, in written order.
    pub versions: Vec<Version>,
    /// `status.storedVersions`: every version in which etcd may hold objects.
    pub stored: Vec<String>,
    /// `spec.preserveUnknownFields`: the apiserver accepts `true` only if the live CRD has it.
    pub preserves_unknown: bool,
    /// `spec.conversion` of a written CRD; facts keep none.
    pub conversion: Option<Box<Conversion>>,
    /// The conditions of `status.conditions` by which the apiserver serves the CRD's objects; facts
    /// keep none.
    pub conditions: Conditions,
}

/// The conditions by which the apiserver serves a CRD's objects; each is true if its status is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `Established`: discovery lists the resource.
    pub established: bool,
    /// `NamesAccepted`: no other CRD has the same names.
    pub names_accepted: bool,
    /// `Terminating`: the CRD is being deleted, and takes no new objects.
    pub terminating: bool,
}

/// The conversion of a CRD's objects between its versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Conversion {
    /// `None` or `Webhook`; an absent strategy is invalid.
    pub strategy: Option<String>,
    /// The webhook that strategy `Webhook` calls.
    pub webhook: Option<ConversionWebhook>,
}

/// The webhook that converts objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConversionWebhook {
    /// The webhook's address.
    pub client_config: Option<ClientConfig>,
    /// The review versions that the webhook understands; at least one is required.
    pub conversion_review_versions: Option<Vec<String>>,
}

/// The address of a conversion webhook: exactly one of URL and Service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ClientConfig {
    /// A URL outside the cluster.
    pub url: Option<String>,
    /// A Service inside the cluster.
    pub service: Option<ServiceReference>,
}

/// A Service by namespace and name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServiceReference {
    /// The Service's namespace.
    pub namespace: Option<String>,
    /// The Service's name.
    pub name: Option<String>,
}

/// An entry of `spec.versions`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Version {
    /// For example `v1beta2`.
    pub name: String,
    /// True if the apiserver serves this version.
    pub served: bool,
    /// True if new objects are stored in this version; true for exactly one version.
    pub storage: bool,
    /// The fields that its schema keeps. Always [`Schema::Full`] in facts.
    pub schema: Schema,
    /// True if `subresources.status` is present, through which controllers write their status.
    #[serde(rename = "subresources", deserialize_with = "has_status")]
    pub status: bool,
}

/// The schema of a version, `schema.openAPIV3Schema`, as far as it is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "SchemaWire")]
pub enum Schema {
    /// The version has none.
    #[default]
    Missing,
    /// It names no field: the apiserver drops every field of an object but its metadata.
    Empty,
    /// It names fields. The apiserver drops every field that the schema does not name.
    Named {
        /// True if `spec` is named.
        spec: bool,
        /// True if `status` is named.
        status: bool,
    },
    /// It keeps fields whatever their names.
    Full,
}

impl Schema {
    /// The fields of an object that this schema keeps and a later schema drops: `spec`, `status`.
    /// A schema that keeps everything proves no `status`: some kinds of Flux have none.
    #[must_use]
    pub fn lost(self, later: Self) -> Vec<&'static str> {
        if self == Self::Missing || later == Self::Missing {
            return Vec::new();
        }
        let was = match self {
            Self::Full => [true, false],
            other => other.keeps(),
        };
        let now = later.keeps();
        let mut lost = Vec::new();
        for (field, (was, now)) in ["spec", "status"].into_iter().zip(was.into_iter().zip(now)) {
            if was && !now {
                lost.push(field);
            }
        }
        lost
    }

    /// True if the schema keeps `spec`, and if it keeps `status`.
    fn keeps(self) -> [bool; 2] {
        match self {
            Self::Missing | Self::Empty => [false, false],
            Self::Named { spec, status } => [spec, status],
            Self::Full => [true, true],
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SchemaWire {
    #[serde(rename = "openAPIV3Schema")]
    content: Option<SchemaContent>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SchemaContent {
    properties: Option<SchemaFields>,
    additional_properties: Option<IgnoredAny>,
    #[serde(rename = "x-kubernetes-preserve-unknown-fields")]
    preserves: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SchemaFields {
    spec: Option<IgnoredAny>,
    status: Option<IgnoredAny>,
}

impl From<SchemaWire> for Schema {
    fn from(wire: SchemaWire) -> Self {
        let Some(content) = wire.content else {
            return Self::Missing;
        };
        if content.additional_properties.is_some() || content.preserves == Some(true) {
            return Self::Full;
        }
        match content.properties {
            Some(fields) => Self::Named {
                spec: fields.spec.is_some(),
                status: fields.status.is_some(),
            },
            None => Self::Empty,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Subresources {
    status: Option<IgnoredAny>,
}

fn has_status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Subresources::deserialize(deserializer).map(|found| found.status.is_some())
}

impl Definition {
    /// True if `spec.versions` has this version, served or not.
    #[must_use]
    pub fn offers(&self, version: &str) -> bool {
        counted(self.versions.iter()).any(|offer| offer.name == version)
    }

    /// True if `spec.versions` has this version and serves it.
    #[must_use]
    pub fn serves(&self, version: &str) -> bool {
        counted(self.versions.iter()).any(|offer| offer.name == version && offer.served)
    }

    /// The version in which new objects are stored.
    #[must_use]
    pub fn storage(&self) -> Option<&str> {
        counted(self.versions.iter())
            .find(|offer| offer.storage)
            .map(|offer| offer.name.as_str())
    }

    /// Every version in which etcd may hold objects, each once: `storedVersions` and the storage
    /// version. New objects use the storage version even if it was taken off that list.
    pub fn held(&self) -> impl Iterator<Item = &str> {
        let listed = self.stored.iter().map(String::as_str);
        listed.chain(self.unlisted())
    }

    /// The storage version, if a wrong prune took it off `storedVersions`. The apiserver itself
    /// lists it at each write of the CRD's spec.
    #[must_use]
    pub fn unlisted(&self) -> Option<&str> {
        self.storage()
            .filter(|storage| !counted(self.stored.iter()).any(|stored| stored == storage))
    }

    /// The names of all served versions. A caller that asks for many versions builds this set once.
    #[must_use]
    pub fn served(&self) -> BTreeSet<&str> {
        let served = counted(self.versions.iter()).filter(|offer| offer.served);
        served.map(|offer| offer.name.as_str()).collect()
    }

    /// The names of all versions in `spec.versions`, for callers that ask for many.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        let versions = counted(self.versions.iter());
        versions.map(|offer| offer.name.as_str()).collect()
    }

    /// The index of a version in `spec.versions`, from 0.
    #[must_use]
    pub fn place(&self, version: &str) -> Option<usize> {
        counted(self.versions.iter()).position(|offer| offer.name == version)
    }

    /// The names in `spec.versions`, for messages: `v1, v1beta2`, or `no version at all`.
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
/// refuses the update if `storedVersions` has a dropped version, as every case of the storage
/// matrix shows. After a prune of the live storage version, the apiserver accepts a definition
/// without that version. Every object then becomes unreadable.
pub fn dropped<'a>(live: &'a Definition, new: &'a Definition) -> impl Iterator<Item = &'a str> {
    let offered = new.names();
    live.held()
        .filter(move |version| !offered.contains(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(versions: &[&str], storage: &str, stored: &[&str]) -> Definition {
        let version = |name: &&str| Version {
            name: (*name).to_owned(),
            served: true,
            storage: *name == storage,
            schema: Schema::Full,
            status: true,
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
