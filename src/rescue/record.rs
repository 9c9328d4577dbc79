//! Helm's release records as they live in a cluster.

use jiff::Timestamp;
use serde_json::Value;

use crate::flux::engine::Engine;
use crate::helm::Owner;
use crate::helm::record::{self, Chart, Driver};
use crate::manifest::{self, Reading};
use crate::object::Object;

/// Statuses of a record that Helm and helm-controller build upon.
const SOUND: [&str; 2] = ["deployed", "superseded"];
/// Status of an uninstall that did not end.
const UNINSTALLING: &str = "uninstalling";
/// Start of the statuses of an operation that did not end.
const PENDING: &str = "pending-";

/// A release record in a Secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The namespace of the Secret.
    pub stored_in: String,
    /// The name of the Secret.
    pub name: String,
    /// The Helm release.
    pub release: Owner,
    /// Counts installs, upgrades and rollbacks from 1.
    pub revision: u64,
    /// For example `deployed`.
    pub status: String,
    /// The last time at which Helm wrote it.
    pub written: Option<Timestamp>,
    /// The chart. `None` if the record is unreadable.
    pub chart: Option<Chart>,
    /// The objects of the manifest and hooks. `None` if the record is unreadable.
    pub objects: Option<Vec<Object>>,
    /// The whole Secret as it can be created again.
    pub secret: Value,
}

impl Record {
    /// Reads a Secret. `None` if it is no release record.
    #[must_use]
    pub fn of(secret: &Value) -> Option<Self> {
        let label = |key: &str| text(secret, &format!("/metadata/labels/{key}"));
        if label("owner") != "helm" {
            return None;
        }
        let name = text(secret, "/metadata/name");
        let stored_in = text(secret, "/metadata/namespace");
        let data = text(secret, "/data/release");
        let read = record::read(&data, Driver::Secret).ok();
        let home = match &read {
            Some(read) if !read.namespace.is_empty() => read.namespace.clone(),
            _ => stored_in.clone(),
        };
        let release = Owner {
            name: record::release_of(&name)?.to_owned(),
            namespace: home,
        };
        let objects = read.as_ref().and_then(|read| objects(read, &release));
        let written = [label("modifiedAt"), label("createdAt")]
            .iter()
            .find_map(|seconds| Timestamp::from_second(seconds.parse().ok()?).ok());
        Some(Self {
            revision: label("version").parse().unwrap_or_default(),
            status: label("status"),
            written,
            chart: record::chart(&data, Driver::Secret).ok(),
            objects,
            secret: as_created(secret.clone()),
            stored_in,
            name,
            release,
        })
    }

    /// True if neither Helm nor helm-controller can go on from this record.
    #[must_use]
    pub fn is_unsound(&self) -> bool {
        !SOUND.contains(&self.status.as_str())
    }

    /// True if an operation began and did not end.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.status == UNINSTALLING || self.is_pending()
    }

    /// True if an install, upgrade or rollback began and did not end.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.status.starts_with(PENDING)
    }

    /// True if the release holds a part of the engine. An unreadable record may hold anything.
    #[must_use]
    pub fn holds(&self, engine: &Engine) -> bool {
        match &self.objects {
            Some(objects) => objects.iter().any(|object| engine.part(object).is_some()),
            None => false,
        }
    }
}

/// The objects of the manifest and hooks, as Helm applies them.
fn objects(read: &record::Record, release: &Owner) -> Option<Vec<Object>> {
    let reading = Reading {
        namespace: Some(&release.namespace),
        ..Reading::default()
    };
    let mut objects = manifest::read(&read.manifest, reading).ok()?;
    for object in &mut objects {
        object.applied = true;
    }
    for hook in &read.hooks {
        objects.extend(manifest::read(&hook.manifest, reading).ok()?);
    }
    Some(objects)
}

/// The Secret without the fields that a CREATE refuses.
fn as_created(mut secret: Value) -> Value {
    if let Some(metadata) = secret.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["creationTimestamp", "managedFields", "resourceVersion"] {
            metadata.remove(field);
        }
    }
    secret
}

fn text(object: &Value, pointer: &str) -> String {
    let found = object.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default().to_owned()
}
