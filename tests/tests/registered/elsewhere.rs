//! HelmReleases that all live beside Flux, while the server is down.

use fluxkeep_tests::control_plane::{Cluster, ControlPlane, Webhook, asked, eventually};
use serde_json::{Value, json};

use crate::objects::{helm_release, one_version, release_record};
use crate::stage::{said, written};

const DOWN: &str = "failed calling webhook";

pub(crate) fn into(name: &str, namespace: &str, target: &str) -> Value {
    let mut release = helm_release(name, namespace);
    release["spec"]["targetNamespace"] = json!(target);
    release
}

/// A tenant's HelmRelease that claims a stranger's record for the engine.
fn claim(storage: &str, release: &str) -> Value {
    let mut claim = into(release, "tenant", "flux-system");
    claim["spec"]["storageNamespace"] = json!(storage);
    claim["spec"]["releaseName"] = json!(release);
    claim["spec"]["suspend"] = json!(true);
    claim
}

fn changed(mut release: Value) -> Value {
    release["spec"]["interval"] = json!("2h");
    release
}

/// Waits until the record gate's conditions name a Helm release.
pub(crate) async fn knows(cluster: &Cluster, release: &str) {
    let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "fluxkeep"}});
    eventually(&format!("{release} is known"), async || {
        let live = cluster
            .get(&configuration)
            .await
            .map_err(|error| error.to_string())?;
        let conditions = live["webhooks"].to_string();
        if conditions.contains(&format!("sh.helm.release.v1.{release}.v")) {
            Ok(())
        } else {
            Err(conditions)
        }
    })
    .await;
}

async fn down(cluster: &Cluster, record: &Value) {
    eventually("the engine's records are closed", async || {
        let said = written(cluster, record).await;
        if said.contains(DOWN) {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_brings_the_network_back_passes_and_whatever_may_be_flux_does_not() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("kept_beside_flux").await;
    for namespace in [
        "flux-system",
        "apps",
        "kube-system",
        "cert-manager",
        "tenant",
    ] {
        cluster.namespace(namespace).await;
    }
    cluster
        .apply_all(&[one_version("helmreleases.helm.toolkit.fluxcd.io")])
        .await;
    let cilium = into("cilium", "flux-system", "kube-system");
    let moved = into("flux", "apps", "flux-system");
    cluster.apply_all(&[cilium.clone(), moved.clone()]).await;
    cluster
        .apply_all(&[
            claim("flux-system", "kube-system-cilium"),
            claim("cert-manager", "cert-manager"),
        ])
        .await;
    let mut webhook = Webhook::guarding(&plane, &cluster).await;
    for release in ["kube-system-cilium", "flux-system-flux"] {
        knows(&cluster, release).await;
    }
    asked(&cluster).await;
    webhook.process.kill();
    // The incident: Flux is adopted for the first time, by a HelmRelease beside it.
    let adoption = release_record("flux", "flux-system");
    down(&cluster, &adoption).await;
    let pass = [
        changed(cilium.clone()),
        release_record("kube-system-cilium", "flux-system"),
        release_record("cert-manager", "cert-manager"),
        into("cert-manager", "flux-system", "cert-manager"),
        helm_release("shop", "apps"),
        release_record("shop", "apps"),
    ];
    for object in pass {
        assert_eq!(written(&cluster, &object).await, "", "{object}");
    }
    let closed = [
        adoption.clone(),
        helm_release("flux", "flux-system"),
        into("flux2", "apps", "flux-system"),
        changed(moved),
        release_record("flux-system-flux", "apps"),
        release_record("cert-manager", "flux-system"),
    ];
    for object in closed {
        let said = written(&cluster, &object).await;
        assert!(said.contains(DOWN), "{object}: {said}");
    }
    opened_by_hand(&cluster).await;
    webhook.restart().await;
    closed_again(&cluster).await;
}

/// The documented remedy for a wrong refusal.
async fn opened_by_hand(cluster: &Cluster) {
    let patch = r#"{"webhooks": [{"name": "release-record.engine.fluxkeep.io", "failurePolicy": "Ignore"}]}"#;
    let opened = cluster.kubectl(&[
        "patch",
        "validatingwebhookconfiguration",
        "fluxkeep",
        "-p",
        patch,
    ]);
    assert!(
        opened.status.success(),
        "{}",
        String::from_utf8_lossy(&opened.stderr)
    );
    let by_hand = release_record("cert-manager", "flux-system");
    eventually("the documented way out opens", async || {
        let said = said(cluster.create(&by_hand).await);
        if said.is_empty() { Ok(()) } else { Err(said) }
    })
    .await;
}

/// Waits until the server reverts the manual change.
async fn closed_again(cluster: &Cluster) {
    eventually("the server closes it again", async || {
        let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "fluxkeep"}});
        let live = cluster
            .get(&configuration)
            .await
            .map_err(|error| error.to_string())?;
        let webhooks = live["webhooks"].as_array().cloned().unwrap_or_default();
        let record = webhooks
            .iter()
            .find(|one| one["name"] == "release-record.engine.fluxkeep.io");
        match record.map(|record| record["failurePolicy"].clone()) {
            Some(policy) if policy == "Fail" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}
