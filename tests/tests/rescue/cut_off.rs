//! The command is killed after each of its steps, and the same command goes on.

use fluxkeep_tests::control_plane::{Helm, helm_release};
use fluxkeep_tests::flux::Names;
use serde_json::{Value, json};

use crate::rescuer::Rescuer;
use crate::stage::{Stage, running};
use crate::wiped::is_whole;

/// The output after which a run is killed.
const AFTER: [&str; 6] = [
    "suspended",
    "Service flux-system/source-controller: created",
    "Deployment flux-system/notification-controller: created",
    "waiting for the controllers",
    "saved 1 release records",
    "deleted, it was uninstalling",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_after_any_step_goes_on_with_the_same_command() {
    let stage = Stage::set("rescue-killed", Names::Install).await;
    let mut rescuer = Rescuer::without_pods(&stage.cluster);
    let install = rescuer.manifest("install.yaml", &running().installed(Names::Install));
    let arguments = ["--from", install.as_str(), "--yes"];
    let before = stage.inventory().await;
    lose(&stage).await;
    for marker in AFTER {
        // A run that is killed after it saved the record may have deleted it already.
        if marker.starts_with("deleted") && stage.cluster.get(&record()).await.is_err() {
            continue;
        }
        rescuer.killed_at(&arguments, marker);
        let live = stage.cluster.get(&helm_release(&running())).await.unwrap();
        assert_eq!(live["spec"]["suspend"], json!(true), "{marker}");
        if marker == "waiting for the controllers" {
            stage.recorded(&["uninstalling"]).await;
            rescuer.run_pods();
        }
    }
    let done = rescuer.runs(&arguments);
    assert!(
        done.contains("objects are as the recovery point says"),
        "{done}"
    );
    is_whole(&stage, &before).await;
    stage.recorded(&[]).await;
    let saved = std::fs::read(rescuer.folder.join("fluxkeep-rescue-flux-system.json")).unwrap();
    let saved: Value = serde_json::from_slice(&saved).unwrap();
    assert_eq!(saved["items"].as_array().map(Vec::len), Some(1));

    let back = stage.cluster.kubectl(&[
        "create",
        "-f",
        &rescuer
            .folder
            .join("fluxkeep-rescue-flux-system.json")
            .to_string_lossy(),
    ]);
    assert!(back.status.success(), "{back:?}");
    stage.recorded(&["uninstalling"]).await;
}

/// The state after the incident, made without helm-controller.
pub(crate) async fn lose(stage: &Stage) {
    stage
        .cluster
        .apply(&helm_release(&running()))
        .await
        .unwrap();
    stage.adopt(Helm::Three);
    let mut live = stage.cluster.get(&record()).await.unwrap();
    live["metadata"] = json!({"name": live["metadata"]["name"], "namespace": "flux-system",
        "labels": {"status": "uninstalling"}});
    stage.cluster.apply(&live).await.unwrap();
    for object in running().installed(Names::Install) {
        let kind = object["kind"].as_str().unwrap();
        if ["Deployment", "Service", "ClusterRoleBinding"].contains(&kind) {
            stage.cluster.delete(&object).await.unwrap();
        }
    }
}

fn record() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "sh.helm.release.v1.flux.v1", "namespace": "flux-system"}})
}
