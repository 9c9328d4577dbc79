//! `fluxkeep snapshot --recovery`.

use std::collections::BTreeSet;
use std::path::Path;

use fluxkeep::recovery::key;
use fluxkeep_tests::control_plane::{ControlPlane, said};
use serde_json::json;

use crate::stage::{Stage, deployment, flux, point, secret};

/// The point holds every object of Flux, and brings each back as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_point_of_the_command_brings_back_all_that_was_installed() {
    let stage = Stage::set("recovery-snapshot").await;
    stage.cluster.apply_all(&[secret()]).await;
    let file = stage.path("flux.point");
    let done = stage.fluxkeep(&["snapshot", "--recovery", &file]);
    assert!(done.status.success(), "{}", said(&done));
    assert!(
        said(&done).contains("Flux 2.4.0 in flux-system"),
        "{}",
        said(&done)
    );

    let point = point(&file);
    let wanted: BTreeSet<_> = flux().iter().map(key).collect();
    assert_eq!(point.keys().into_iter().collect::<BTreeSet<_>>(), wanted);
    assert!(!format!("{:?}", point.objects()).contains("hunter2"));
    let oldest =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}});
    let oldest = stage.cluster.get(&oldest).await.unwrap();
    assert_eq!(
        point.head.cluster.as_deref(),
        oldest["metadata"]["uid"].as_str()
    );
    assert_eq!(stage.differs(&point).await, []);

    for object in flux() {
        match object["kind"].as_str() {
            // Without controllers, a Namespace is never gone.
            Some("Namespace") => {}
            Some("CustomResourceDefinition") => stage.cluster.take_away(&object).await,
            _ => stage.cluster.delete(&object).await.unwrap(),
        }
    }
    assert_eq!(stage.differs(&point).await.len(), wanted.len() - 1);
    stage.cluster.apply_all(point.objects()).await;
    assert_eq!(stage.differs(&point).await, []);
}

/// A change by hand shows as the difference that it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_since_the_point_is_named() {
    let stage = Stage::set("recovery-difference").await;
    let file = stage.path("flux.point");
    let done = stage.fluxkeep(&["snapshot", "--recovery", &file]);
    assert!(done.status.success(), "{}", said(&done));
    let mut changed = deployment("source-controller");
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = json!("example.org/other:v1");
    stage.cluster.apply(&changed).await.unwrap();
    let told: Vec<String> = stage
        .differs(&point(&file))
        .await
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        told,
        [
            "Deployment flux-system/source-controller: spec.template.spec.containers[manager].image is \
          \"example.org/other:v1\", the recovery point has \"ghcr.io/fluxcd/source-controller:v1.4.1\""
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_not_available_is_told_and_strictly_no_point() {
    let stage = Stage::set("recovery-strict").await;
    stage.report(&deployment("helm-controller"), 0).await;
    let file = stage.path("flux.point");
    let why = "Deployment flux-system/helm-controller: 0 of 1 pods are available";
    let refused = stage.fluxkeep(&["snapshot", "--strict", "--recovery", &file]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains(why), "{}", said(&refused));
    assert!(!Path::new(&file).exists());
    let done = stage.fluxkeep(&["snapshot", "--recovery", &file]);
    assert!(
        done.status.success() && said(&done).contains(why),
        "{}",
        said(&done)
    );
    assert_eq!(point(&file).head.flux.as_deref(), Some("2.4.0"));
}

/// An older point in the file stays.
#[tokio::test(flavor = "multi_thread")]
async fn without_flux_there_is_no_point() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("recovery-none").await;
    let stage = Stage {
        cluster,
        plane,
        folder: fluxkeep_tests::control_plane::folder("recovery"),
    };
    let file = stage.path("flux.point");
    std::fs::write(&file, "older").unwrap();
    let failed = stage.fluxkeep(&["snapshot", "--recovery", &file]);
    assert_eq!(failed.status.code(), Some(2), "{}", said(&failed));
    let told = said(&failed);
    assert!(
        told.contains("no controller of Flux in namespace flux-system"),
        "{told}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "older");
    let two = stage.fluxkeep(&["snapshot", "--namespace", "a,b", "--recovery", &file]);
    assert!(said(&two).contains("name one namespace"), "{}", said(&two));
}
