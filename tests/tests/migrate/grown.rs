//! Flux's CRDs with 5,000 objects that grew over its releases: the refused upgrade passes after the
//! migration, and nothing else has changed.

use std::collections::BTreeMap;

use fluxkeep_tests::control_plane::{Cluster, ControlPlane, eventually, said};
use fluxkeep_tests::flux::Flux;
use futures::{StreamExt, stream};
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::stage::Stage;

const OBJECTS: usize = 5_000;
/// Requests of the test at the same time.
const AT_ONCE: usize = 32;
const CRD: &str = "helmreleases.helm.toolkit.fluxcd.io";
const GROUP: &str = "helm.toolkit.fluxcd.io";
/// A release of each storage version, and that version.
const TIMES: [(&str, &str); 3] = [("2.0.1", "v2beta1"), ("2.2.3", "v2beta2"), ("2.6.4", "v2")];

fn helm_release(place: usize, version: &str) -> Value {
    json!({"apiVersion": format!("{GROUP}/{version}"), "kind": "HelmRelease",
        "metadata": {"name": format!("app-{place}"), "namespace": "default"},
        "spec": {"interval": "1h", "made": version, "chart": {"spec": {"chart": "podinfo"}}}})
}

fn definition(release: &str) -> Value {
    let mut definitions = Flux::release(release).definitions().into_iter();
    definitions
        .find(|definition| definition["metadata"]["name"] == CRD)
        .expect("every release has it")
}

/// A third of the objects at the time of each release.
async fn grow(cluster: &Cluster) {
    for (time, (release, version)) in TIMES.iter().enumerate() {
        cluster.apply_all(&[definition(release)]).await;
        let api = cluster.api(&helm_release(0, version)).await;
        let places = (0..OBJECTS).filter(|place| place % TIMES.len() == time);
        let writes = places.map(|place| {
            let object: kube::api::DynamicObject =
                serde_json::from_value(helm_release(place, version)).expect("an object");
            let api = api.clone();
            async move {
                eventually("an object is taken", async || {
                    match api.create(&kube::api::PostParams::default(), &object).await {
                        Ok(_) => Ok(()),
                        Err(kube::Error::Api(answer)) if answer.code == 409 => Ok(()),
                        Err(error) => Err(error.to_string()),
                    }
                })
                .await;
            }
        });
        stream::iter(writes)
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<()>>()
            .await;
    }
}

/// Spec and generation of each object.
async fn objects(cluster: &Cluster) -> BTreeMap<String, Value> {
    let api = cluster.api(&helm_release(0, "v2")).await;
    let all = api.list(&ListParams::default()).await.expect("a list");
    let mut objects = BTreeMap::new();
    for object in all.items {
        let kept = json!({"spec": object.data["spec"], "generation": object.metadata.generation});
        objects.insert(object.metadata.name.unwrap_or_default(), kept);
    }
    objects
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_objects_of_three_times_are_migrated_and_the_refused_upgrade_passes() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("migrate-grown").await;
    grow(&cluster).await;
    let before = objects(&cluster).await;
    assert_eq!(before.len(), OBJECTS);
    let stored = plane.stored_versions(GROUP, "helmreleases");
    assert_eq!(stored.len(), TIMES.len(), "{stored:?}");
    let refused = cluster.apply(&definition("2.8.8")).await;
    assert!(refused.is_err(), "the upgrade passes already");

    let done = Stage::command_as(&cluster.kubeconfig, &[]).output();
    let done = done.expect("fluxkeep");
    assert!(done.status.success(), "{}", said(&done));
    let stored = plane.stored_versions(GROUP, "helmreleases");
    assert_eq!(stored, [("v2".to_owned(), OBJECTS)].into());
    cluster
        .apply(&definition("2.8.8"))
        .await
        .expect("the upgrade passes");
    assert!(before == objects(&cluster).await, "an object has changed");
}
