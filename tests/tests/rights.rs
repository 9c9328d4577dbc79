//! The server's rights are exactly the documented ones, which suffice against the incident. These
//! tests cover missing rights.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs
)]

use fluxkeep_tests::control_plane::{Cluster, ControlPlane, Webhook, eventually};
use fluxkeep_tests::flux::HOME;
use serde_json::{Value, json};

/// Removes fluxkeep's rights for a resource with these verbs.
async fn without(cluster: &Cluster, resource: &str, verbs: &Value) {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "fluxkeep"}});
    let live = cluster.get(&role).await.unwrap();
    let rules = live["rules"].as_array().unwrap();
    let kept: Vec<_> = rules
        .iter()
        .filter(|rule| rule["resources"][0] != resource || rule["verbs"] != *verbs)
        .collect();
    assert_eq!(kept.len() + 1, rules.len(), "{rules:?}");
    let mut lesser = role.clone();
    lesser["rules"] = json!(kept);
    cluster.apply(&lesser).await.unwrap();
    let what = json!({"group": "", "resource": resource, "verb": verbs[0]});
    cluster.until_allowed("fluxkeep", &what, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_may_not_be_written_keeps_no_webhook_away_and_the_log_names_the_right() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("policy_may_not_be_written").await;
    cluster.namespace(HOME).await;
    let own = plane.own_account(&cluster).await;
    without(&cluster, "namespaces", &json!(["get"])).await;
    let webhook = Webhook::launch(&plane, &own, [] as [&str; 0], true).await;
    for kind in [
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    ] {
        let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": {"name": "fluxkeep"}});
        eventually(&format!("{kind} is there"), async || {
            cluster.get(&configuration).await
        })
        .await;
    }
    eventually("the failure is counted and told", async || {
        let failed = webhook
            .counted(r#"fluxkeep_registration_changes_total{change="failed"}"#)
            .await;
        let told = webhook.process.tail(20);
        if failed > 0.0 && told.contains(r#"must have \"get\" permission"#) {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
}

/// A stolen token of fluxkeep can change fluxkeep's registration and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn with_the_rights_by_name_it_keeps_its_registration_and_nothing_else_can_be_registered() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("rights_by_name").await;
    cluster.namespace(HOME).await;
    let own = plane.own_account(&cluster).await;
    let webhook = Webhook::launch(&plane, &own, [] as [&str; 0], true).await;
    let all = [
        ("MutatingWebhookConfiguration", "fluxkeep"),
        ("ValidatingWebhookConfiguration", "fluxkeep"),
        ("ValidatingAdmissionPolicy", "engine-deleted.fluxkeep.io"),
        (
            "ValidatingAdmissionPolicyBinding",
            "engine-deleted.flux-system.fluxkeep.io",
        ),
        (
            "ValidatingAdmissionPolicy",
            "override-in-release.fluxkeep.io",
        ),
    ];
    for (kind, name) in all {
        let object = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}});
        let first = eventually(&format!("{kind} is there"), async || {
            cluster.get(&object).await
        })
        .await;
        cluster.delete(&object).await.unwrap();
        eventually(&format!("{kind} is back"), async || {
            match cluster.get(&object).await {
                Ok(is) if is["metadata"]["uid"] != first["metadata"]["uid"] => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
    assert!(
        webhook
            .counted(r#"fluxkeep_registration_changes_total{change="failed"}"#)
            .await
            .abs()
            < 0.5
    );
    let kinds = [
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
    ];
    for resource in kinds {
        for verb in ["get", "create", "patch", "delete"] {
            let what = json!({"group": "admissionregistration.k8s.io", "resource": resource, "verb": verb, "name": "other"});
            cluster.until_allowed("fluxkeep", &what, false).await;
        }
        for verb in ["list", "create", "deletecollection"] {
            let what = json!({"group": "admissionregistration.k8s.io", "resource": resource, "verb": verb});
            cluster.until_allowed("fluxkeep", &what, false).await;
        }
    }
}
