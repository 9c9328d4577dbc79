//! A release is stuck in an operation that did not end, though nothing of Flux is lost.

use fluxkeep_tests::control_plane::{Helm, HelmController, helm_release, said, umbrella};
use fluxkeep_tests::flux::Names;
use serde_json::{Value, json};

use crate::rescuer::Rescuer;
use crate::stage::{Stage, running, upgrade};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_uninstall_by_helm_3_is_mended_and_helm_goes_on() {
    uninstall_is_mended("rescue-stuck-helm-3", Helm::Three).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_uninstall_by_helm_4_is_mended_and_helm_goes_on() {
    uninstall_is_mended("rescue-stuck-helm-4", Helm::Four).await;
}

async fn uninstall_is_mended(test: &str, helm: Helm) {
    let stage = Stage::set(test, Names::Install).await;
    let _webhook = stage.guarded().await;
    let rescuer = Rescuer::of(&stage.cluster);
    stage.adopt(helm);
    let nothing = rescuer.runs(&["--release", "flux"]);
    assert!(nothing.contains("nothing to do"), "{nothing}");
    let output = helm.run(&stage.cluster, &["uninstall", "flux"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    stage.recorded(&["uninstalling"]).await;
    let shown = rescuer.runs(&["--release", "flux"]);
    assert!(shown.contains("uninstalling"), "{shown}");
    stage.recorded(&["uninstalling"]).await;
    let mended = rescuer.runs(&["--release", "flux", "--yes"]);
    assert!(mended.contains("deleted, it was uninstalling"), "{mended}");
    stage.recorded(&[]).await;
    let chart = umbrella(&running());
    let chart = chart.to_string_lossy();
    helm.runs(&stage.cluster, &upgrade(helm, &chart));
    stage.recorded(&["deployed"]).await;
}

/// helm-controller says "unable to determine state for release with status 'uninstalling'".
#[tokio::test(flavor = "multi_thread")]
async fn a_helm_release_whose_uninstall_was_cut_off_becomes_ready_again() {
    let stage = Stage::set("rescue-stuck-controller", Names::Install).await;
    let _webhook = stage.guarded().await;
    let rescuer = Rescuer::of(&stage.cluster);
    let controller = HelmController::start(&stage.plane, &stage.cluster).await;
    stage.release(&controller, &running(), |_| ()).await;
    stage.told("Ready", "InstallSucceeded").await;
    let output = Helm::Three.run(&stage.cluster, &["uninstall", "flux"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    stage.recorded(&["uninstalling"]).await;
    let mended = rescuer.runs(&["--release", "flux", "--yes", "--resume"]);
    assert!(
        mended.contains("HelmRelease flux-system/flux: suspended"),
        "{mended}"
    );
    assert!(
        mended.contains("HelmRelease flux-system/flux: resumed"),
        "{mended}"
    );
    stage.recorded(&["deployed"]).await;
    stage.told("Ready", "InstallSucceeded").await;
    let live = stage.cluster.get(&helm_release(&running())).await.unwrap();
    assert_eq!(live["spec"]["suspend"], Value::Null);
}

/// Helm says "another operation (install/upgrade/rollback) is in progress".
#[tokio::test(flavor = "multi_thread")]
async fn a_pending_upgrade_is_mended_unless_helm_may_still_be_at_work() {
    let stage = Stage::set("rescue-pending", Names::Install).await;
    let rescuer = Rescuer::of(&stage.cluster);
    stage.adopt(Helm::Three);
    let first = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "sh.helm.release.v1.flux.v1", "namespace": "flux-system"}});
    let mut pending = stage.cluster.get(&first).await.unwrap();
    pending["metadata"] = json!({"name": "sh.helm.release.v1.flux.v2", "namespace": "flux-system",
        "labels": {"owner": "helm", "name": "flux", "version": "2", "status": "pending-upgrade",
            "createdAt": jiff::Timestamp::now().as_second().to_string()}});
    stage.cluster.apply(&pending).await.unwrap();
    let early = rescuer.run(&["--release", "flux", "--yes"]);
    assert_eq!(early.status.code(), Some(1), "{}", said(&early));
    assert!(
        said(&early).contains("may still be at work"),
        "{}",
        said(&early)
    );
    pending["metadata"]["labels"]["createdAt"] = json!("1700000000");
    stage.cluster.apply(&pending).await.unwrap();
    rescuer.runs(&["--release", "flux", "--yes"]);
    stage.recorded(&["deployed"]).await;
}
