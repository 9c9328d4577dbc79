//! The twin in the apiserver itself.

use fluxkeep_tests::control_plane::{eventually, folder};
use fluxkeep_tests::deletes::{Deletion, deletions};
use serde_json::{Value, json};

use crate::objects::{BUCKETS, one_version};
use crate::stage::{BY_TWIN, BY_WEBHOOK, Stage};

const GRANTS_BY_TWIN: &str = "ValidatingAdmissionPolicy 'override-in-release.fluxkeep.io'";

fn objects() -> Vec<Value> {
    deletions()
        .into_iter()
        .map(|deletion| deletion.object)
        .collect()
}

impl Stage {
    /// Kills the server and deletes the webhook configurations; the policies remain.
    async fn without_webhooks(&mut self) {
        self.webhook.process.kill();
        for kind in [
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
        ] {
            let api = "admissionregistration.k8s.io/v1";
            let configuration =
                json!({"apiVersion": api, "kind": kind, "metadata": {"name": "fluxkeep"}});
            self.cluster.delete(&configuration).await.unwrap();
        }
    }

    /// Waits until the policy about overrides is active. The apiserver loads each policy separately.
    async fn until_helm_grants_nothing(&self) {
        let grant = [
            "annotate",
            "crd",
            BUCKETS,
            "fluxkeep.io/allow=engine-deleted",
            "--field-manager=helm",
            "--dry-run=server",
        ];
        eventually("an override by Helm is refused", async || {
            let output = self.cluster.kubectl(&grant);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if said.contains(GRANTS_BY_TWIN) {
                Ok(())
            } else {
                Err(said)
            }
        })
        .await;
    }
}

fn role(labels: &Value) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": [],
        "metadata": {"name": "a-role", "labels": labels}})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_twin_refuses_exactly_the_deletions_that_the_webhook_refuses() {
    let mut stage = Stage::set("the_twin").await;
    stage.cluster.apply_all(&objects()).await;
    stage.register(&[]);
    stage.until(BY_WEBHOOK).await;
    for Deletion {
        object, refused, ..
    } in deletions()
    {
        let said = stage.deleted(&object).await;
        assert_eq!(
            said.contains(BY_WEBHOOK),
            refused,
            "the webhook on {object}: {said}"
        );
        assert_eq!(said.is_empty(), !refused, "{object}: {said}");
    }
    assert!(
        stage.all_deleted().await.contains(BY_WEBHOOK),
        "a request for a collection has no name"
    );
    stage.without_webhooks().await;
    stage.until(BY_TWIN).await;
    for Deletion {
        object, refused, ..
    } in deletions()
    {
        let said = stage.deleted(&object).await;
        assert_eq!(
            said.contains(BY_TWIN) && said.contains("Forbidden"),
            refused,
            "the twin on {object}: {said}"
        );
        assert_eq!(said.is_empty(), !refused, "{object}: {said}");
    }
    assert!(
        stage.all_deleted().await.contains(BY_TWIN),
        "a request for a collection has no name"
    );
    let home = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system", "annotations": {
        "fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "moving", "fluxkeep.io/until": "2026-12-01T18:00:00Z"}}});
    stage.cluster.apply(&home).await.unwrap();
    stage.until("").await;
    for Deletion { object, .. } in deletions() {
        assert_eq!(
            stage.deleted(&object).await,
            "",
            "an override on the Namespace covers {object}"
        );
    }
}

/// The apiserver reads a policy's parameter before its conditions: `Deny` would refuse everyone.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_engines_namespace_the_twin_refuses_no_deletion() {
    let mut stage = Stage::set("without_the_namespace").await;
    let policy = folder("policy").join("policy.yaml");
    std::fs::write(&policy, "engine: {namespaces: [nowhere]}\n").unwrap();
    stage.register(&["--policy", policy.to_str().unwrap()]);
    stage.without_webhooks().await;
    stage.cluster.apply_all(&[one_version(BUCKETS)]).await;
    // The policy that needs no Namespace shows when both are active.
    stage.until_helm_grants_nothing().await;
    stage.cluster.apply_all(&[role(&json!({}))]).await;
    for object in [role(&json!({})), one_version(BUCKETS)] {
        assert_eq!(stage.deleted(&object).await, "", "{object}");
    }
}
