//! The shell: what is registered, written to the cluster by server-side apply, and taken away again.

use std::fmt;
use std::pin::pin;

use fluxkeep_cluster::reason;
use futures_util::StreamExt;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, WatchParams};
use kube::core::Selector;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::manifest::{Manifest, Reference, is_as, kinds, mend};
use super::{LABELS, NAME};

/// Seconds that a watch lasts: an apiserver ends longer ones itself, five minutes at the earliest.
const WATCHED: u32 = 290;

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was not there.
    Created,
    /// It was there, and different.
    Changed,
    /// It was there as wanted.
    Unchanged,
    /// It was taken away.
    Deleted,
}

impl Done {
    /// Its name in output and metrics.
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

/// Why the cluster could not be brought to what is wanted.
#[derive(Debug, thiserror::Error)]
#[error("{verb} {object}: {reason}{hint}")]
pub struct Error {
    /// What was attempted.
    pub verb: &'static str,
    /// On what.
    pub object: String,
    /// What the apiserver says, or what lies at the bottom of the failed connection.
    pub reason: String,
    /// What may mend it; empty where that is not knowable.
    pub hint: &'static str,
}

/// Where the registration is written to.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    dry_run: bool,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Cluster")
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// With `dry_run` the apiserver checks everything and keeps nothing.
    #[must_use]
    pub fn new(client: Client, dry_run: bool) -> Self {
        Self { client, dry_run }
    }

    /// Brings one object to what is wanted; only reads where it is so.
    ///
    /// # Errors
    /// When the apiserver refuses or cannot be reached.
    pub async fn apply(&self, manifest: &Manifest) -> Result<Done, Error> {
        let live = self.live(&manifest.reference).await?;
        self.write(manifest, live.as_ref()).await
    }

    /// An object as it lives; none where there is none.
    ///
    /// # Errors
    /// As [`Cluster::apply`].
    pub async fn live(&self, reference: &Reference) -> Result<Option<Value>, Error> {
        let live = self.api(reference).get_opt(&reference.name).await;
        let live = live.map_err(|error| failure("reading", reference, &error))?;
        Ok(live.map(|live| json!(live)))
    }

    /// As [`Cluster::apply`], of an object that was read. Writes nothing where somebody wrote it since.
    ///
    /// # Errors
    /// As [`Cluster::apply`].
    pub async fn write(&self, manifest: &Manifest, live: Option<&Value>) -> Result<Done, Error> {
        let Manifest { reference, body } = manifest;
        let api = self.api(reference);
        let failed = |error| failure("writing", reference, &error);
        let Some(live) = live else {
            // The apiserver authorises a create by server-side apply with the object's name.
            let (params, patch) = (self.patch().force(), Patch::Apply(body));
            let applied = api.patch(&reference.name, &params, &patch).await;
            applied.map_err(failed)?;
            return Ok(Done::Created);
        };
        if is_as(body, live) {
            return Ok(Done::Unchanged);
        }
        // Server-side apply would merge lists by name, and leave what others added to them.
        let patch = Patch::Merge(mend(body, live));
        let mended = match api.patch(&reference.name, &self.patch(), &patch).await {
            // Somebody was faster. What came of it is looked at next.
            Err(kube::Error::Api(status)) if status.code == 409 => return Ok(Done::Unchanged),
            mended => mended.map_err(failed)?,
        };
        Ok(if content(live.clone()) == content(json!(mended)) {
            Done::Unchanged
        } else {
            Done::Changed
        })
    }

    /// Takes an object away; one that is gone already is no error.
    ///
    /// # Errors
    /// As [`Cluster::apply`].
    pub async fn delete(&self, reference: &Reference) -> Result<Done, Error> {
        let params = if self.dry_run {
            DeleteParams::default().dry_run()
        } else {
            DeleteParams::default()
        };
        match self.api(reference).delete(&reference.name, &params).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Done::Unchanged),
            deleted => deleted
                .map(|_| Done::Deleted)
                .map_err(|error| failure("deleting", reference, &error)),
        }
    }

    /// What was registered before, by whatever policy, and is not wanted any more. Found by its labels.
    ///
    /// # Errors
    /// As [`Cluster::apply`].
    pub async fn left_over(&self, wanted: &[Manifest]) -> Result<Vec<Reference>, Error> {
        let labelled = ListParams::default().labels_from(&LABELS.into_iter().collect::<Selector>());
        let mut found = Vec::new();
        for resource in kinds() {
            let all = Reference {
                name: String::new(),
                resource,
            };
            let list = self.api(&all).list_metadata(&labelled).await;
            let names = list
                .map_err(|error| failure("listing", &all, &error))?
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

    /// Waits for changes of one object, and tells of each; at once where it is there. Ends where the
    /// apiserver ends the watch or refuses it.
    pub(super) async fn watch(&self, reference: &Reference, changed: &Notify) {
        let only = format!("metadata.name={}", reference.name);
        let params = WatchParams::default().fields(&only).timeout(WATCHED);
        let Ok(events) = self.api(reference).watch_metadata(&params, "0").await else {
            return;
        };
        let mut events = pin!(events);
        while let Some(Ok(_)) = events.next().await {
            changed.notify_one();
        }
    }

    fn api(&self, reference: &Reference) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &reference.resource)
    }

    fn patch(&self) -> PatchParams {
        let params = PatchParams {
            field_manager: Some(NAME.to_owned()),
            ..PatchParams::default()
        };
        if self.dry_run {
            params.dry_run()
        } else {
            params
        }
    }
}

/// An object without what each write moves.
fn content(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| {
            !["generation", "managedFields", "resourceVersion"].contains(&key.as_str())
        });
    }
    object
}

fn failure(verb: &'static str, reference: &Reference, error: &kube::Error) -> Error {
    let code = if let kube::Error::Api(status) = error {
        status.code
    } else {
        0
    };
    let hint = match code {
        0 => "; is the cluster of the kubeconfig reachable?",
        401 => "; the credentials in the kubeconfig have expired",
        403 => "; the user needs the verbs get, watch, create, patch and delete on it",
        404 => "; Kubernetes 1.30 is the first that serves all of it",
        409 => "; another wrote it at the same time: try again",
        _ => "",
    };
    Error {
        verb,
        object: reference.to_string(),
        reason: reason(error),
        hint,
    }
}
