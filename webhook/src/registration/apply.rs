//! The shell: what is registered, written to the cluster by server-side apply, and taken away again.

use std::fmt;

use fluxkeep_cluster::reason;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::Selector;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::manifest::{Manifest, Reference, is_as, kinds};
use super::{LABELS, NAME};

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

    /// Brings one object to what is wanted. The apiserver writes nothing where it is so.
    ///
    /// # Errors
    /// When the apiserver refuses or cannot be reached.
    pub async fn apply(&self, manifest: &Manifest) -> Result<Done, Error> {
        let live = self.live(manifest).await?;
        self.write(manifest, live).await
    }

    /// As [`Cluster::apply`], but only reads where nothing that is wanted differs. What an earlier
    /// version of fluxkeep wanted beside that stays.
    ///
    /// # Errors
    /// As [`Cluster::apply`].
    pub async fn put_back(&self, manifest: &Manifest) -> Result<Done, Error> {
        let live = self.live(manifest).await?;
        if live
            .as_ref()
            .is_some_and(|live| is_as(&manifest.body, live))
        {
            return Ok(Done::Unchanged);
        }
        self.write(manifest, live).await
    }

    async fn live(&self, manifest: &Manifest) -> Result<Option<Value>, Error> {
        let live = self
            .api(&manifest.reference)
            .get_opt(&manifest.reference.name)
            .await;
        let live = live.map_err(|error| failure("reading", &manifest.reference, &error))?;
        Ok(live.map(|live| json!(live)))
    }

    async fn write(&self, manifest: &Manifest, live: Option<Value>) -> Result<Done, Error> {
        let (api, name) = (
            self.api(&manifest.reference),
            manifest.reference.name.as_str(),
        );
        let failed = |error| failure("writing", &manifest.reference, &error);
        if let Some(kept) = live
            .as_ref()
            .and_then(|live| without_others(live, &manifest.body))
        {
            api.patch(name, &self.patch(), &Patch::Merge(&kept))
                .await
                .map_err(failed)?;
        }
        let applied = api
            .patch(name, &self.patch().force(), &Patch::Apply(&manifest.body))
            .await
            .map_err(failed)?;
        let Some(live) = live else {
            return Ok(Done::Created);
        };
        Ok(if content(live) == content(json!(applied)) {
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
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Done::Deleted),
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

/// Takes away the webhooks that are no longer wanted. Server-side apply would leave of one, whose
/// certificates another field manager wrote, the name and those: no webhook, and refused.
fn without_others(live: &Value, wanted: &Value) -> Option<Value> {
    let names: Vec<_> = wanted
        .get("webhooks")?
        .as_array()?
        .iter()
        .map(|webhook| webhook.get("name"))
        .collect();
    let webhooks = live.get("webhooks")?.as_array()?;
    let kept: Vec<_> = webhooks
        .iter()
        .filter(|webhook| names.contains(&webhook.get("name")))
        .collect();
    let version = live.pointer("/metadata/resourceVersion");
    (kept.len() < webhooks.len())
        .then(|| json!({"metadata": {"resourceVersion": version}, "webhooks": kept}))
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
        403 => "; the user needs the verbs get, list, create, patch and delete on it",
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
