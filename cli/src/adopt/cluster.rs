//! Reads and writes the metadata of the engine's objects, one object at a time.
//!
//! Wanted keys are written by server-side apply: they show fluxkeep as their manager, and a
//! repeated apply changes nothing. Apply cannot remove keys of other managers, so a merge patch
//! with null does. The patch comes first: after an interruption an object has no owner rather than
//! two. Each write names the uid and resourceVersion that the plan saw.

use fluxkeep::adoption::owners::{Custom, Holder, RECONCILE, Rest};
use fluxkeep::flux::engine::MEMBERS;
use fluxkeep::manifest::read_as;
use fluxkeep::object::{Key, Object, TypeMeta};
use fluxkeep_cluster::write::{Target, WriteError, Writer, patiently, resource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::holds::Hold;
use super::plan::SeenObject;
use super::stamp::{Stamp, Way};

/// The field manager of adoption's writes.
const MANAGER: &str = "fluxkeep-adopt";
/// Attempts per object: a competitor that wins this often does not stop.
const TRIES: usize = 5;

/// A cluster whose engine is adopted.
#[derive(Debug, Clone)]
pub struct Cluster {
    writer: Writer,
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

/// The reason why an object was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The apiserver refused, was unreachable or stayed silent.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The kind is none of the engine's.
    #[error("{0} is no kind of the engine")]
    Kind(String),
    /// The answer could not be parsed.
    #[error("reading {object}: the answer is not readable: {reason}")]
    Unreadable {
        /// The object.
        object: String,
        /// The part that could not be parsed.
        reason: String,
    },
}

impl Cluster {
    /// The cluster of a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let writer = Writer::new(client, MANAGER).hinting(hint);
        Self { writer }
    }

    /// The live object with all labels and annotations that fluxkeep reads; `None` if it is gone.
    ///
    /// # Errors
    /// If the apiserver refuses or cannot be reached.
    pub async fn see(&self, object: &Object) -> Result<Option<SeenObject>, Failure> {
        let key = object.key();
        let Some(live) = self.read(&key).await? else {
            return Ok(None);
        };
        let head = TypeMeta {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
        };
        let uid = live.uid.clone().unwrap_or_default();
        let managers = managers(&live);
        let text = json!({"metadata": live}).to_string();
        let object = read_as(&text, head).map_err(|reason| Failure::Unreadable {
            object: key.to_string(),
            reason,
        })?;
        Ok(Some(SeenObject {
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
        let target = Target {
            resource: resource(custom.group, version, kind, custom.resource),
            namespace: Some(holder.namespace.clone().unwrap_or_default()),
            name: holder.name.clone(),
        };
        let Some(live) = patiently(async || self.writer.get(&target).await).await? else {
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
                Err(Failure::Write(error)) if error.is_conflict() && tried < TRIES => {}
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
        let target = target(key)?;
        Ok(patiently(async || self.writer.metadata(&target).await).await?)
    }

    async fn merge(&self, stamp: &Stamp, patch: &Value) -> Result<ObjectMeta, Failure> {
        let target = target(&stamp.key())?;
        Ok(patiently(async || self.writer.merge_metadata(&target, patch).await).await?)
    }

    /// Applies with force: the undo file holds the other owner's value.
    async fn apply(&self, stamp: &Stamp, body: &Value) -> Result<ObjectMeta, Failure> {
        let target = target(&stamp.key())?;
        Ok(patiently(async || self.writer.apply_metadata(&target, body).await).await?)
    }
}

/// The engine's object with this key.
fn target(key: &Key) -> Result<Target, Failure> {
    let known = MEMBERS
        .iter()
        .find(|member| member.kind == key.kind && member.group == key.group);
    let member = known.ok_or_else(|| Failure::Kind(key.kind.clone()))?;
    Ok(Target {
        resource: resource(member.group, "v1", member.kind, member.resource),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    })
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

/// Remedies that fit a command which a person runs.
fn hint(code: u16) -> Option<&'static str> {
    match code {
        0 => Some("; is the cluster of the kubeconfig reachable?"),
        401 => Some("; the credentials in the kubeconfig have expired"),
        403 => Some("; the user needs the verbs get and patch on it"),
        409 => Some("; another writes it all the time"),
        _ => None,
    }
}
