//! Flux was wiped by helm-controller's remediation.

use std::collections::BTreeSet;

use fluxkeep_tests::control_plane::{
    Helm, HelmController, Inventory, eventually, helm_release, said, umbrella,
};
use fluxkeep_tests::flux::{Flux, HOME, Names};
use serde_json::{Value, json};

use crate::rescuer::Rescuer;
use crate::stage::{Stage, gone, images, older, running};

/// Suspended, applied, records deleted, chart corrected, resumed: Ready, and nothing is deleted.
#[tokio::test(flavor = "multi_thread")]
async fn from_a_point_it_comes_back_and_its_release_becomes_ready_on_the_corrected_chart() {
    let stage = Stage::set("rescue-point", Names::Install).await;
    let rescuer = Rescuer::of(&stage.cluster);
    let controller = HelmController::start(&stage.plane, &stage.cluster).await;
    let point = rescuer.snapshot();
    let before = wiped(&stage, &controller, Names::Install).await;
    let from = ["--point", point.as_str()];

    let shown = rescuer.runs(&from);
    for told in [
        "Cluster: context",
        "HelmRelease flux-system/flux",
        "suspend",
        "Deployment flux-system/source-controller",
        "missing",
        "save and delete",
        "nothing was written; add --yes",
    ] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    stage.recorded(&["uninstalling"]).await;

    let refused = rescuer.run(&[&from[..], &["--yes", "--resume"]].concat());
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let told = said(&refused);
    assert!(
        told.contains("objects are as the recovery point says"),
        "{told}"
    );
    assert!(told.contains("stored-version-dropped"), "{told}");
    assert!(told.contains("stays suspended"), "{told}");
    is_whole(&stage, &before).await;
    stage.recorded(&[]).await;
    let saved = std::fs::read_to_string(rescuer.folder.join("fluxkeep-rescue-flux-system.json"));
    assert!(saved.unwrap().contains("sh.helm.release.v1.flux.v1"));

    stage
        .cluster
        .apply(&helm_release(&running()))
        .await
        .unwrap();
    let chart = rendered(&rescuer, &running());
    let unknown = rescuer.run(&[&from[..], &["--yes", "--resume"]].concat());
    assert_eq!(unknown.status.code(), Some(1), "{}", said(&unknown));
    assert!(
        said(&unknown).contains("--chart-manifest"),
        "{}",
        said(&unknown)
    );
    let resume = ["--yes", "--resume", "--chart-manifest", chart.as_str()];
    let resumed = rescuer.runs(&[&from[..], &resume].concat());
    assert!(
        resumed.contains("HelmRelease flux-system/flux: resumed"),
        "{resumed}"
    );
    controller
        .publish(&stage.cluster, &running(), &umbrella(&running()))
        .await;
    stage.told("Ready", "InstallSucceeded").await;
    stage.recorded(&["deployed"]).await;
    is_whole(&stage, &before).await;
}

/// The rescue's writes pass fluxkeep's own server.
#[tokio::test(flavor = "multi_thread")]
async fn from_install_yaml_it_comes_back_past_a_registered_server() {
    let stage = Stage::set("rescue-manifest", Names::Install).await;
    let rescuer = Rescuer::of(&stage.cluster);
    let controller = HelmController::start(&stage.plane, &stage.cluster).await;
    let install = rescuer.manifest("install.yaml", &running().installed(Names::Install));
    let before = wiped(&stage, &controller, Names::Install).await;
    let _webhook = stage.guarded().await;
    let told = rescuer.runs(&["--from", &install, "--yes"]);
    assert!(
        told.contains("objects are as the recovery point says"),
        "{told}"
    );
    assert!(
        told.contains("HelmRelease flux-system/flux is suspended"),
        "{told}"
    );
    is_whole(&stage, &before).await;
    let again = rescuer.runs(&["--from", &install]);
    assert!(again.contains("nothing to do"), "{again}");
}

