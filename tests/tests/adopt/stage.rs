//! A Flux that kubectl installed on a real apiserver, and `fluxkeep adopt` over it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fluxkeep_tests::control_plane::{
    Cluster, ControlPlane, Inventory, eventually, folder, own, said,
};
use fluxkeep_tests::flux::{Flux, HOME, Names};
use serde_json::{Value, json};

/// Flux 2.4.0 as kubectl installs it, and a folder for files.
pub(crate) struct Stage {
    // Dropped first, so that a failed test's state is written before the control plane ends.
    pub(crate) cluster: Cluster,
    pub(crate) plane: ControlPlane,
    pub(crate) folder: PathBuf,
    pub(crate) installed: Vec<Value>,
}

pub(crate) fn running() -> Flux {
    Flux::release("2.4.0")
}

impl Stage {
    /// Installs Flux with these labels and annotations on the engine's Services.
    pub(crate) async fn set(test: &str, labels: &Value, annotations: &Value) -> Self {
        Self::by(test, &["apply"], labels, annotations, |_| ()).await
    }

    /// As [`Stage::set`], by this command of kubectl and with changed objects.
    pub(crate) async fn by(
        test: &str,
        command: &[&str],
        labels: &Value,
        annotations: &Value,
        change: impl Fn(&mut Value),
    ) -> Self {
        let plane = ControlPlane::start().await;
        let cluster = plane.cluster(test).await;
        let mut installed = running().installed(Names::Install);
        for service in installed
            .iter_mut()
            .filter(|object| object["kind"] == "Service")
        {
            merge(&mut service["metadata"]["labels"], labels);
            merge(&mut service["metadata"]["annotations"], annotations);
        }
        installed.iter_mut().for_each(&change);
        let folder = folder("adopt");
        let file = folder.join("install.json");
        let list = json!({"apiVersion": "v1", "kind": "List", "items": installed});
        std::fs::write(&file, list.to_string()).expect("a writable folder");
        let file = file.to_string_lossy();
        let applied = cluster.kubectl(&[command, &["--filename", &file]].concat());
        assert!(applied.status.success(), "{}", said(&applied));
        let stage = Self {
            cluster,
            plane,
            folder,
            installed,
        };
        stage.established().await;
        stage
    }

    pub(crate) async fn plain(test: &str) -> Self {
        Self::set(test, &json!({}), &json!({})).await
    }

