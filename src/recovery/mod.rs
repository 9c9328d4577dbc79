//! Recovery points: what is needed to bring a lost engine back.
//!
//! A [`Point`] holds the engine's objects as they are applied, CRDs with their schemas. It holds no
//! Secret, no status and nothing that the apiserver writes. Objects with equal content have equal
//! digests, whoever took the point.
//!
//! Servers keep points in ConfigMaps ([`store`]); `fluxkeep snapshot --recovery` writes one to a
//! file. Both have the same bytes ([`encoding`]).

mod availability;
pub mod difference;
pub mod encoding;
mod member;
mod quantity;
pub mod store;
mod strip;

#[cfg(test)]
mod tests;

pub use availability::unavailable;
pub use difference::{Difference, Field, How, difference, difference_of};
pub use encoding::{Encoder, MOST_PART, PointPart, verify};
pub use member::{Stage, belongs, controller, key, rank, stage};
pub use strip::stripped;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::adoption::owners;
use crate::flux::Flux;
use crate::flux::engine::Engine;
use crate::object::{Key, Object};
use crate::yaml::{Unread, values};

/// The format of points that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;
/// Characters of a digest in messages.
const SHORT: usize = 12;

/// A recovery point.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The origin of the objects.
    pub head: Head,
    objects: Vec<Value>,
}

/// The origin of a point's objects; the first line of an encoded point.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Head {
    /// The format, from 1.
    pub format: u32,
    /// The engine's namespace.
    pub namespace: String,
    /// The release of Flux, for example `2.4.0`. `None` if the images do not tell one.
    pub flux: Option<String>,
    /// The owner of the controllers, for example `Helm release flux-system/flux`.
    pub owner: Option<String>,
    /// The uid of the Namespace `kube-system`. `None` for a manifest.
    pub cluster: Option<String>,
    /// The time at which the objects were read. `None` for a manifest.
    #[serde(with = "time")]
    pub taken: Option<Timestamp>,
    /// The names of the controllers' Deployments, in order.
    pub controllers: Vec<String>,
    /// The number of objects.
    pub objects: usize,
    /// SHA-256 of the objects, in hex.
    pub digest: String,
}

/// The reason why a point, or what should become one, is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The bytes are no point.
    #[error("it is no recovery point ({0}); `fluxkeep snapshot --recovery FILE` writes one")]
    NotAPoint(&'static str),
    /// The bytes end early, or were changed.
    #[error("the recovery point is spoilt ({0}); take another one")]
    Spoilt(&'static str),
    /// A newer fluxkeep wrote the point.
    #[error(
        "the recovery point has format {0}, this fluxkeep reads format {FORMAT}; use a newer fluxkeep"
    )]
    Newer(u32),
    /// The point needs too much memory.
    #[error("the recovery point has more than {0} bytes; take another one")]
    TooLarge(u64),
    /// The point would apply a part of something else.
    #[error("the recovery point holds {0}, which is no part of Flux; take another one")]
    Foreign(Key),
    /// The point is of another engine.
    #[error(
        "the recovery point is of the Flux in namespace {of}, not {wanted}; add --namespace {of}"
    )]
    OtherEngine {
        /// The point's namespace.
        of: String,
        /// The wanted namespace.
        wanted: String,
    },
    /// The point is of another cluster.
    #[error(
        "the recovery point is of another cluster (its Namespace kube-system has uid {of}, here it is \
         {wanted}); check --context, or take the install.yaml of the Flux that ran here"
    )]
    OtherCluster {
        /// The point's cluster.
        of: String,
        /// The cluster at hand.
        wanted: String,
    },
    /// A document of the manifest is unreadable.
    #[error("the manifest is unreadable at {0}; correct it")]
    Unreadable(Unread),
    /// The objects would bring no controller back.
    #[error(
        "there is no controller of Flux in namespace {0}; name the namespace of Flux with --namespace"
    )]
    NoController(String),
}

/// A point made of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct FromManifest {
    /// The point; it has no cluster and no time.
    pub point: Point,
    /// The manifest's objects that are no part of the engine, for example a GitRepository.
    pub left_out: Vec<Key>,
}

/// The place and time of reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The uid of the Namespace `kube-system`.
    pub cluster: String,
    /// The time of reading.
    pub taken: Timestamp,
}

impl Point {
    /// A point of the engine's objects among `objects`. Strangers and Secrets are left out.
    ///
    /// # Errors
    /// If no controller is among the objects.
    pub fn of(
        objects: Vec<Value>,
        engine: &Engine,
        reading: Option<Reading>,
    ) -> Result<Self, Unusable> {
        let namespace = engine.namespaces.first().cloned().unwrap_or_default();
        let mut objects: Vec<Value> = objects
            .into_iter()
            .filter(|object| belongs(object, engine))
            .map(stripped)
            .collect();
        objects.sort_by_cached_key(|object| rank(&key(object)));
        objects.dedup_by(|later, kept| key(later) == key(kept));
        let seen: Vec<Object> = objects.iter().filter_map(controller).collect();
        if seen.is_empty() {
            return Err(Unusable::NoController(namespace));
        }
        let mut head = Head {
            namespace,
            ..Head::of(&seen, engine)
        };
        if let Some(reading) = reading {
            head.cluster = Some(reading.cluster);
            head.taken = Some(reading.taken);
        }
        let (head, _) = encoding::encode(head, &objects);
        Ok(Self { head, objects })
    }

