//! With fluxkeep: nothing is touched, and the user reads the reason.

use std::collections::BTreeSet;

use fluxkeep_tests::control_plane::{Helm, HelmController, Inventory, Webhook, said, umbrella};
use fluxkeep_tests::flux::Names;
use serde_json::json;

use crate::stage::{Stage, gone, images, newer, older, running, upgrade};

#[tokio::test]
async fn the_release_is_refused_before_anything_is_touched_says_why_and_recovers_with_its_chart() {
    let stage = Stage::set("guarded-install", Names::Install).await;
    let _webhook = stage.guarded().await;
    let controller = HelmController::start(&stage.plane, &stage.cluster).await;
    let before = stage.inventory().await;
    stage
        .release(&controller, &older(), |spec| {
            spec["install"]["remediation"] = json!({"retries": 3});
        })
        .await;
    let why = stage.told("Ready", "InstallFailed").await;
    assert!(why.contains(CAUSE), "{why}");
    assert!(
        why.contains("Install a release of Flux 2.4.0 or newer"),
        "{why}"
    );
    stage
        .warned("InstallFailed", "stored-version-dropped", 2)
        .await;
    assert_eq!(stage.inventory().await, before);
    stage.release(&controller, &running(), |_| ()).await;
    stage.told("Ready", "InstallSucceeded").await;
    stage.recorded(&["deployed"]).await;
    assert_eq!(gone(&before, &stage.inventory().await), BTreeSet::new());
    assert_eq!(stage.images().await, images(&running()));
}

/// The earliest breakage stands first: the definition that the apiserver would refuse half-way.
const CAUSE: &str = "denied the request: stored-version-dropped: CustomResourceDefinition buckets.source.toolkit.fluxcd.io";

#[tokio::test]
async fn helm_3_that_takes_ownership_is_refused_with_nothing_touched() {
    helm_is_refused("guarded-helm-3", Helm::Three).await;
}

#[tokio::test]
async fn helm_4_that_takes_ownership_is_refused_with_nothing_touched() {
    helm_is_refused("guarded-helm-4", Helm::Four).await;
}

async fn helm_is_refused(test: &str, helm: Helm) {
    let stage = Stage::set(test, Names::Install).await;
    let _webhook = stage.guarded().await;
    let before = stage.inventory().await;
    let output = helm.run(
        &stage.cluster,
        &upgrade(helm, &umbrella(&older()).to_string_lossy()),
    );
    let why = said(&output);
    assert_eq!(output.status.code(), Some(1), "{why}");
    assert!(why.contains(CAUSE), "{why}");
    assert!(
        why.contains("\nflux-downgraded: Deployment flux-system/helm-controller"),
        "{why}"
    );
    assert_eq!(stage.inventory().await, before);
    assert_eq!(stage.images().await, images(&running()));
}

#[tokio::test]
async fn a_healthy_upgrade_by_helm_3_passes_and_its_rollback() {
    helm_upgrades("healthy-helm-3", Helm::Three).await;
}

#[tokio::test]
async fn a_healthy_upgrade_by_helm_4_passes_and_its_rollback() {
    helm_upgrades("healthy-helm-4", Helm::Four).await;
}

async fn helm_upgrades(test: &str, helm: Helm) {
    let stage = Stage::set(test, Names::Install).await;
    let webhook = stage.guarded().await;
    let before = Before::now(&stage, &webhook).await;
    stage.adopt(helm);
    helm.runs(
        &stage.cluster,
        &upgrade(helm, &umbrella(&newer()).to_string_lossy()),
    );
    before.upgraded(&stage, &webhook).await;
    // The older release serves every stored version.
    helm.runs(&stage.cluster, &["rollback", "flux", "1"]);
    stage
        .recorded(&["superseded", "superseded", "deployed"])
        .await;
    assert_eq!(stage.images().await, images(&running()));
}

#[tokio::test]
async fn a_healthy_upgrade_by_helm_controller_passes() {
    let stage = Stage::set("healthy-helm-controller", Names::Install).await;
    let webhook = stage.guarded().await;
    let controller = HelmController::start(&stage.plane, &stage.cluster).await;
    let before = Before::now(&stage, &webhook).await;
    stage.release(&controller, &running(), |_| ()).await;
    stage.told("Ready", "InstallSucceeded").await;
    stage.release(&controller, &newer(), |_| ()).await;
    stage.told("Ready", "UpgradeSucceeded").await;
    before.upgraded(&stage, &webhook).await;
}

/// The objects, and each door's refusals, at one moment.
struct Before {
    objects: Inventory,
    refusals: Vec<f64>,
}

impl Before {
    async fn now(stage: &Stage, webhook: &Webhook) -> Self {
        let objects = stage.inventory().await;
        let mut refusals = Vec::new();
        for door in [
            "helm-release",
            "release-record",
            "crd",
            "crd-status",
            "engine",
        ] {
            let labels = format!(r#"door="{door}",decision="refuse""#);
            refusals.push(
                webhook
                    .counted(&format!("fluxkeep_admission_reviews_total{{{labels}}}"))
                    .await,
            );
        }
        Self { objects, refusals }
    }

    /// Asserts that the engine is whole and newer, and that nothing was refused.
    async fn upgraded(&self, stage: &Stage, webhook: &Webhook) {
        stage.recorded(&["superseded", "deployed"]).await;
        let after = Self::now(stage, webhook).await;
        assert_eq!(gone(&self.objects, &after.objects), BTreeSet::new());
        assert_eq!(stage.images().await, images(&newer()));
        assert_eq!(after.refusals, self.refusals);
    }
}
