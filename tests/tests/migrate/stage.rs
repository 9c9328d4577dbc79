//! A CRD with objects in an old version, and the command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fluxkeep_tests::control_plane::{Cluster, ControlPlane, eventually, folder, own};
use futures::future::join_all;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

pub(crate) const GROUP: &str = "grown.example.org";
pub(crate) const NAME: &str = "things.grown.example.org";
/// More than a page.
pub(crate) const OBJECTS: usize = 620;

/// The cluster, and a folder for files.
pub(crate) struct Stage {
    // Dropped first, so that a failed test's state is written before the control plane ends.
    pub(crate) cluster: Cluster,
    pub(crate) plane: ControlPlane,
    folder: PathBuf,
}

impl Stage {
    /// Objects stored as v1beta1, and one as v1, the storage version now.
    pub(crate) async fn grown(test: &str) -> Self {
        let stage = Self::with(test, "v1beta1*", OBJECTS - 1).await;
        stage.define("v1* v1beta1").await;
        // An apiserver stores in the old version for a moment after the flag has moved.
        let last = thing(OBJECTS - 1, "v1");
        eventually("an object is stored as v1", async || {
            stage
                .cluster
                .apply(&last)
                .await
                .map_err(|error| error.to_string())?;
            if stage.stored().contains_key("v1") {
                return Ok(());
            }
            stage
                .cluster
                .delete(&last)
                .await
                .map_err(|error| error.to_string())?;
            Err("it is stored as v1beta1".to_owned())
        })
        .await;
        stage
    }

    /// All objects stored as v1beta1, which is the storage version still; v1 is served, too.
    pub(crate) async fn storing_the_old(test: &str) -> Self {
        Self::with(test, "v1 v1beta1*", OBJECTS).await
    }

    async fn with(test: &str, versions: &str, objects: usize) -> Self {
        let plane = ControlPlane::start().await;
        let cluster = plane.cluster(test).await;
        let stage = Self {
            cluster,
            plane,
            folder: folder("migrate"),
        };
        stage.define(versions).await;
        for chunk in (0..objects).collect::<Vec<_>>().chunks(50) {
            let made = chunk.iter().map(|place| {
                let thing = thing(*place, "v1beta1");
                let cluster = &stage.cluster;
                async move {
                    eventually("an object is taken", async || cluster.apply(&thing).await).await
                }
            });
            join_all(made).await;
        }
        stage
    }

    /// The definition with these versions, `*` marking the stored one.
    pub(crate) fn definition(versions: &str) -> Value {
        let version = |word: &str| {
            json!({"name": word.trim_end_matches('*'), "served": true, "storage": word.ends_with('*'),
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
        };
        let versions: Vec<Value> = versions.split(' ').map(version).collect();
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": NAME},
            "spec": {"group": GROUP, "scope": "Namespaced", "versions": versions,
                "names": {"kind": "Thing", "listKind": "ThingList", "plural": "things", "singular": "thing"}}})
    }

    async fn define(&self, versions: &str) {
        self.cluster.apply_all(&[Self::definition(versions)]).await;
    }

    pub(crate) async fn live(&self) -> Value {
        self.cluster
            .get(&Self::definition("v1*"))
            .await
            .expect("the CRD")
    }

    /// `status.storedVersions`.
    pub(crate) async fn listed_versions(&self) -> Vec<String> {
        serde_json::from_value(self.live().await["status"]["storedVersions"].clone())
            .expect("a list")
    }

    /// The number of objects by the version of their bytes in etcd.
    pub(crate) fn stored(&self) -> BTreeMap<String, usize> {
        self.plane.stored_versions(GROUP, "things")
    }

    /// Every object's spec and generation by its name.
    pub(crate) async fn objects(&self) -> BTreeMap<String, Value> {
        let api = self.cluster.api(&thing(0, "v1")).await;
        let all = api.list(&ListParams::default()).await.expect("a list");
        let kept = |object: DynamicObject| {
            let kept =
                json!({"spec": object.data["spec"], "generation": object.metadata.generation});
            (object.metadata.name.unwrap_or_default(), kept)
        };
        all.items.into_iter().map(kept).collect()
    }

    /// The command for the stage's CRD.
    pub(crate) fn migrate(&self, more: &[&str]) -> Output {
        self.run(&[&["--crd", NAME], more].concat())
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("fluxkeep")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        Self::command_as(&self.cluster.kubeconfig, arguments)
    }

    pub(crate) fn command_as(kubeconfig: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(own("fluxkeep"));
        command
            .arg("migrate")
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(arguments);
        command
    }

    pub(crate) fn file(&self, name: &str, object: &Value) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, object.to_string()).expect("a writable folder");
        path.to_string_lossy().into_owned()
    }

    /// Writes ten objects all the time while `work` runs; returns the last count written to each.
    pub(crate) async fn while_writing(
        &self,
        work: impl FnOnce() -> Output + Send,
    ) -> (Output, BTreeMap<String, u64>) {
        let ends = Arc::new(AtomicBool::new(false));
        let counts = Arc::new(Mutex::new(BTreeMap::new()));
        let api = self.cluster.api(&thing(0, "v1")).await;
        let writers: Vec<_> = (0..10)
            .map(|place| {
                let (ends, counts, api) = (ends.clone(), counts.clone(), api.clone());
                tokio::spawn(async move {
                    let name = format!("thing-{place}");
                    let mut count = 0_u64;
                    while !ends.load(Ordering::Relaxed) {
                        count += 1;
                        let patch = json!({"spec": {"count": count}});
                        let params = PatchParams::default();
                        api.patch(&name, &params, &Patch::Merge(patch))
                            .await
                            .expect("a write");
                    }
                    counts.lock().unwrap().insert(name, count);
                })
            })
            .collect();
        let output = tokio::task::block_in_place(work);
        ends.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.await.expect("the writer ends");
        }
        let counts = counts.lock().unwrap().clone();
        (output, counts)
    }

    /// A policy in the apiserver refuses every write of an object.
    pub(crate) async fn refuse_writes_of(&self, name: &str) {
        let rules = json!([{"apiGroups": [GROUP], "apiVersions": ["*"], "resources": ["things"], "operations": ["UPDATE"]}]);
        let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": "frozen"}, "spec": {"matchConstraints": {"resourceRules": rules},
                "validations": [{"expression": format!("object.metadata.name != '{name}'"), "message": "frozen"}]}});
        let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": "frozen"}, "spec": {"policyName": "frozen", "validationActions": ["Deny"]}});
        self.cluster.apply_all(&[policy, binding]).await;
        let api = self.cluster.api(&thing(0, "v1")).await;
        eventually("the policy refuses", async || {
            let patch = Patch::Merge(json!({"spec": {"touched": true}}));
            let params = PatchParams {
                dry_run: true,
                ..PatchParams::default()
            };
            match api.patch(name, &params, &patch).await {
                Err(_) => Ok(()),
                Ok(_) => Err("it passes"),
            }
        })
        .await;
    }
}

pub(crate) fn thing(place: usize, version: &str) -> Value {
    json!({"apiVersion": format!("{GROUP}/{version}"), "kind": "Thing",
        "metadata": {"name": format!("thing-{place}"), "namespace": "default"}, "spec": {"made": version}})
}
