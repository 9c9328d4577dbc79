//! With fluxkeep: nothing is touched, and whoever asked reads why.

use std::collections::BTreeSet;

use fluxkeep_tests::control_plane::{Helm, HelmController, said, umbrella};
use fluxkeep_tests::flux::Names;
use serde_json::json;

use crate::guard::guard;
use crate::stage::{Stage, gone, images, older, running};

#[tokio::test]
async fn the_release_is_refused_before_anything_is_touched_says_why_and_recovers_with_its_chart() {
    let stage = Stage::set("guarded-install", Names::Install).await;
    let _webhook = guard(&stage).await;
    let controller = HelmController::start(&stage.plane, &stage.cluster).await;
    let before = stage.inventory().await;
    stage.release(&controller, &older(), |spec| spec["install"]["remediation"] = json!({"retries": 3})).await;
    let why = stage.told("Ready", "InstallFailed").await;
    assert!(why.contains("denied the request: flux-downgraded: Deployment flux-system/helm-controller"), "{why}");
    assert!(why.contains("Install a release of Flux 2.4.0 or newer"), "{why}");
    stage.warned("InstallFailed", "stored-version-dropped", 2).await;
    assert_eq!(stage.inventory().await, before);
    stage.release(&controller, &running(), |_| ()).await;
    stage.told("Ready", "InstallSucceeded").await;
    stage.recorded(&["deployed"]).await;
    assert_eq!(gone(&before, &stage.inventory().await), BTreeSet::new());
    assert_eq!(stage.images().await, images(&running()));
}

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
    let _webhook = guard(&stage).await;
    let before = stage.inventory().await;
    let chart = umbrella(&older());
    let install = ["upgrade", "--install", "--take-ownership", "flux", &chart.to_string_lossy()];
    let output = helm.run(&stage.cluster, &install);
    let why = said(&output);
    assert_eq!(output.status.code(), Some(1), "{why}");
    assert!(why.contains("denied the request: flux-downgraded: Deployment flux-system/helm-controller"), "{why}");
    assert!(why.contains("stored-version-dropped"), "{why}");
    assert_eq!(stage.inventory().await, before);
    assert_eq!(stage.images().await, images(&running()));
}
