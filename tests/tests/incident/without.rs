//! Without fluxkeep: the incident as it happened.

use std::collections::BTreeSet;

use fluxkeep_tests::control_plane::{HelmController, Inventory, eventually};
use fluxkeep_tests::flux::Names;
use serde_json::{Value, json};

use crate::stage::{Stage, gone, images, older, running};

#[tokio::test]
async fn with_the_names_of_install_yaml_it_deletes_the_controllers_until_it_has_deleted_its_rights()
{
    let stage = Stage::set("incident-install", Names::Install).await;
    let (_controller, before) = remediated(&stage).await;
    stage.recorded(&["uninstalling"]).await;
    let deleted = named(
        &running().installed(Names::Install),
        &["Service", "Deployment", "ClusterRoleBinding"],
    );
    // Whether a ClusterRole is still deleted is a race between the deletions and the lost rights.
    lost(&stage, &before, &deleted, &["ClusterRole "]).await;
    stage.recorded(&["uninstalling"]).await;
}

#[tokio::test]
async fn with_the_names_of_bootstrap_its_rights_last_and_everything_goes() {
    let stage = Stage::set("incident-bootstrap", Names::Bootstrap).await;
    let (_controller, before) = remediated(&stage).await;
    // The rights go last, so the uninstall may end, and its record with it.
    let kinds = [
        "CustomResourceDefinition",
        "Service",
        "Deployment",
        "ServiceAccount",
        "NetworkPolicy",
    ];
    let mut deleted = named(&running().installed(Names::Bootstrap), &kinds);
    // The CRD of the HelmRelease waits for that HelmRelease's finalizer.
    let own = "CustomResourceDefinition helmreleases.helm.toolkit.fluxcd.io";
    assert!(deleted.remove(own));
    lost(&stage, &before, &deleted, &[own]).await;
    assert!(is_terminating(&stage, "HelmRelease").await);
}

#[tokio::test]
async fn without_retries_it_deletes_nothing_and_leaves_the_controllers_at_the_older_version() {
    let stage = Stage::set("incident-no-retries", Names::Install).await;
    let controller = HelmController::start(&stage.plane, &stage.cluster).await;
    let before = stage.inventory().await;
    assert_eq!(stage.images().await, images(&running()));
    stage.release(&controller, &older(), |_| ()).await;
    let why = stage.told("Released", "InstallFailed").await;
    assert!(
        why.contains(
            r#"status.storedVersions[0]: Invalid value: "v1": missing from spec.versions"#
        ),
        "{why}"
    );
    stage.recorded(&["failed"]).await;
    assert_eq!(gone(&before, &stage.inventory().await), BTreeSet::new());
    assert_eq!(stage.images().await, images(&older()));
}

/// Runs the incident with its remediation, and returns the controller and the former inventory.
async fn remediated(stage: &Stage) -> (HelmController, Inventory) {
    let controller = HelmController::start(&stage.plane, &stage.cluster).await;
    let before = stage.inventory().await;
    stage
        .release(&controller, &older(), |spec| {
            spec["install"]["remediation"] = json!({"retries": 3});
        })
        .await;
    (controller, before)
}

/// Waits until exactly these objects are gone; objects that start with one of `any` do not count.
async fn lost(stage: &Stage, before: &Inventory, deleted: &BTreeSet<String>, any: &[&str]) {
    eventually(&format!("deleted are {deleted:?}"), async || {
        let mut seen = gone(before, &stage.inventory().await);
        seen.retain(|object| !any.iter().any(|start| object.starts_with(start)));
        if seen == *deleted { Ok(()) } else { Err(seen) }
    })
    .await;
}

/// The names of objects of these kinds, in the inventory's form.
fn named(objects: &[Value], kinds: &[&str]) -> BTreeSet<String> {
    let text = |object: &Value, pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let of_kind = objects
        .iter()
        .filter(|object| kinds.iter().any(|kind| object["kind"] == *kind));
    let name = |object: &Value| {
        let space = text(object, "/metadata/namespace")
            .map(|space| format!("{space}/"))
            .unwrap_or_default();
        Some(format!(
            "{} {space}{}",
            text(object, "/kind")?,
            text(object, "/metadata/name")?
        ))
    };
    of_kind.filter_map(name).collect()
}

async fn is_terminating(stage: &Stage, kind: &str) -> bool {
    let definitions = running().definitions();
    let definition = definitions
        .iter()
        .find(|one| one["spec"]["names"]["kind"] == kind)
        .unwrap();
    match stage.cluster.get(definition).await {
        Ok(live) => live["metadata"]["deletionTimestamp"].is_string(),
        Err(_) => true,
    }
}
