//! Takes recovery points of a cluster, and keeps them in ConfigMaps.
//!
//! Objects are read one by one and packed at once, so a point costs the memory of its largest
//! object. Several servers may keep the same points: each write names the version of the ConfigMap
//! that it replaces, so the later of two writers is refused.

use std::collections::BTreeSet;

use fluxkeep::case::facts::Facts;
use fluxkeep::flux::engine::{Engine, MEMBERS};
use fluxkeep::object::{Key, Object};
use fluxkeep::recovery::store::{KEPT, LABEL, MOST_PARTS, Slot, config_map, name, part_of};
use fluxkeep::recovery::{
    Encoder, Head, MOST_PART, PointPart, Reading, Unusable, belongs, controller, rank, stripped,
    unavailable, verify,
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, ResourceExt};
use serde_json::{Map, Value};

use crate::write::{Target, WriteError, Writer};

/// The Namespace that exists as long as the cluster.
const OLDEST: &str = "kube-system";

/// A point that was just taken.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The origin of the objects.
    pub head: Head,
    /// The encoded point.
    pub bytes: Vec<u8>,
    /// Signs that the engine is changing or not well, for example `Deployment a/b: it is scaled to
    /// zero`.
    pub troubles: Vec<String>,
}

/// A slot in a cluster.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The namespace of the ConfigMaps.
    pub kept_in: String,
    /// The slot's number, from 1.
    pub number: usize,
    /// The content of the slot.
    pub slot: Slot,
    /// The bytes of a good point.
    pub parts: Vec<PointPart>,
    /// The resource versions of the ConfigMaps that exist.
    versions: Vec<Option<String>>,
}

impl Stored {
    /// The first ConfigMap, as `namespace/name`.
    #[must_use]
    pub fn name(&self, namespace: &str) -> String {
        format!("{}/{}", self.kept_in, name(namespace, self.number, 1))
    }

    /// The head of a good point.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        match &self.slot {
            Slot::Good(head) => Some(head),
            Slot::Empty | Slot::Bad(_) => None,
        }
    }
}

/// The uid of the Namespace `kube-system`, which identifies the cluster.
///
/// # Errors
/// If the Namespace cannot be read.
pub async fn cluster_id(writer: &Writer) -> Result<String, WriteError> {
    let oldest = Target {
        resource: ApiResource::erase::<Namespace>(&()),
        namespace: None,
        name: OLDEST.to_owned(),
    };
    let metadata = writer.metadata(&oldest).await?;
    Ok(metadata
        .and_then(|metadata| metadata.uid)
        .unwrap_or_default())
}

/// The place of an object of the engine in the cluster. `None` for another kind.
#[must_use]
pub fn target(object: &Key) -> Option<Target> {
    let same = |member: &&fluxkeep::flux::engine::EngineKind| {
        member.kind == object.kind && member.group == object.group
    };
    let member = MEMBERS.iter().find(same)?;
    let kind = GroupVersionKind::gvk(member.group, "v1", member.kind);
    Some(Target {
        resource: ApiResource::from_gvk_with_plural(&kind, member.resource),
        namespace: object.namespace.clone(),
        name: object.name.clone(),
    })
}

/// Reads an object of the engine whole. `None` if it does not exist.
///
/// # Errors
/// If the apiserver refuses or is unreachable.
pub async fn read(writer: &Writer, object: &Key) -> Result<Option<Value>, WriteError> {
    let Some(target) = target(object) else {
        return Ok(None);
    };
    let live = writer.get(&target).await?;
    Ok(live.map(whole))
}