    /// A point of a manifest such as an `install.yaml`. Objects without a namespace belong to the
    /// engine's.
    ///
    /// # Errors
    /// If the manifest is unreadable or holds no controller of this engine.
    pub fn from_manifest(text: &str, engine: &Engine) -> Result<FromManifest, Unusable> {
        let namespace = engine.namespaces.first().map_or("", String::as_str);
        let mut objects = Vec::new();
        for document in values(text).map_err(Unusable::Unreadable)? {
            flatten(document, &mut objects);
        }
        for object in &mut objects {
            member::place(object, namespace);
        }
        let strangers = objects.iter().filter(|object| !belongs(object, engine));
        let left_out = strangers.map(key).collect();
        let point = Self::of(objects, engine, None)?;
        Ok(FromManifest { point, left_out })
    }

    /// Reads a point from the bytes of a file, or from a server's parts in their order.
    ///
    /// # Errors
    /// If the bytes are no point, are spoilt or of a newer format, or hold a stranger's object.
    pub fn decode<P: AsRef<[u8]>>(parts: &[P]) -> Result<Self, Unusable> {
        let (head, objects) = encoding::decode(parts)?;
        let engine = Engine {
            namespaces: vec![head.namespace.clone()],
            ..Engine::default()
        };
        for object in &objects {
            if !belongs(object, &engine) {
                return Err(Unusable::Foreign(key(object)));
            }
        }
        Ok(Self { head, objects })
    }

    /// The parts of the encoded point, each of at most [`MOST_PART`] bytes. One behind the other
    /// they are the content of a file.
    #[must_use]
    pub fn encode(&self) -> Vec<PointPart> {
        let (_, bytes) = encoding::encode(self.head.clone(), &self.objects);
        encoding::parts(&bytes)
    }

    /// Checks that the point is of this engine and this cluster.
    ///
    /// # Errors
    /// If the point is of another one. A manifest's point has no cluster and fits any.
    pub fn fits(&self, namespace: &str, cluster: &str) -> Result<(), Unusable> {
        if self.head.namespace != namespace {
            return Err(Unusable::OtherEngine {
                of: self.head.namespace.clone(),
                wanted: namespace.to_owned(),
            });
        }
        match &self.head.cluster {
            Some(of) if of != cluster => Err(Unusable::OtherCluster {
                of: of.clone(),
                wanted: cluster.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// The objects in the order in which to apply them.
    #[must_use]
    pub fn objects(&self) -> &[Value] {
        &self.objects
    }

    /// The objects of each stage, in the order in which to apply them.
    pub fn stages(&self) -> impl Iterator<Item = (Stage, Vec<&Value>)> {
        Stage::ALL.into_iter().map(|wanted| {
            let objects = self.objects.iter();
            let same = objects.filter(|object| stage(&key(object)) == wanted);
            (wanted, same.collect())
        })
    }

    /// The keys of the objects, in the same order.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.objects.iter().map(key).collect()
    }
}

impl Head {
    /// The release, the owner and the names of these controllers.
    #[must_use]
    pub fn of(controllers: &[Object], engine: &Engine) -> Self {
        let flux = Flux::of(controllers, &engine.catalogue);
        let release = flux.and_then(|flux| match flux.versions.as_slice() {
            [only] => Some(only.to_string()),
            _ => None,
        });
        let mut names: Vec<String> = controllers.iter().map(|one| one.name.clone()).collect();
        names.sort();
        names.dedup();
        let holder = controllers.iter().find_map(owners::holder);
        Self {
            format: FORMAT,
            flux: release,
            owner: holder.map(|holder| holder.to_string()),
            controllers: names,
            ..Self::default()
        }
    }
}

impl fmt::Display for Head {
    /// `Flux 2.4.0 in flux-system, 44 objects, taken …, of Helm release a/b, digest …`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flux = self.flux.as_deref().unwrap_or("of unknown version");
        write!(
            out,
            "Flux {flux} in {}, {} objects",
            self.namespace, self.objects
        )?;
        if let Some(taken) = self.taken {
            write!(out, ", taken {taken:.0}")?;
        }
        if let Some(owner) = &self.owner {
            write!(out, ", of {owner}")?;
        }
        write!(
            out,
            ", digest {}",
            self.digest.get(..SHORT).unwrap_or_default()
        )
    }
}

/// Adds a document's object, or the items of a list.
fn flatten(mut document: Value, objects: &mut Vec<Value>) {
    let kind = document.get("kind").and_then(Value::as_str);
    let is_list = kind.is_some_and(|kind| kind.ends_with("List"));
    match document.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if is_list => objects.extend(items),
        _ if kind_of(&document) => objects.push(document),
        _ => {}
    }
}

/// True for a document that is an object: kubectl refuses others.
fn kind_of(document: &Value) -> bool {
    document.get("kind").is_some_and(Value::is_string)
}

/// RFC 3339, to the second.
mod time {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.collect_str(&format_args!("{time:.0}")),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom))
            .transpose()
    }
}
