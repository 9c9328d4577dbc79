//! The engine's objects among whole objects, and the order in which to apply them.

use serde_json::{Map, Value};

use crate::flux::engine::{Engine, IdentifiedBy, MEMBERS};
use crate::flux::runs_controller;
use crate::manifest::read_as;
use crate::object::{Key, Marks, Object, TypeMeta};

/// A stage of applying a point; each stage needs the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The Namespaces.
    Namespaces,
    /// The CRDs, which must be established before their custom resources come back.
    Definitions,
    /// Accounts and rights first, Deployments last.
    Rest,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 3] = [Self::Namespaces, Self::Definitions, Self::Rest];
}

/// The order of kinds within [`Stage::Rest`]: a pod must find its account, its rights and its quota.
const ORDER: [&str; 9] = [
    "ServiceAccount",
    "ResourceQuota",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "NetworkPolicy",
    "Service",
    "Deployment",
];

/// The stage of an object.
#[must_use]
pub fn stage(key: &Key) -> Stage {
    match key.kind.as_str() {
        "Namespace" => Stage::Namespaces,
        "CustomResourceDefinition" => Stage::Definitions,
        _ => Stage::Rest,
    }
}

/// The place of an object in the order of applying.
#[must_use]
pub fn rank(key: &Key) -> (Stage, usize, Key) {
    let place = ORDER.iter().position(|kind| *kind == key.kind);
    (stage(key), place.unwrap_or_default(), key.clone())
}

/// The identity of a whole object.
#[must_use]
pub fn key(object: &Value) -> Key {
    head_of(object).key()
}

/// True if a whole object is part of the engine.
#[must_use]
pub fn belongs(object: &Value, engine: &Engine) -> bool {
    engine.part(&head_of(object)).is_some()
}

/// The object as rules see it, if it is a Deployment that runs a controller.
#[must_use]
pub fn controller(object: &Value) -> Option<Object> {
    let head = TypeMeta {
        api_version: text(object, "/apiVersion"),
        kind: text(object, "/kind"),
    };
    if head.kind != "Deployment" {
        return None;
    }
    let read = read_as(&object.to_string(), head).ok()?;
    runs_controller(&read).then_some(read)
}

/// Adds the namespace to an object of an engine kind that lives in one and names none.
pub(super) fn place(object: &mut Value, namespace: &str) {
    let key = key(object);
    let member = MEMBERS
        .iter()
        .find(|member| member.kind == key.kind && member.group == key.group);
    let is_inside = member.is_some_and(|member| matches!(member.known, IdentifiedBy::Inside(_)));
    if !is_inside || key.namespace.is_some() {
        return;
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("namespace".to_owned(), Value::from(namespace));
    }
}

/// Kind and metadata of a whole object, by which the engine is recognised.
fn head_of(object: &Value) -> Object {
    Object {
        api_version: text(object, "/apiVersion"),
        kind: text(object, "/kind"),
        namespace: Some(text(object, "/metadata/namespace")).filter(|name| !name.is_empty()),
        name: text(object, "/metadata/name"),
        labels: marks(object, "/metadata/labels"),
        annotations: marks(object, "/metadata/annotations"),
        ..Object::default()
    }
}

fn text(object: &Value, pointer: &str) -> String {
    let value = object.pointer(pointer).and_then(Value::as_str);
    value.unwrap_or_default().to_owned()
}

fn marks(object: &Value, pointer: &str) -> Marks {
    let none = Map::new();
    let map = object.pointer(pointer).and_then(Value::as_object);
    let entries = map.unwrap_or(&none).iter();
    entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