    /// Waits for the CRDs, whose status changes until they are established.
    pub(crate) async fn established(&self) {
        for definition in self
            .installed
            .iter()
            .filter(|object| object["kind"] == "CustomResourceDefinition")
        {
            eventually("the definition is established", async || {
                let live = self
                    .cluster
                    .get(definition)
                    .await
                    .map_err(|error| error.to_string())?;
                let conditions = live["status"]["conditions"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                let is_done = conditions
                    .iter()
                    .any(|one| one["type"] == "Established" && one["status"] == "True");
                if is_done {
                    Ok(())
                } else {
                    Err(json!(conditions).to_string())
                }
            })
            .await;
        }
    }

    pub(crate) fn undo_file(&self) -> PathBuf {
        self.folder.join("undo.json")
    }

    pub(crate) fn command(kubeconfig: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(own("fluxkeep"));
        command
            .arg("adopt")
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(more);
        command
    }

    /// `fluxkeep adopt` as `admin`, for release `flux`.
    pub(crate) fn adopting(&self, more: &[&str]) -> Command {
        self.adopting_as(&self.cluster.kubeconfig, more)
    }

    pub(crate) fn adopting_as(&self, kubeconfig: &Path, more: &[&str]) -> Command {
        let release = ["--release-name", "flux", "--namespace", HOME, "--undo-file"];
        let mut command = Self::command(kubeconfig, &release);
        command.arg(self.undo_file()).args(more);
        command
    }

    pub(crate) fn adopts(&self, more: &[&str]) -> String {
        succeeds(
            &self
                .adopting(&[&["--yes"], more].concat())
                .output()
                .expect("fluxkeep"),
        )
    }

    pub(crate) fn undone(&self) -> Output {
        let file = self.undo_file();
        let arguments = ["--yes", "--undo", &file.to_string_lossy()];
        Self::command(&self.cluster.kubeconfig, &arguments)
            .output()
            .expect("fluxkeep")
    }

    /// The engine's objects without the metadata that every write changes. A Deployment's
    /// generation also counts writes of its annotations.
    pub(crate) async fn objects(&self) -> BTreeMap<String, Value> {
        let mut found = BTreeMap::new();
        for object in &self.installed {
            let mut live = self.cluster.get(object).await.expect("what was installed");
            let metadata = live["metadata"].as_object_mut().expect("metadata");
            metadata.retain(|key, _| {
                !["generation", "managedFields", "resourceVersion"].contains(&key.as_str())
            });
            found.insert(
                format!("{} {}", object["kind"], object["metadata"]["name"]),
                live,
            );
        }
        found
    }

    /// Asserts equality with `before`; a failure shows the differing objects.
    pub(crate) async fn is_as(&self, before: &BTreeMap<String, Value>) {
        let after = self.objects().await;
        let differing = before
            .iter()
            .filter(|(name, was)| after.get(*name) != Some(*was));
        let told: Vec<_> = differing
            .map(|(name, was)| format!("{name}: {was:#}\nis: {:#}", after[name]))
            .collect();
        assert!(
            told.is_empty(),
            "{} objects differ: {}",
            told.len(),
            told.join("\n")
        );
    }

    pub(crate) async fn inventory(&self) -> Inventory {
        self.cluster.inventory(&[]).await
    }

    /// The engine's objects by `Kind name`, each with true if it carries the release's marks.
    pub(crate) async fn adopted(&self) -> BTreeMap<String, bool> {
        let is_stamped = |live: Value| {
            let metadata = &live["metadata"];
            metadata["labels"]["app.kubernetes.io/managed-by"] == "Helm"
                && metadata["annotations"]["meta.helm.sh/release-name"] == "flux"
                && metadata["annotations"]["meta.helm.sh/release-namespace"] == HOME
                && metadata["annotations"]["helm.sh/resource-policy"] == "keep"
        };
        self.objects()
            .await
            .into_iter()
            .map(|(name, live)| (name, is_stamped(live)))
            .collect()
    }

    pub(crate) async fn is_whole(&self) {
        let missing: Vec<_> = self
            .adopted()
            .await
            .into_iter()
            .filter(|(_, stamped)| !stamped)
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    /// A kubeconfig that may write core objects and CRDs only, so not Deployments.
    pub(crate) async fn half_entitled(&self) -> PathBuf {
        let about = json!({"name": "half", "namespace": "default"});
        let group = "rbac.authorization.k8s.io";
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about});
        let role = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": {"name": "half"},
            "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]},
                {"apiGroups": ["", "apiextensions.k8s.io"], "resources": ["*"], "verbs": ["patch"]}]});
        let binding = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "half"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "half"},
            "subjects": [{"kind": "ServiceAccount", "name": "half", "namespace": "default"}]});
        self.cluster.apply_all(&[account, role, binding]).await;
        let kubeconfig = self.plane.account(&self.cluster, "default", "half").await;
        let asked = |verb: &str, what: &str| {
            let kubeconfig = kubeconfig.to_string_lossy().into_owned();
            self.cluster
                .kubectl(&["--kubeconfig", &kubeconfig, "auth", "can-i", verb, what])
                .status
                .success()
        };
        eventually("the account has its rights", async || {
            let seen = (
                asked("patch", "customresourcedefinitions"),
                asked("list", "helmreleases.helm.toolkit.fluxcd.io"),
            );
            if seen == (true, true) {
                Ok(())
            } else {
                Err(seen)
            }
        })
        .await;
        kubeconfig
    }
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().expect("an object") {
        into[key] = value.clone();
    }
}

pub(crate) fn succeeds(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
