//! Reads and writes the metadata of the engine's objects, one object at a time.
//!
//! Wanted keys are written by server-side apply: they show fluxkeep as their manager, and a
//! repeated apply changes nothing. Apply cannot remove keys of other managers, so a merge patch
//! with null does. The patch comes first: after an interruption an object has no owner rather than
//! two. Each write names the uid and resourceVersion that the plan saw.

use std::time::Duration;

use fluxkeep::adoption::owners::{Custom, Holder, RECONCILE, Rest};
use fluxkeep::flux::engine::MEMBERS;
use fluxkeep::manifest::read_as;
use fluxkeep::object::{Head, Key, Object};
use fluxkeep_cluster::reason;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::holds::Hold;
use super::plan::Seen;
use super::stamp::{Stamp, Way};

/// The field manager of adoption's writes.
const MANAGER: &str = "fluxkeep-adopt";
/// Half of the apiserver's own limit for a request; these requests take milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// Attempts per object: a competitor that wins this often does not stop.
const TRIES: usize = 5;

/// A cluster whose engine is adopted.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
}

/// The result for an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The object was written.
    Changed,
    /// The object needed no change.
    Unchanged,
    /// The object is gone, or another object took its name.
    Gone,
}

/// The result of moving an object in either direction.
#[derive(Debug, PartialEq, Eq)]
pub struct Moved {
    /// The result.
    pub done: Done,
    /// Keys that another writer changed since; they were left alone.
    pub strange: Vec<String>,
}

/// The reason why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The apiserver refused or was unreachable.
    #[error("{}{}", reason(.0), hint(.0))]
    Refused(kube::Error),
    /// The connection is open but silent.
    #[error("nothing was heard for {} s", PATIENCE.as_secs())]
    Silence,
    /// The kind is none of the engine's.
    #[error("{0} is no kind of the engine")]
    Kind(String),
    /// The answer could not be parsed.
    #[error("the answer is not readable: {0}")]
    Unreadable(String),
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Cluster").finish_non_exhaustive()
    }
}

impl Cluster {
    /// The cluster of a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The live object with all labels and annotations that fluxkeep reads; `None` if it is gone.
    ///
    /// # Errors
    /// If the apiserver refuses or cannot be reached.
    pub async fn see(&self, object: &Object) -> Result<Option<Seen>, Failure> {
        let key = object.key();
        let Some(live) = self.read(&key).await? else {
            return Ok(None);
        };
        let head = Head {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
        };
        let uid = live.uid.clone().unwrap_or_default();
        let managers = managers(&live);
        let object =
            read_as(&json!({"metadata": live}).to_string(), head).map_err(Failure::Unreadable)?;
        Ok(Some(Seen {
            object,
            uid,
            managers,
        }))
    }

    /// The state of an owner that is a custom resource, read in a version that the cluster serves.
    ///
    /// # Errors
    /// As [`Cluster::see`].
    pub async fn hold(
        &self,
        version: Option<&str>,
        custom: Custom,
        holder: &Holder,
    ) -> Result<Hold, Failure> {
        let Some(version) = version else {
            return Ok(Hold::Gone);
        };
        let kind = holder.tool.owns_as;
        let resource = resource(custom.group, version, kind, custom.resource);
        let namespace = holder.namespace.as_deref().unwrap_or_default();
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        let Some(live) = heard(api.get_opt(&holder.name)).await? else {
            return Ok(Hold::Gone);
        };
        Ok(if rests(&live, custom.rests_by) {
            Hold::Suspended
        } else {
            Hold::Applies
        })
    }

