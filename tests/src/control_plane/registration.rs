//! The server's registration, by its own command.

use std::process::Command;

use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use super::{Cluster, Webhook, eventually, folder, own, said};
use crate::flux::HOME;

impl Webhook {
    /// Has the apiserver of a cluster in which Flux is ask it, and waits until it does.
    ///
    /// # Panics
    /// With what `register` says where it fails.
    pub async fn register(&self, cluster: &Cluster) {
        let authority = folder("authority").join("ca.crt");
        std::fs::write(&authority, &self.authority).expect("a writable folder");
        let mut command = Command::new(own("fluxkeep-webhook"));
        command.args(["register", "--url", &self.url]).arg("--ca-file").arg(authority);
        let output = command.arg("--kubeconfig").arg(&cluster.kubeconfig).output().expect("fluxkeep-webhook");
        assert!(output.status.success(), "{}", said(&output));
        refused("a broken record is refused", async || store_a_record(cluster).await).await;
        refused("taking a label off is refused", async || take_a_label(cluster).await).await;
    }
}

/// Until the apiserver has seen a configuration, it lets through what it will have refused.
async fn refused(what: &str, ask: impl AsyncFn() -> kube::Result<()>) {
    eventually(what, async || match ask().await {
        Err(kube::Error::Api(answer)) if answer.message.starts_with("admission webhook") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

async fn store_a_record(cluster: &Cluster) -> kube::Result<()> {
    let record = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sh.helm.release.v1.probe.v1",
        "namespace": "default", "labels": {"owner": "helm"}}, "data": {"release": "no record"}});
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let object = serde_json::from_value(record.clone()).expect("an object");
    cluster.api(&record).await.create(&dry, &object).await.map(|_| ())
}

async fn take_a_label(cluster: &Cluster) -> kube::Result<()> {
    let home = json!({"apiVersion": "v1", "kind": "Namespace"});
    let patch = Patch::Merge(json!({"metadata": {"labels": {"app.kubernetes.io/part-of": null}}}));
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    cluster.api(&home).await.patch(HOME, &dry, &patch).await.map(|_| ())
}
