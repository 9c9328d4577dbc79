//! A cluster in which Flux runs and its controllers are available.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fluxkeep::recovery::{Difference, Point, difference};
use fluxkeep_tests::control_plane::{Cluster, ControlPlane, folder, own};
use fluxkeep_tests::flux::{Flux, HOME, Names};
use serde_json::{Value, json};

/// The cluster, and a folder for files.
pub(crate) struct Stage {
    // Dropped first, so that a failed test's state is written before the control plane ends.
    pub(crate) cluster: Cluster,
    #[allow(dead_code, reason = "the cluster lives as long")]
    pub(crate) plane: ControlPlane,
    pub(crate) folder: PathBuf,
}

impl Stage {
    /// Flux 2.4.0, all controllers available.
    pub(crate) async fn set(test: &str) -> Self {
        Self::on(ControlPlane::start().await, test).await
    }

    /// The same on this control plane.
    pub(crate) async fn on(plane: ControlPlane, test: &str) -> Self {
        let cluster = plane.cluster(test).await;
        let stage = Self {
            cluster,
            plane,
            folder: folder("recovery"),
        };
        stage.cluster.apply_all(&flux()).await;
        stage.make_available().await;
        stage
    }

    /// Writes the status of each Deployment as its controller would.
    pub(crate) async fn make_available(&self) {
        for deployment in deployments() {
            self.report(&deployment, 1).await;
        }
    }

    /// Reports this number of available pods, of one wanted, in the newest form.
    pub(crate) async fn report(&self, deployment: &Value, available: u32) {
        let live = self.cluster.get(deployment).await.expect("a Deployment");
        let generation = &live["metadata"]["generation"];
        let status = json!({"observedGeneration": generation, "replicas": 1, "updatedReplicas": 1,
            "readyReplicas": available, "availableReplicas": available});
        let reported = self.cluster.patch_status(deployment, &status).await;
        reported.expect("a status");
    }

    /// Runs `fluxkeep` against the cluster.
    pub(crate) fn fluxkeep(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(own("fluxkeep"));
        command
            .args(arguments)
            .arg("--kubeconfig")
            .arg(&self.cluster.kubeconfig);
        command.output().expect("fluxkeep")
    }

    /// A path in the test's folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    /// The differences between a point and the live objects of Flux.
    pub(crate) async fn differs(&self, point: &Point) -> Vec<Difference> {
        let mut live = Vec::new();
        for object in flux() {
            live.extend(self.cluster.get(&object).await);
        }
        difference(point, &live)
    }
}

/// Reads the point in a file.
pub(crate) fn point(path: impl AsRef<Path>) -> Point {
    let bytes = std::fs::read(path).expect("a file");
    Point::decode(&[bytes]).expect("a point")
}

/// The Flux that runs.
pub(crate) fn flux() -> Vec<Value> {
    Flux::release("2.4.0").installed(Names::Install)
}

/// Its Deployments.
pub(crate) fn deployments() -> impl Iterator<Item = Value> {
    flux()
        .into_iter()
        .filter(|object| object["kind"] == "Deployment")
}

/// One of its Deployments.
pub(crate) fn deployment(name: &str) -> Value {
    deployments()
        .find(|object| object["metadata"]["name"] == name)
        .expect("a controller")
}

/// A Secret with the engine's label.
pub(crate) fn secret() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"password": "hunter2"},
        "metadata": {"name": "flux-system", "namespace": HOME, "labels": {"app.kubernetes.io/part-of": "flux"}}})
}
