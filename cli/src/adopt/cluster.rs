//! The shell: metadata of the engine's objects, read and written one object at a time.
//!
//! What is to stand is written by server-side apply: it is visible as fluxkeep's, and repeated it changes
//! nothing. What has to go cannot be: an apply takes away only what the same field manager applied
//! earlier, and another tool wrote these. So that is a merge patch with null, and it comes first: cut off
//! between the two, an object is nobody's, and not of two owners. Each write names the uid and the version
//! that it was planned by.

use std::time::Duration;

use fluxkeep::engine::MEMBERS;
use fluxkeep::manifest::read_as;
use fluxkeep::object::{Head, Key, Object};
use fluxkeep::owners::{Custom, Holder, RECONCILE, Rest};
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

/// By this the apiserver tells what adoption wrote.
const MANAGER: &str = "fluxkeep-adopt";
/// Half of what an apiserver gives itself for a request; these take milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// Whoever writes an object this often between a read and a write does not stop.
const TRIES: usize = 5;

/// A cluster whose engine is handed over.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
}

/// What became of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It was written.
    Changed,
    /// It was so already.
    Unchanged,
    /// It does not live any more, or another lives by its name.
    Gone,
}

/// An object that was moved one way or the other.
#[derive(Debug, PartialEq, Eq)]
pub struct Moved {
    /// What became of it.
    pub done: Done,
    /// The keys that somebody else wrote since; they were left alone.
    pub strange: Vec<String>,
}

/// Why a request had no answer of use.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The apiserver refused, or was not reached.
    #[error("{}{}", reason(.0), hint(.0))]
    Refused(kube::Error),
    /// The connection stands and nothing comes.
    #[error("nothing was heard for {} s", PATIENCE.as_secs())]
    Silence,
    /// Not a kind of the engine.
    #[error("{0} is no kind of the engine")]
    Kind(String),
    /// What the apiserver sent.
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

    /// An object as it lives, with every label and annotation that fluxkeep looks at; none where it is gone.
    ///
    /// # Errors
    /// When the apiserver refuses or cannot be reached.
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

    /// What an owner does that is a custom resource, read in a version that the cluster serves.
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

    /// Brings an object to one end of its stamp. What is there already is not written; where somebody
    /// else wrote since, an adoption leaves the whole object and an undoing that one label.
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

    /// By force: another value is what the stamp says was there, and is in the undo file.
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

/// True if an owner leaves its objects alone, also when it is deleted.
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

/// Whoever owns fields of an object besides Helm and fluxkeep. Owners of metadata or status alone are
/// left out: a chart's labels are written by adoption, and nobody applies a status.
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

/// The cause is often knowable.
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
