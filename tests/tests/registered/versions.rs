//! A FluxInstance whose release the apiserver would refuse: foretold exactly.

use std::collections::BTreeSet;

use fluxkeep_tests::control_plane::{ControlPlane, Webhook, folder};
use fluxkeep_tests::flux::{Flux, HOME, Names};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::objects::one_version;
use crate::stage::said;

const REFUSED: &str = "denied the request: stored-version-dropped: ";
/// Drops versions that Flux 2.4.0 stores.
const NEWER: &str = "2.9.4";

/// The CRD of FluxInstances, which takes any field.
fn instances() -> Value {
    let mut definition = one_version("fluxinstances.fluxcd.controlplane.io");
    definition["spec"]["names"] = json!({"plural": "fluxinstances", "singular": "fluxinstance",
        "kind": "FluxInstance", "listKind": "FluxInstanceList"});
    definition
}

fn instance(version: &str) -> Value {
    let components = [
        "source-controller",
        "kustomize-controller",
        "helm-controller",
        "notification-controller",
    ];
    json!({"apiVersion": "fluxcd.controlplane.io/v1", "kind": "FluxInstance",
        "metadata": {"name": "flux", "namespace": HOME},
        "spec": {"distribution": {"version": version, "registry": "ghcr.io/fluxcd"}, "components": components}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_definitions_the_apiserver_refuses_is_refused_with_their_names_and_a_range_warns()
 {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("instance_versions").await;
    let flux = Flux::release("2.4.0").installed(Names::Install);
    cluster.apply_all(&flux).await;
    cluster.apply_all(&[instances()]).await;
    drop(cluster.api(&instance("2.x")).await);
    let mut refused = BTreeSet::new();
    let params = PatchParams::apply("a-test").force().dry_run();
    for definition in Flux::release(NEWER).definitions() {
        let name = definition["metadata"]["name"].as_str().unwrap();
        let definitions = cluster.api(&definition).await;
        let answer = said(
            definitions
                .patch(name, &params, &Patch::Apply(&definition))
                .await,
        );
        // The components of the FluxInstance bring no CRDs of image controllers.
        if answer.contains("storedVersions") && !name.contains(".image.") {
            refused.insert(name.to_owned());
        }
    }
    assert!(
        !refused.is_empty(),
        "the apiserver takes all of Flux {NEWER}"
    );
    let _webhook = Webhook::guarding(&plane, &cluster).await;
    let told = said(cluster.apply(&instance(NEWER)).await);
    assert!(told.contains(REFUSED), "{told}");
    let crds = flux
        .iter()
        .filter(|one| one["kind"] == "CustomResourceDefinition");
    for name in crds.map(|one| one["metadata"]["name"].as_str().unwrap()) {
        assert_eq!(
            told.contains(&format!("{name}: ")),
            refused.contains(name),
            "{name}: {told}"
        );
    }
    for (version, warns) in [("2.x", true), ("2.4.x", false)] {
        let file = folder("instance").join("instance.json");
        std::fs::write(&file, instance(version).to_string()).unwrap();
        let output = cluster.kubectl(&["apply", "--dry-run=server", "-f", file.to_str().unwrap()]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{version}: {told}");
        assert_eq!(
            told.contains("stored-version-dropped: "),
            warns,
            "{version}: {told}"
        );
    }
}
