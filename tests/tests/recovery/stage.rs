//! A cluster in which Flux runs and its controllers are available.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fluxkeep::recovery::{Difference, Point, difference};
use fluxkeep_cluster::recovery::{Stored, stored};
use fluxkeep_cluster::write::Writer;
use fluxkeep_tests::control_plane::{Cluster, ControlPlane, Webhook, eventually, folder, own};
use fluxkeep_tests::flux::{Flux, HOME, Names};
use serde_json::{Value, json};

/// The namespace of fluxkeep.
pub(crate) const KEEPER: &str = "fluxkeep";

/// The cluster, and a folder for files.
pub(crate) struct Stage {
    // Dropped first, so that a failed test's state is written before the control plane ends.
    pub(crate) cluster: Cluster,
    pub(crate) plane: ControlPlane,
    pub(crate) folder: PathBuf,
}

impl Stage {
    /// Flux 2.4.0, all controllers available.
    pub(crate) async fn set(test: &str) -> Self {
        let plane = ControlPlane::start().await;
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

    /// A server with only the documented rights, which takes a point after a second of quiet.
    pub(crate) async fn server(&self) -> Webhook {
        let own = self.plane.own_account(&self.cluster).await;
        self.cluster.may_keep_points().await;
        let arguments = ["--recovery-points", KEEPER, "--recovery-quiet", "1"];
        Webhook::launch(&self.plane, &own, arguments, false).await
    }

    /// The slots, in their order.
    pub(crate) async fn slots(&self) -> Vec<Stored> {
        let writer = Writer::new(self.cluster.client.clone(), "a-test");
        let slots = stored(&writer, Some(KEEPER), HOME).await;
        slots.expect("readable slots")
    }

    /// The good points, oldest first.
    pub(crate) async fn points(&self) -> Vec<Point> {
        let slots = self.slots().await;
        let good = slots.iter().filter(|stored| stored.head().is_some());
        let mut points: Vec<Point> = good
            .map(|stored| Point::decode(&stored.parts).expect("a point"))
            .collect();
        points.sort_by_key(|point| point.head.taken);
        points
    }

    /// Waits until the newest point meets a condition.
    pub(crate) async fn newest(&self, what: &str, is_it: impl Fn(&Point) -> bool) -> Point {
        eventually(what, async || {
            let newest = self.points().await.pop().ok_or("no point")?;
            if is_it(&newest) {
                Ok(newest)
            } else {
                Err("another point")
            }
        })
        .await
    }

    /// Sets an argument of a controller, and reports it available again.
    pub(crate) async fn change(&self, argument: &str) {
        let mut changed = deployment("helm-controller");
        changed["spec"]["template"]["spec"]["containers"][0]["args"] = json!([argument]);
        self.cluster.apply(&changed).await.expect("a change");
        self.report(&changed, 1).await;
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
