//! HelmReleases of hundreds of thousands of small values: a tree of them takes a hundred times the
//! memory of their text.

use fluxkeep_tests::control_plane::{Cluster, ControlPlane, Webhook};
use fluxkeep_tests::flux::{Flux, Names};
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::tenant::{NAMESPACE, Tenant};
use crate::{MOST_MEMORY, ONE_AT_A_TIME};

/// Values in a HelmRelease of 2.8 MB, just below the apiserver's limit for a request.
const VALUES: usize = 350_000;
/// Patches in a HelmRelease of 1.3 MB, just below etcd's limit for an object.
const PATCHES: usize = 100_000;

fn helm_release(name: &str, more: &Value) -> Value {
    let mut object = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"interval": "1h",
            "chart": {"spec": {"chart": "x", "sourceRef": {"kind": "HelmRepository", "name": "x"}}}}});
    for (field, value) in more.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    object
}

async fn creates(cluster: &Cluster, object: &Value, dry_run: bool) {
    let parameters = PostParams {
        dry_run,
        ..PostParams::default()
    };
    let written: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    let api = cluster.api(object).await;
    let created = api.create(&parameters, &written).await;
    assert!(created.is_ok(), "a stranger passes: {created:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wide_helm_releases_of_a_tenant_take_no_memory() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("tenant_wide").await;
    cluster
        .apply_all(&Flux::release("2.4.0").installed(Names::Install))
        .await;
    let webhook = Webhook::guarding(&plane, &cluster).await;
    let tenant = Tenant::settle(&plane, &cluster).await;

    let values = helm_release(
        "values",
        &json!({"values": {"x": vec![json!({"a": 0}); VALUES]}}),
    );
    for _ in 0..3 {
        creates(&tenant.cluster, &values, true).await;
    }
    let patches = json!([{"kustomize": {"patches": vec![json!({"patch": ""}); PATCHES]}}]);
    for number in 0..5 {
        let more = json!({"suspend": true, "postRenderers": patches});
        let object = helm_release(&format!("patches-{number}"), &more);
        creates(&tenant.cluster, &object, false).await;
    }
    // The server has heard of them all once it answers about the last one.
    let last = helm_release("last", &json!({"postRenderers": patches}));
    creates(&tenant.cluster, &last, true).await;
    let peak = webhook.process.peak_memory();
    assert!(peak < MOST_MEMORY, "the server held {peak} bytes");
}
