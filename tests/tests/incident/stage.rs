//! The incident's cluster, and views of it.

use std::collections::BTreeSet;

use fluxkeep_tests::control_plane::{
    Cluster, ControlPlane, Helm, HelmController, Inventory, Webhook, eventually, helm_release,
    umbrella,
};
use fluxkeep_tests::flux::{Flux, HOME, Names};
use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};

/// A cluster in which Flux 2.4.0 runs.
pub(crate) struct Stage {
    // Dropped first, so that a failed test's state is written before the control plane ends.
    pub(crate) cluster: Cluster,
    pub(crate) plane: ControlPlane,
}

impl Stage {
    /// Installs Flux 2.4.0 with the names of `install.yaml` or `flux bootstrap`.
    pub(crate) async fn set(test: &str, names: Names) -> Self {
        let plane = ControlPlane::start().await;
        let cluster = plane.cluster(test).await;
        cluster.apply_all(&running().installed(names)).await;
        Self { cluster, plane }
    }

    /// Starts fluxkeep, which the apiserver asks once this returns.
    pub(crate) async fn guarded(&self) -> Webhook {
        Webhook::guarding(&self.plane, &self.cluster).await
    }

    /// All objects except those in which helm-controller reports its state.
    pub(crate) async fn inventory(&self) -> Inventory {
        self.cluster.inventory(&["HelmRelease", "HelmChart"]).await
    }

    /// A release with the running version takes over the engine.
    pub(crate) fn adopt(&self, helm: Helm) {
        helm.runs(
            &self.cluster,
            &upgrade(helm, &umbrella(&running()).to_string_lossy()),
        );
    }

    /// Applies a HelmRelease of this Flux and publishes its chart.
    pub(crate) async fn release(
        &self,
        controller: &HelmController,
        flux: &Flux,
        change: impl FnOnce(&mut Value),
    ) {
        let mut release = helm_release(flux);
        change(&mut release["spec"]);
        self.cluster
            .apply(&release)
            .await
            .expect("a HelmRelease that tells nothing of Flux");
        controller
            .publish(&self.cluster, flux, &umbrella(flux))
            .await;
    }

    /// Waits until a condition of the HelmRelease has this reason, and returns its message.
    pub(crate) async fn told(&self, condition: &str, reason: &str) -> String {
        let release = helm_release(&running());
        self.cluster.condition(&release, condition, reason).await
    }

    /// Waits for Warning events of the HelmRelease with this reason and `part` in the message. A
    /// repeated event counts by its number of repeats.
    pub(crate) async fn warned(&self, reason: &str, part: &str, times: u64) {
        let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"namespace": HOME}});
        let about = format!("involvedObject.kind=HelmRelease,type=Warning,reason={reason}");
        let events = self.cluster.api(&event).await;
        eventually(&format!("{times} events say {part}"), async || {
            let list = events
                .list(&ListParams::default().fields(&about))
                .await
                .map_err(|error| error.to_string())?;
            let seen: Vec<_> = list.items.into_iter().map(|event| event.data).collect();
            let saying = seen
                .iter()
                .filter(|event| event["message"].as_str().unwrap_or_default().contains(part));
            let counted: u64 = saying
                .map(|event| event["count"].as_u64().unwrap_or(1))
                .sum();
            if counted >= times {
                Ok(())
            } else {
                Err(json!(seen).to_string())
            }
        })
        .await;
    }

    /// Waits until the release's records have these states, by revision.
    pub(crate) async fn recorded(&self, states: &[&str]) {
        eventually(
            &format!("the release's records are {states:?}"),
            async || {
                let seen = self.records().await;
                if seen == states { Ok(()) } else { Err(seen) }
            },
        )
        .await;
    }

    async fn records(&self) -> Vec<String> {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": HOME}});
        let list = self
            .cluster
            .api(&secret)
            .await
            .list(&ListParams::default().labels("owner=helm"))
            .await;
        let state = |one: DynamicObject| one.metadata.labels.unwrap_or_default().remove("status");
        list.expect("records")
            .items
            .into_iter()
            .filter_map(state)
            .collect()
    }

    /// The images of the engine's live Deployments.
    pub(crate) async fn images(&self) -> BTreeSet<String> {
        let mut images = BTreeSet::new();
        for deployment in running()
            .installed(Names::Install)
            .iter()
            .filter(|one| one["kind"] == "Deployment")
        {
            if let Ok(live) = self.cluster.get(deployment).await {
                images.insert(image(&live));
            }
        }
        images
    }
}

/// Arguments that take over existing objects. Helm 4 needs a flag to change other managers' fields.
pub(crate) fn upgrade(helm: Helm, chart: &str) -> Vec<&str> {
    let conflicts = (helm == Helm::Four).then_some("--force-conflicts");
    ["upgrade", "--install", "--take-ownership", "flux", chart]
        .into_iter()
        .chain(conflicts)
        .collect()
}

/// The images of a Flux release.
pub(crate) fn images(flux: &Flux) -> BTreeSet<String> {
    flux.charted()
        .iter()
        .filter(|one| one["kind"] == "Deployment")
        .map(image)
        .collect()
}

fn image(deployment: &Value) -> String {
    deployment["spec"]["template"]["spec"]["containers"][0]["image"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// The Flux that runs in the cluster.
pub(crate) fn running() -> Flux {
    Flux::release("2.4.0").for_newer_controller()
}

/// The Flux of a healthy upgrade.
pub(crate) fn newer() -> Flux {
    Flux::release("2.5.1").for_newer_controller()
}

/// The Flux of the incident's chart.
pub(crate) fn older() -> Flux {
    Flux::release("2.3.0")
}

/// The deleted objects, as `Kind namespace/name`.
pub(crate) fn gone(before: &Inventory, after: &Inventory) -> BTreeSet<String> {
    before
        .keys()
        .filter(|key| !after.contains_key(*key))
        .map(|key| short(key))
        .collect()
}

/// The key without its API group.
fn short(key: &str) -> String {
    key.split_once('/').map_or(key, |(_, rest)| rest).to_owned()
}
