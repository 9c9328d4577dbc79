//! Writes registered objects to the cluster and deletes them.

use std::pin::pin;

use fluxkeep_cluster::write::{WriteError, Writer};
use futures_util::StreamExt;
use kube::api::{DynamicObject, ListParams, WatchParams};
use kube::core::{Selector, WatchEvent};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::changes::Changes;
use super::manifest::{Manifest, Reference, is_as, kinds, mend};
use super::{LABELS, NAME};

/// Duration of a watch in seconds. The apiserver itself ends watches after five minutes or later.
const WATCHED: u32 = 290;
/// The resource version of an object of which nothing was seen: a watch begins with what is there.
pub(super) const UNSEEN: &str = "0";

/// The result for an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectChange {
    /// The object did not exist.
    Created,
    /// The object existed and differed.
    Changed,
    /// The object needed no change.
    Unchanged,
    /// The object was deleted.
    Deleted,
}

impl ObjectChange {
    /// The result's name in output and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "configured",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
        }
    }
}

/// The cluster that holds the registration.
#[derive(Debug, Clone)]
pub struct RegistrationClient {
    writer: Writer,
}

impl RegistrationClient {
    /// With `dry_run` the apiserver checks every write and stores nothing.
    #[must_use]
    pub fn new(client: Client, dry_run: bool) -> Self {
        let writer = Writer::new(client, NAME).dry_run(dry_run).hinting(hint);
        Self { writer }
    }

    /// Creates or mends an object; only reads if the object is as wanted.
    ///
    /// # Errors
    /// If the apiserver refuses or cannot be reached.
    pub async fn apply(&self, manifest: &Manifest) -> Result<ObjectChange, WriteError> {
        let live = self.live(&manifest.reference).await?;
        self.write(manifest, live.as_ref()).await
    }

    /// The live object; `None` if it does not exist.
    ///
    /// # Errors
    /// As [`RegistrationClient::apply`].
    pub async fn live(&self, reference: &Reference) -> Result<Option<Value>, WriteError> {
        let live = self.writer.get(&reference.target()).await?;
        Ok(live.map(|live| json!(live)))
    }

    /// As [`RegistrationClient::apply`], for an object that was read. Does nothing if it changed since.
    ///
    /// # Errors
    /// As [`RegistrationClient::apply`].
    pub async fn write(
        &self,
        manifest: &Manifest,
        live: Option<&Value>,
    ) -> Result<ObjectChange, WriteError> {
        let Manifest { reference, body } = manifest;
        let target = reference.target();
        let Some(live) = live else {
            // RBAC checks a create by server-side apply against the object's name.
            self.writer.apply(&target, body).await?;
            return Ok(ObjectChange::Created);
        };
        if is_as(body, live) {
            return Ok(ObjectChange::Unchanged);
        }
        // Server-side apply would merge lists by name and keep additions of others.
        let mended = match self.writer.merge(&target, &mend(body, live)).await {
            // Another writer was faster. The next look sees the result.
            Err(error) if error.is_conflict() => return Ok(ObjectChange::Unchanged),
            mended => mended?,
        };
        Ok(if content(live.clone()) == content(json!(mended)) {
            ObjectChange::Unchanged
        } else {
            ObjectChange::Changed
        })
    }

    /// Writes an annotation of an object that was read. Does nothing if it changed since.
    ///
    /// # Errors
    /// As [`RegistrationClient::apply`].
    pub(super) async fn annotate(
        &self,
        reference: &Reference,
        live: &Value,
        key: &str,
        value: &str,
    ) -> Result<(), WriteError> {
        let version = live.pointer("/metadata/resourceVersion");
        let metadata = json!({"resourceVersion": version, "annotations": {key: value}});
        let patch = json!({"metadata": metadata});
        match self
            .writer
            .merge_metadata(&reference.target(), &patch)
            .await
        {
            Err(error) if !error.is_conflict() => Err(error),
            _ => Ok(()),
        }
    }

    /// Deletes an object; a missing object is no error.
    ///
    /// # Errors
    /// As [`RegistrationClient::apply`].
    pub async fn delete(&self, reference: &Reference) -> Result<ObjectChange, WriteError> {
        let is_deleted = self.writer.delete(&reference.target()).await?;
        Ok(if is_deleted {
            ObjectChange::Deleted
        } else {
            ObjectChange::Unchanged
        })
    }

    /// Registered objects of any earlier policy that are not wanted now, found by their labels.
    ///
    /// # Errors
    /// As [`RegistrationClient::apply`].
    pub async fn left_over(&self, wanted: &[Manifest]) -> Result<Vec<Reference>, WriteError> {
        let labelled = ListParams::default().labels_from(&LABELS.into_iter().collect::<Selector>());
        let mut found = Vec::new();
        for resource in kinds() {
            let all = Reference {
                name: String::new(),
                resource,
            };
            let list = self.api(&all).list_metadata(&labelled).await;
            let names = list
                .map_err(|error| self.writer.failed("listing", &all.to_string(), &error))?
                .items
                .into_iter();
            let names = names.filter_map(|object| object.metadata.name);
            found.extend(names.map(|name| Reference {
                name,
                ..all.clone()
            }));
        }
        found.retain(|reference| {
            wanted
                .iter()
                .all(|manifest| manifest.reference != *reference)
        });
        Ok(found)
    }

    /// Watches an object until the apiserver ends or refuses the watch. Adds the object to `changes` on
    /// each change. `version` is the resource version that was seen last.
    ///
    /// The object is also added if the apiserver knows no such version or refuses the watch, since it
    /// may have changed unseen.
    pub(super) async fn watch(
        &self,
        reference: &Reference,
        version: &mut String,
        changes: &Changes,
    ) {
        let only = format!("metadata.name={}", reference.name);
        let params = WatchParams::default().fields(&only).timeout(WATCHED);
        let api = self.api(reference);
        let opened = api.watch_metadata(&params, version).await;
        if opened.is_err() || version == UNSEEN {
            UNSEEN.clone_into(version);
            changes.add(reference);
        }
        let Ok(events) = opened else { return };
        let mut events = pin!(events);
        while let Some(Ok(event)) = events.next().await {
            let (seen, is_change) = match event {
                WatchEvent::Added(object)
                | WatchEvent::Modified(object)
                | WatchEvent::Deleted(object) => (object.metadata.resource_version, true),
                WatchEvent::Bookmark(mark) => (Some(mark.metadata.resource_version), false),
                WatchEvent::Error(_) => (None, true),
            };
            *version = seen.unwrap_or_else(|| UNSEEN.to_owned());
            if is_change {
                changes.add(reference);
            }
        }
    }

    fn api(&self, reference: &Reference) -> Api<DynamicObject> {
        Api::all_with(self.writer.client().clone(), &reference.resource)
    }
}

/// An object without the metadata that every write changes.
fn content(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| {
            !["generation", "managedFields", "resourceVersion"].contains(&key.as_str())
        });
    }
    object
}

fn hint(code: u16) -> Option<&'static str> {
    match code {
        403 => Some("; the user needs the verbs get, list, watch, create, patch and delete on it"),
        404 => Some("; fluxkeep needs Kubernetes 1.30 or later"),
        _ => None,
    }
}
