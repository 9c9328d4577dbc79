//! The story's cluster: the live objects, and the output of a chart for a Flux release.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use anyhow::Context;
use fluxkeep::case::facts::Facts;
use fluxkeep::flux::catalogue::FluxRelease;
use fluxkeep::manifest::{self, Reading};
use fluxkeep::yaml;
use fluxkeep_cluster::{BUILT_IN, FactSource};
use serde_json::{Value, json};

/// Facts that the story changes.
#[derive(Debug)]
pub(super) struct Stage {
    facts: RwLock<Arc<Facts>>,
}

impl Stage {
    pub(super) fn new(facts: Facts) -> Arc<Self> {
        Arc::new(Self {
            facts: RwLock::new(Arc::new(facts)),
        })
    }

    pub(super) fn set(&self, facts: Facts) {
        *self.facts.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(facts);
    }
}

impl FactSource for Stage {
    fn facts(&self) -> Arc<Facts> {
        self.facts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn name(&self) -> &'static str {
        "snapshot"
    }

    fn as_of(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The facts of these objects.
pub(super) fn facts(objects: &[Value]) -> anyhow::Result<Facts> {
    let stream: Vec<String> = objects.iter().map(Value::to_string).collect();
    Ok(Facts::of(
        manifest::read(&stream.join("\n"), Reading::default()).context("setting the stage")?,
    ))
}

/// Flux 2.4.0 as `install.yaml` leaves it: the built-in snapshot.
pub(super) fn installed() -> anyhow::Result<Vec<Value>> {
    yaml::values(BUILT_IN).context("reading the built-in snapshot")
}

/// The parts of the community chart's output for a release that the judge reads. With `kept`, each
/// object carries `helm.sh/resource-policy: keep`, as a post-renderer adds it.
pub(crate) fn chart(release: &FluxRelease, kept: bool) -> anyhow::Result<Vec<Value>> {
    let mut objects = installed()?;
    objects.retain(|object| !matches!(kind(object), "Namespace" | "ResourceQuota"));
    for object in &mut objects {
        set(
            object,
            "/metadata",
            "labels",
            json!({"app.kubernetes.io/part-of": "flux",
            "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/version": release.version.to_string()}),
        );
        if kept {
            set(
                object,
                "/metadata",
                "annotations",
                json!({"helm.sh/resource-policy": "keep"}),
            );
        }
        match kind(object) {
            "CustomResourceDefinition" => offer(object, release),
            "Deployment" => run(object, release),
            _ => {}
        }
    }
    Ok(objects)
}

/// The live objects after release `flux` was installed; only the storage version counts as stored.
pub(super) fn deployed(release: &FluxRelease) -> anyhow::Result<Vec<Value>> {
    let mut objects = chart(release, true)?;
    for object in &mut objects {
        let owner = json!({"meta.helm.sh/release-name": "flux", "meta.helm.sh/release-namespace": "flux-system",
            "helm.sh/resource-policy": "keep"});
        set(object, "/metadata", "annotations", owner);
        let stored = object
            .pointer("/spec/versions")
            .and_then(Value::as_array)
            .map(|versions| {
                let storage = versions
                    .iter()
                    .filter(|version| version.get("storage") == Some(&json!(true)));
                storage
                    .filter_map(|version| version.get("name").cloned())
                    .collect::<Vec<_>>()
            });
        if let Some(stored) = stored {
            set(object, "", "status", json!({"storedVersions": stored}));
        }
    }
    Ok(objects)
}

/// The object of this kind and name.
pub(super) fn find(objects: &[Value], wanted: &str, name: &str) -> anyhow::Result<Value> {
    let named = |object: &&Value| {
        kind(object) == wanted
            && object.pointer("/metadata/name").and_then(Value::as_str) == Some(name)
    };
    objects
        .iter()
        .find(named)
        .cloned()
        .with_context(|| format!("there is no {wanted} {name} on stage"))
}

pub(crate) fn kind(object: &Value) -> &str {
    object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Sets a key of the map at a pointer.
pub(super) fn set(object: &mut Value, pointer: &str, key: &str, value: Value) {
    if let Some(map) = object.pointer_mut(pointer).and_then(Value::as_object_mut) {
        map.insert(key.to_owned(), value);
    }
}

/// Gives a CRD the release's versions, and removes its status.
fn offer(object: &mut Value, release: &FluxRelease) {
    let name = object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let Some(crd) = release.crd(name) else { return };
    let version = |version: &fluxkeep::crd::Version| {
        json!({"name": version.name, "served": version.served, "storage": version.storage,
        "schema": {"openAPIV3Schema": {"type": "object"}}})
    };
    let versions: Vec<Value> = crd.versions.iter().map(version).collect();
    set(object, "/spec", "versions", json!(versions));
    set(object, "", "status", Value::Null);
}

/// Gives a Deployment the release's image.
fn run(object: &mut Value, release: &FluxRelease) {
    let name = object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let Some(controller) = release.controllers.iter().find(|one| one.name == name) else {
        return;
    };
    let image = format!("ghcr.io/fluxcd/{name}:v{}", controller.version);
    set(
        object,
        "/spec/template/spec/containers/0",
        "image",
        json!(image),
    );
}