/// The object as one value, without a copy of its body.
fn whole(live: DynamicObject) -> Value {
    let mut object = match live.data {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    if let Some(types) = live.types {
        object.insert("apiVersion".to_owned(), Value::from(types.api_version));
        object.insert("kind".to_owned(), Value::from(types.kind));
    }
    // Metadata is strings, numbers, lists and maps, which always serialize.
    let metadata = serde_json::to_value(live.metadata).unwrap_or_default();
    object.insert("metadata".to_owned(), metadata);
    Value::Object(object)
}

/// The keys of the engine's objects, in the order in which they are applied.
#[must_use]
pub fn keys(facts: &Facts, engine: &Engine) -> Vec<Key> {
    let mut keys: Vec<Key> = facts.engine(engine).map(Object::key).collect();
    keys.sort_by_cached_key(rank);
    keys
}

/// Takes a point of the engine's objects with these keys, which come in the order of [`keys`].
///
/// # Errors
/// If an object cannot be read. The inner error tells if no controller is among the objects.
pub async fn take(
    writer: &Writer,
    keys: &[Key],
    engine: &Engine,
    reading: Reading,
) -> Result<Result<Taken, Unusable>, WriteError> {
    let mut taking = Taking::default();
    for key in keys {
        match read(writer, key).await? {
            Some(live) => taking.add(key, live, engine),
            None => taking
                .troubles
                .push(format!("{key}: it does not exist any more")),
        }
    }
    Ok(taking.finish(engine, reading))
}

/// A point that is being taken.
#[derive(Default)]
struct Taking {
    encoder: Encoder,
    controllers: Vec<Object>,
    troubles: Vec<String>,
}

impl Taking {
    fn add(&mut self, key: &Key, live: Value, engine: &Engine) {
        if !belongs(&live, engine) {
            return;
        }
        if live.pointer("/metadata/deletionTimestamp").is_some() {
            self.troubles.push(format!("{key}: it is being deleted"));
        }
        if let Some(controller) = controller(&live) {
            let why = unavailable(&live);
            self.troubles.extend(why.map(|why| format!("{key}: {why}")));
            self.controllers.push(controller);
        }
        self.encoder.push(&stripped(live));
    }

    fn finish(self, engine: &Engine, reading: Reading) -> Result<Taken, Unusable> {
        let namespace = engine.namespaces.first().cloned().unwrap_or_default();
        if self.controllers.is_empty() {
            return Err(Unusable::NoController(namespace));
        }
        let head = Head {
            namespace,
            cluster: Some(reading.cluster),
            taken: Some(reading.taken),
            ..Head::of(&self.controllers, engine)
        };
        let (head, bytes) = self.encoder.finish(head);
        Ok(Taken {
            head,
            bytes,
            troubles: self.troubles,
        })
    }
}

/// The slots of an engine's points, in their order. `kept_in` is the namespace of fluxkeep; `None`
/// looks for points in all namespaces, and gives no empty slots.
///
/// # Errors
/// If a ConfigMap cannot be read.
pub async fn stored(
    writer: &Writer,
    kept_in: Option<&str>,
    namespace: &str,
) -> Result<Vec<Stored>, WriteError> {
    if let Some(kept_in) = kept_in {
        return slots(writer, kept_in, namespace).await;
    }
    let mut stored = Vec::new();
    for kept_in in keepers(writer, namespace).await? {
        stored.extend(slots(writer, &kept_in, namespace).await?);
    }
    stored.retain(|stored| stored.slot != Slot::Empty);
    Ok(stored)
}

/// The namespaces with points of an engine.
async fn keepers(writer: &Writer, namespace: &str) -> Result<BTreeSet<String>, WriteError> {
    let maps = Api::<ConfigMap>::all(writer.client().clone());
    let labelled = ListParams::default().labels(&format!("{LABEL}={namespace}"));
    let listed = maps.list_metadata(&labelled).await;
    let listed = listed.map_err(|error| writer.failed("listing", "ConfigMaps", &error))?;
    let namespaces = listed.items.iter().filter_map(ResourceExt::namespace);
    Ok(namespaces.collect())
}

async fn slots(writer: &Writer, kept_in: &str, namespace: &str) -> Result<Vec<Stored>, WriteError> {
    let mut slots = Vec::new();
    for number in 1..=KEPT {
        slots.push(slot(writer, kept_in, namespace, number).await?);
    }
    Ok(slots)
}

async fn slot(
    writer: &Writer,
    kept_in: &str,
    namespace: &str,
    number: usize,
) -> Result<Stored, WriteError> {
    let mut stored = Stored {
        kept_in: kept_in.to_owned(),
        number,
        slot: Slot::Empty,
        parts: Vec::new(),
        versions: Vec::new(),
    };
    let mut wanted = 1;
    while stored.versions.len() < wanted {
        let part = stored.versions.len() + 1;
        let live = writer
            .get(&map(kept_in, &name(namespace, number, part)))
            .await?;
        let Some(live) = live else {
            stored.versions.push(None);
            continue;
        };
        stored.versions.push(live.metadata.resource_version.clone());
        if let Some((bytes, parts)) = part_of(&whole(live)) {
            stored.parts.push(bytes);
            wanted = parts.min(MOST_PARTS);
        }
    }
    if stored.versions.first().is_some_and(Option::is_some) {
        stored.slot = match verify(&stored.parts) {
            Ok(head) if head.namespace == namespace => Slot::Good(head),
            Ok(head) => Slot::Bad(Unusable::OtherEngine {
                of: head.namespace,
                wanted: namespace.to_owned(),
            }),
            Err(why) => Slot::Bad(why),
        };
    }
    Ok(stored)
}

/// Writes a point into a slot. The first part comes last: it tells the number of parts.
///
/// # Errors
/// A conflict if another writer was faster. The inner error tells of a point that is too large.
pub async fn store(
    writer: &Writer,
    slot: &Stored,
    taken: &Taken,
) -> Result<Result<(), Unusable>, WriteError> {
    let parts: Vec<&[u8]> = taken.bytes.chunks(MOST_PART).collect();
    if parts.len() > MOST_PARTS {
        let most = u64::try_from(MOST_PART * MOST_PARTS).unwrap_or(u64::MAX);
        return Ok(Err(Unusable::TooLarge(most)));
    }
    let all = parts.len();
    for (place, bytes) in parts.into_iter().enumerate().rev() {
        let mut body = config_map(
            &slot.kept_in,
            &taken.head,
            slot.number,
            (place + 1, all),
            bytes,
        );
        if let Some(Some(version)) = slot.versions.get(place)
            && let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.insert("resourceVersion".to_owned(), Value::from(version.as_str()));
        }
        let name = name(&taken.head.namespace, slot.number, place + 1);
        writer.apply(&map(&slot.kept_in, &name), &body).await?;
    }
    Ok(Ok(()))
}

fn map(namespace: &str, name: &str) -> Target {
    Target {
        resource: ApiResource::erase::<ConfigMap>(&()),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    }
}