    /// Moves an object to one end of its stamp; writes nothing if already there. If another writer
    /// changed a key, an adoption skips the whole object, an undo only that key.
    ///
    /// # Errors
    /// As [`Cluster::see`].
    pub async fn bring(&self, stamp: &Stamp, way: Way) -> Result<Moved, Failure> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.once(stamp, way).await {
                Err(Failure::Refused(kube::Error::Api(status)))
                    if status.code == 409 && tried < TRIES => {}
                ended => return ended,
            }
        }
    }

    async fn once(&self, stamp: &Stamp, way: Way) -> Result<Moved, Failure> {
        let live = self
            .read(&stamp.key())
            .await?
            .filter(|live| live.uid.as_ref() == Some(&stamp.uid));
        let Some(live) = live else {
            return Ok(Moved {
                done: Done::Gone,
                strange: Vec::new(),
            });
        };
        let left = stamp.left(&live, way);
        let strange: Vec<_> = left
            .strange
            .iter()
            .map(|change| change.key.clone())
            .collect();
        if left.todo.is_empty() || way == Way::Adopt && !strange.is_empty() {
            return Ok(Moved {
                done: Done::Unchanged,
                strange,
            });
        }
        match way {
            Way::Undo => self
                .merge(stamp, &Stamp::merge(&live, &left.todo, way))
                .await
                .map(|_| ())?,
            Way::Adopt => {
                let gone: Vec<_> = left
                    .todo
                    .into_iter()
                    .filter(|change| change.is.is_none())
                    .collect();
                let live = if gone.is_empty() {
                    live
                } else {
                    self.merge(stamp, &Stamp::merge(&live, &gone, way)).await?
                };
                self.apply(stamp, &stamp.whole(&live)).await?;
            }
        }
        Ok(Moved {
            done: Done::Changed,
            strange,
        })
    }

    async fn read(&self, key: &Key) -> Result<Option<ObjectMeta>, Failure> {
        let live = heard(self.api(key)?.get_metadata_opt(&key.name)).await?;
        Ok(live.map(|live| live.metadata))
    }

    async fn merge(&self, stamp: &Stamp, patch: &Value) -> Result<ObjectMeta, Failure> {
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let api = self.api(&stamp.key())?;
        Ok(
            heard(api.patch_metadata(&stamp.name, &params, &Patch::Merge(patch)))
                .await?
                .metadata,
        )
    }

    /// Applies with force: the undo file holds the other owner's value.
    async fn apply(
        &self,
        stamp: &Stamp,
        body: &Value,
    ) -> Result<PartialObjectMeta<DynamicObject>, Failure> {
        let (api, params) = (self.api(&stamp.key())?, PatchParams::apply(MANAGER).force());
        heard(api.patch_metadata(&stamp.name, &params, &Patch::Apply(body))).await
    }

    fn api(&self, key: &Key) -> Result<Api<DynamicObject>, Failure> {
        let known = MEMBERS
            .iter()
            .find(|member| member.kind == key.kind && member.group == key.group);
        let member = known.ok_or_else(|| Failure::Kind(key.kind.clone()))?;
        let resource = resource(member.group, "v1", member.kind, member.resource);
        Ok(match &key.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        })
    }
}

/// True if an owner leaves its objects alone, even when deleted.
fn rests(live: &DynamicObject, by: Rest) -> bool {
    match by {
        Rest::Suspend => {
            let suspended = live.data.pointer("/spec/suspend") == Some(&Value::Bool(true));
            suspended && live.metadata.deletion_timestamp.is_none()
        }
        Rest::Annotation => {
            let annotations = live.metadata.annotations.as_ref();
            let value = annotations.and_then(|annotations| annotations.get(RECONCILE));
            value.is_some_and(|value| value.eq_ignore_ascii_case("disabled"))
        }
    }
}

/// Managers that own fields besides Helm and fluxkeep. Owners of only metadata or status do not
/// count, since adoption writes the chart's labels and charts apply no status.
fn managers(live: &ObjectMeta) -> Vec<String> {
    let mut managers = Vec::new();
    for entry in live.managed_fields.iter().flatten() {
        let Some(manager) = &entry.manager else {
            continue;
        };
        let is_own = manager == MANAGER || manager.starts_with("helm");
        let is_status = entry.subresource.as_deref() == Some("status");
        let fields = entry
            .fields_v1
            .as_ref()
            .and_then(|fields| fields.0.as_object());
        let owns_any = fields.is_some_and(|fields| fields.keys().any(|key| key != "f:metadata"));
        if owns_any && !is_own && !is_status && !managers.contains(manager) {
            managers.push(manager.clone());
        }
    }
    managers
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

async fn heard<T>(asked: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    timeout(PATIENCE, asked)
        .await
        .map_err(|_| Failure::Silence)?
        .map_err(Failure::Refused)
}

/// A possible cause or remedy; empty if none is known.
fn hint(error: &kube::Error) -> &'static str {
    let kube::Error::Api(status) = error else {
        return "; is the cluster of the kubeconfig reachable?";
    };
    match status.code {
        401 => "; the credentials in the kubeconfig have expired",
        403 => "; the user needs the verbs get and patch on it",
        409 => "; another writes it all the time",
        _ => "",
    }
}
