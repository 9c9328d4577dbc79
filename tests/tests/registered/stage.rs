//! A cluster with the server, and the answers in that cluster.

use std::path::PathBuf;
use std::process::Command;

use fluxkeep_tests::control_plane::{Cluster, ControlPlane, Webhook, eventually, folder, own};
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::objects::controller;

/// A cluster, the server, and the registration.
pub(crate) struct Stage {
    // Dropped first, so that a failed test's state is written before the control plane ends.
    pub(crate) cluster: Cluster,
    pub(crate) plane: ControlPlane,
    pub(crate) webhook: Webhook,
    authority: PathBuf,
}

impl Stage {
    pub(crate) async fn set(test: &str) -> Self {
        let plane = ControlPlane::start().await;
        let cluster = plane.cluster(test).await;
        let webhook = Webhook::start(&plane, [] as [&str; 0]).await;
        let authority = folder("authority").join("ca.crt");
        std::fs::write(&authority, &webhook.authority).unwrap();
        for namespace in ["flux-system", "elsewhere"] {
            cluster.namespace(namespace).await;
        }
        Self {
            cluster,
            plane,
            webhook,
            authority,
        }
    }

    pub(crate) fn run(&self, command: &str, more: &[&str]) -> String {
        let mut program = Command::new(own("fluxkeep-webhook"));
        program
            .arg(command)
            .arg("--kubeconfig")
            .arg(self.plane.kubeconfig())
            .args(more);
        let output = program.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn register(&self, more: &[&str]) -> String {
        let authority = self.authority.to_str().unwrap();
        self.run(
            "register",
            &[&["--url", &self.webhook.url, "--ca-file", authority], more].concat(),
        )
    }

    /// The number of reviews at a door, with any decision.
    pub(crate) async fn reviews(&self, door: &str) -> u32 {
        let mut sum = 0.0;
        for decision in ["allow", "warn", "refuse", "error"] {
            let labels = format!(r#"{{door="{door}",decision="{decision}"}}"#);
            sum += self
                .webhook
                .counted(&format!("fluxkeep_admission_reviews_total{labels}"))
                .await;
        }
        format!("{sum}").parse().expect("a whole number")
    }

    /// The refusal of a dry-run deletion; empty if the deletion would succeed.
    pub(crate) async fn deleted(&self, object: &Value) -> String {
        let name = object
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap();
        let dry = DeleteParams::default().dry_run();
        said(self.cluster.api(object).await.delete(name, &dry).await)
    }

    /// The refusal of a dry-run deletion of all Deployments in the engine's namespace.
    pub(crate) async fn all_deleted(&self) -> String {
        let deployments = self.cluster.api(&controller(&json!({}))).await;
        let dry = DeleteParams::default().dry_run();
        said(
            deployments
                .delete_collection(&dry, &ListParams::default())
                .await,
        )
    }

    /// Waits until a controller's deletion has this answer.
    pub(crate) async fn until(&self, part: &str) {
        let controller = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "source-controller", "namespace": "flux-system"}});
        eventually(
            &format!("a deletion is answered with {part:?}"),
            async || {
                let said = self.deleted(&controller).await;
                if said.contains(part) && said.is_empty() == part.is_empty() {
                    Ok(())
                } else {
                    Err(said)
                }
            },
        )
        .await;
    }
}

/// The refusal of a write of an object, or of its status if it has one.
pub(crate) async fn written(cluster: &Cluster, object: &Value) -> String {
    match object.get("status") {
        Some(status) => said(cluster.patch_status(object, status).await),
        None => said(cluster.apply(object).await),
    }
}

pub(crate) fn said<T>(answer: kube::Result<T>) -> String {
    answer
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

pub(crate) const BY_WEBHOOK: &str =
    "admission webhook \"engine-deleted.engine.fluxkeep.io\" denied the request: engine-deleted: ";
pub(crate) const BY_TWIN: &str = "ValidatingAdmissionPolicy 'engine-deleted.fluxkeep.io'";
pub(crate) const DOWN: &str = "failed calling webhook \"engine-deleted.engine.fluxkeep.io\"";
