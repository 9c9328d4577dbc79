//! Waits for a registration to take effect: the apiserver lets requests pass until it has seen the
//! registration.

use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use super::{Cluster, ControlPlane, Webhook, eventually};
use crate::flux::HOME;

impl Webhook {
    /// Starts a server that keeps itself registered, with only the documented rights, over a
    /// cluster with Flux. Waits until the apiserver asks the server.
    pub async fn guarding(plane: &ControlPlane, cluster: &Cluster) -> Self {
        let own = plane.own_account(cluster).await;
        let webhook = Self::launch(plane, &own, [] as [&str; 0], true).await;
        asked(cluster).await;
        webhook
    }
}

/// Waits until the apiserver asks in both phases: it loads each configuration separately.
pub async fn asked(cluster: &Cluster) {
    validated(cluster).await;
    refused("deleting the engine's Namespace is refused", async || {
        delete_home(cluster).await
    })
    .await;
}

/// Waits until the apiserver asks in the validating phase.
pub async fn validated(cluster: &Cluster) {
    refused("a broken record is refused", async || {
        store_a_record(cluster).await
    })
    .await;
}

async fn refused(what: &str, ask: impl AsyncFn() -> kube::Result<()>) {
    eventually(what, async || match ask().await {
        Err(kube::Error::Api(answer)) if answer.message.starts_with("admission webhook") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

async fn store_a_record(cluster: &Cluster) -> kube::Result<()> {
    let record = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sh.helm.release.v1.probe.v1",
        "namespace": HOME, "labels": {"owner": "helm"}}, "data": {"release": "no record"}});
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let object = serde_json::from_value(record.clone()).expect("an object");
    cluster
        .api(&record)
        .await
        .create(&dry, &object)
        .await
        .map(|_| ())
}

async fn delete_home(cluster: &Cluster) -> kube::Result<()> {
    let home = json!({"apiVersion": "v1", "kind": "Namespace"});
    let dry = DeleteParams::default().dry_run();
    let namespaces = cluster.api(&home).await;
    namespaces.delete(HOME, &dry).await.map(|_| ())
}