/// Everything went, CRDs and custom resources, too.
#[tokio::test(flavor = "multi_thread")]
async fn with_the_names_of_bootstrap_it_comes_back_once_finalizers_are_off() {
    let stage = Stage::set("rescue-bootstrap", Names::Bootstrap).await;
    let rescuer = Rescuer::of(&stage.cluster);
    let mut controller = HelmController::start(&stage.plane, &stage.cluster).await;
    let install = rescuer.manifest("install.yaml", &running().installed(Names::Bootstrap));
    let before = wiped(&stage, &controller, Names::Bootstrap).await;
    controller.process.kill();
    let plan = ["--from", install.as_str()];
    eventually("nothing is in the way", async || {
        let output = rescuer.run(&plan);
        if output.status.success() {
            return Ok(());
        }
        for command in patches(&said(&output)) {
            let _ = stage
                .cluster
                .kubectl(&command.iter().map(String::as_str).collect::<Vec<_>>());
        }
        free_definitions(&stage).await;
        Err(said(&output))
    })
    .await;
    let told = rescuer.runs(&[&plan[..], &["--yes"]].concat());
    assert!(told.contains("do not come from Git"), "{told}");
    is_whole(&stage, &before).await;
    stage.recorded(&[]).await;
}

/// Runs the incident until the engine is gone, and returns the former inventory.
async fn wiped(stage: &Stage, controller: &HelmController, names: Names) -> Inventory {
    let before = stage.inventory().await;
    let remediation = |spec: &mut Value| {
        spec["install"]["remediation"] = json!({"retries": 3});
    };
    stage.release(controller, &older(), remediation).await;
    let last = match names {
        Names::Install => {
            stage.recorded(&["uninstalling"]).await;
            "ClusterRoleBinding "
        }
        // The rights go last, so the uninstall may end, and its record with it.
        Names::Bootstrap => "NetworkPolicy ",
    };
    eventually("the engine is gone", async || {
        let gone = gone(&before, &stage.inventory().await);
        let controllers = gone.iter().filter(|one| one.starts_with("Deployment "));
        let is_over = gone.iter().any(|one| one.starts_with(last));
        if controllers.count() == 6 && is_over {
            Ok(())
        } else {
            Err(gone)
        }
    })
    .await;
    before
}

/// Every object from before is there, and every controller runs the release from before.
pub(crate) async fn is_whole(stage: &Stage, before: &Inventory) {
    // A namespace's default ConfigMap and account are Kubernetes' own.
    assert_eq!(gone(before, &stage.inventory().await), BTreeSet::new());
    assert_eq!(stage.images().await, images(&running()));
}

/// The chart's manifest, as `helm template` renders it.
fn rendered(rescuer: &Rescuer, flux: &Flux) -> String {
    let chart = umbrella(flux);
    let chart = chart.to_string_lossy();
    let output = Helm::Three.offline(&["template", "flux", &chart, "--namespace", HOME]);
    assert!(output.status.success(), "{}", said(&output));
    rescuer.write("chart.yaml", &output.stdout)
}

/// The commands `kubectl patch` in a text, as words without quotes.
pub(crate) fn patches(text: &str) -> Vec<Vec<String>> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("kubectl "));
    let words = |line: &str| {
        let line = line.split("  #").next().unwrap_or_default();
        let words = line
            .split(' ')
            .map(|word| word.trim_matches('\'').to_owned());
        words.collect()
    };
    lines.map(words).collect()
}

/// The apiserver's own cleanup of CRDs fails while storages are rebuilt, and retries minutes later.
pub(crate) async fn free_definitions(stage: &Stage) {
    for definition in running().definitions() {
        let Ok(live) = stage.cluster.get(&definition).await else {
            continue;
        };
        let name = definition["metadata"]["name"].as_str().unwrap();
        let objects = stage.cluster.kubectl(&["get", name, "-A", "-o", "name"]);
        let is_empty = objects.stdout.is_empty();
        if live["metadata"]["deletionTimestamp"].is_string() && is_empty {
            let freed = r#"{"metadata":{"finalizers":null}}"#;
            let patch = ["patch", "crd", name, "--type=merge", "-p", freed];
            let _ = stage.cluster.kubectl(&patch);
        }
    }
}
