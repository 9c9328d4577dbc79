//! A CRD as it lives, and the writes to it.

use anyhow::{Context, anyhow, bail};
use fluxkeep::crd::Definition;
use fluxkeep::manifest::read_as;
use fluxkeep::object::TypeMeta;
use fluxkeep_cluster::write::{Target, WriteError, Writer, patiently};
use kube::core::ApiResource;
use serde_json::{Value, json};

/// Attempts to write a CRD while other clients write it, too.
const TRIES: usize = 10;

/// A CRD, read once.
#[derive(Debug, Clone)]
pub(super) struct Live {
    /// `metadata.name`.
    pub(super) name: String,
    /// Versions and storedVersions.
    pub(super) definition: Definition,
    /// True if the CRD is being deleted with all its objects.
    pub(super) is_deleted: bool,
    /// The whole object.
    body: Value,
}

/// The CRD as the object of a request.
fn target(name: &str) -> Target {
    Target {
        resource: ApiResource {
            group: "apiextensions.k8s.io".to_owned(),
            version: "v1".to_owned(),
            api_version: "apiextensions.k8s.io/v1".to_owned(),
            kind: "CustomResourceDefinition".to_owned(),
            plural: "customresourcedefinitions".to_owned(),
        },
        namespace: None,
        name: name.to_owned(),
    }
}

/// Reads a CRD; `None` if it does not exist.
pub(super) async fn read(writer: &Writer, name: &str) -> anyhow::Result<Option<Live>> {
    let target = target(name);
    let Some(live) = patiently(async || writer.get(&target).await).await? else {
        return Ok(None);
    };
    let body = json!(live);
    let head = TypeMeta {
        api_version: target.resource.api_version.clone(),
        kind: target.resource.kind.clone(),
    };
    let object = read_as(&body.to_string(), head)
        .map_err(|unread| anyhow!("{target} cannot be read: {unread}"))?;
    let definition = object.definition().cloned();
    Ok(Some(Live {
        name: name.to_owned(),
        definition: definition.with_context(|| format!("{target} cannot be read"))?,
        is_deleted: live.metadata.deletion_timestamp.is_some(),
        body,
    }))
}

impl Live {
    /// The CRD's objects, in one of its versions, as the resource of requests.
    pub(super) fn resource(&self, version: &str) -> ApiResource {
        let Definition {
            group,
            kind,
            plural,
            ..
        } = &self.definition;
        ApiResource {
            group: group.clone(),
            version: version.to_owned(),
            api_version: format!("{group}/{version}"),
            kind: kind.clone(),
            plural: plural.clone(),
        }
    }

    fn resource_version(&self) -> &Value {
        self.at("/metadata/resourceVersion")
    }

    /// Counts changes of the CRD's spec.
    fn generation(&self) -> &Value {
        self.at("/metadata/generation")
    }

    fn at(&self, pointer: &str) -> &Value {
        self.body.pointer(pointer).unwrap_or(&Value::Null)
    }
}

/// Makes `version` the storage version. The rest of the spec stays as it is, byte for byte.
pub(super) async fn move_storage(
    writer: &Writer,
    name: &str,
    version: &str,
) -> anyhow::Result<Live> {
    for _ in 0..TRIES {
        let live = again(writer, name).await?;
        if live.definition.storage() == Some(version) {
            return Ok(live);
        }
        let mut versions = live.at("/spec/versions").clone();
        for entry in versions.as_array_mut().into_iter().flatten() {
            let stores = entry.get("name").and_then(Value::as_str) == Some(version);
            if let Some(entry) = entry.as_object_mut() {
                entry.insert("storage".to_owned(), json!(stores));
            }
        }
        let patch = json!({"metadata": {"resourceVersion": live.resource_version()},
            "spec": {"versions": versions}});
        let target = target(name);
        if !is_overtaken(patiently(async || writer.merge(&target, &patch).await).await)? {
            return again(writer, name).await;
        }
    }
    bail!("{}: another client writes it all the time", target(name))
}

/// Takes all versions but `storage` off `storedVersions`. `verified` is the CRD as it was before
/// its objects were rewritten: a change of the spec since makes the proof void.
pub(super) async fn prune(writer: &Writer, verified: &Live, storage: &str) -> anyhow::Result<()> {
    let name = &verified.name;
    for _ in 0..TRIES {
        let live = again(writer, name).await?;
        if live.generation() != verified.generation() {
            bail!("its spec was changed while its objects were rewritten: run the command again");
        }
        let patch = json!({"metadata": {"resourceVersion": live.resource_version()},
            "status": {"storedVersions": [storage]}});
        let target = target(name);
        if !is_overtaken(patiently(async || writer.merge_status(&target, &patch).await).await)? {
            return Ok(());
        }
    }
    bail!("{}: another client writes it all the time", target(name))
}

/// True if another client wrote the object first.
fn is_overtaken<T>(written: Result<T, WriteError>) -> Result<bool, WriteError> {
    match written {
        Ok(_) => Ok(false),
        Err(error) if error.is_conflict() => Ok(true),
        Err(error) => Err(error),
    }
}

async fn again(writer: &Writer, name: &str) -> anyhow::Result<Live> {
    let live = read(writer, name).await?;
    live.context("it was deleted meanwhile")
}
