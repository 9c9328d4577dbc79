//! The Kustomization that applies Flux, its source and the source's Secret, deleted by hand.

use fluxkeep_tests::control_plane::{Cluster, ControlPlane, Webhook, eventually};
use fluxkeep_tests::flux::{Flux, HOME, Names};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::stage::said;

fn kustomization(name: &str, prune: bool) -> Value {
    json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": HOME},
        "spec": {"interval": "1h", "path": "./", "prune": prune,
            "sourceRef": {"kind": "GitRepository", "name": "flux-system"}}})
}

fn secret(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": HOME}})
}

/// Flux as `flux bootstrap` leaves it: applied by a Kustomization from a source with a Secret.
async fn bootstrapped(cluster: &Cluster) {
    let mut flux = Flux::release("2.4.0").installed(Names::Bootstrap);
    for object in &mut flux {
        object["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] = json!("flux-system");
        object["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/namespace"] = json!(HOME);
    }
    cluster.apply_all(&flux).await;
    let source = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": "flux-system", "namespace": HOME},
        "spec": {"interval": "1h", "url": "ssh://git@example.org/fleet", "secretRef": {"name": "deploy-key"}}});
    let all = [
        source,
        secret("deploy-key"),
        secret("token"),
        kustomization("apps", true),
    ];
    cluster.apply_all(&all).await;
    let root = kustomization("flux-system", true);
    cluster.apply_all(std::slice::from_ref(&root)).await;
    let ids = [
        "_buckets.source.toolkit.fluxcd.io_apiextensions.k8s.io_CustomResourceDefinition",
        "flux-system_source-controller_apps_Deployment",
    ];
    let entries = ids.map(|id| json!({"id": id, "v": "v1"}));
    let status = json!({"inventory": {"entries": entries}});
    cluster.patch_status(&root, &status).await.unwrap();
}

async fn dry_deleted(cluster: &Cluster, object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().unwrap();
    let dry = DeleteParams::default().dry_run();
    said(cluster.api(object).await.delete(name, &dry).await)
}

/// What kubectl prints when it deletes an object in a dry run, which must succeed.
fn warned(cluster: &Cluster, object: &str) -> String {
    let output = cluster.kubectl(&["delete", "--dry-run=server", "-n", HOME, object]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{object}: {told}");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn what_applies_flux_is_kept_what_feeds_it_is_warned_of_and_applications_go_in_silence() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("root_kustomization").await;
    bootstrapped(&cluster).await;
    let _webhook = Webhook::guarding(&plane, &cluster).await;
    let root = kustomization("flux-system", true);
    eventually("the root Kustomization is kept", async || {
        let told = dry_deleted(&cluster, &root).await;
        if told.contains("denied the request: engine-deleted: ") {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
    assert_eq!(
        dry_deleted(&cluster, &kustomization("apps", true)).await,
        ""
    );
    let source = "engine-source-deleted: ";
    assert!(warned(&cluster, "gitrepository/flux-system").contains(source));
    eventually("the Secret of Flux's source is warned of", async || {
        let told = warned(&cluster, "secret/deploy-key");
        if told.contains(source) {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
    assert_eq!(warned(&cluster, "secret/token"), "");
    // Suspended, it prunes nothing.
    let suspended = json!({"spec": {"suspend": true}});
    let (params, patch) = (PatchParams::default(), Patch::Merge(&suspended));
    let roots = cluster.api(&root).await;
    roots.patch("flux-system", &params, &patch).await.unwrap();
    assert_eq!(dry_deleted(&cluster, &root).await, "");
}
