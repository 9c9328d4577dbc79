//! Flux cut off on a real apiserver: by the status of its CRDs, by NetworkPolicies, and by the loss of
//! a role that its bindings refer to.

use fluxkeep_tests::control_plane::{Cluster, ControlPlane, Webhook, eventually, folder};
use fluxkeep_tests::flux::{Flux, HOME, Names};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::objects::{BUCKETS, THINGS, one_version};
use crate::stage::{said, written};

const DISABLED: &str = "denied the request: engine-disabled: ";
const RIGHTS: &str = "denied the request: engine-rights-lost: ";

/// A cluster with Flux 2.4.0 and these objects more, guarded by a server that follows it.
async fn guarded(test: &str, without: &str, more: &[Value]) -> (ControlPlane, Cluster, Webhook) {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster(test).await;
    let mut flux = Flux::release("2.4.0").installed(Names::Install);
    flux.retain(|object| object["kind"] != without);
    flux.extend(more.iter().cloned());
    cluster.apply_all(&flux).await;
    let webhook = Webhook::guarding(&plane, &cluster).await;
    (plane, cluster, webhook)
}

fn status(name: &str, conditions: &Value) -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": name}, "status": {"conditions": conditions}})
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_the_conditions_off_a_definition_of_flux_by_which_its_objects_are_served() {
    let (_plane, cluster, _webhook) = guarded("hidden_status", "", &[one_version(THINGS)]).await;
    let live = cluster.get(&status(BUCKETS, &json!([]))).await.unwrap();
    let was = live["status"]["conditions"].clone();
    let mut ending = was.clone();
    let end = json!({"type": "Terminating", "status": "True", "reason": "A", "message": "a",
        "lastTransitionTime": "2026-12-01T00:00:00Z"});
    ending.as_array_mut().unwrap().push(end);
    for conditions in [json!([]), ending] {
        let refused = written(&cluster, &status(BUCKETS, &conditions)).await;
        assert!(refused.contains(DISABLED), "{conditions}: {refused}");
    }
    let kept = cluster.get(&live).await.unwrap();
    assert_eq!(kept["status"]["conditions"], was);
    // The same conditions, and any of a stranger's definition, are written.
    assert_eq!(written(&cluster, &status(BUCKETS, &was)).await, "");
    assert_eq!(written(&cluster, &status(THINGS, &json!([]))).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apiserver_establishes_and_ends_a_definition_of_flux_under_the_guard() {
    let (_plane, cluster, _webhook) = guarded("own_conditions", "", &[]).await;
    let new = one_version("gadgets.source.toolkit.fluxcd.io");
    cluster.apply_all(std::slice::from_ref(&new)).await;
    cluster
        .condition(&new, "Established", "InitialNamesAccepted")
        .await;
    excused(&cluster, &new).await;
    cluster.delete(&new).await.unwrap();
    eventually("the definition is gone", async || {
        match cluster.get(&new).await {
            Err(_) => Ok(()),
            Ok(live) => Err(live["status"]["conditions"].to_string()),
        }
    })
    .await;
}

/// Lets an object of Flux be deleted for an hour.
async fn excused(cluster: &Cluster, object: &Value) {
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let annotations = json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "a test",
        "fluxkeep.io/until": until.to_string()});
    let patch = json!({"metadata": {"annotations": annotations}});
    let name = object["metadata"]["name"].as_str().unwrap();
    let objects = cluster.api(object).await;
    let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
    objects.patch(name, &params, &patch).await.unwrap();
}

fn policy(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": HOME}, "spec": spec})
}

/// The warnings that kubectl prints when it applies an object, which must succeed.
fn warnings(cluster: &Cluster, object: &Value) -> String {
    let file = folder("policy").join("policy.json");
    std::fs::write(&file, object.to_string()).unwrap();
    let output = cluster.kubectl(&["apply", "-f", file.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_denies_all_warns_once_none_is_left_that_lets_flux_talk() {
    let allow = policy(
        "allow-egress",
        &json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": [{}],
            "ingress": [{"from": [{"podSelector": {}}]}]}),
    );
    let without = "NetworkPolicy";
    let (_plane, cluster, _webhook) =
        guarded("denied", without, std::slice::from_ref(&allow)).await;
    let deny = |name: &str| {
        policy(
            name,
            &json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
        )
    };
    assert_eq!(warnings(&cluster, &deny("beside")), "");
    cluster.delete(&deny("beside")).await.unwrap();
    let deleted = cluster.kubectl(&["delete", "networkpolicy", "-n", HOME, "allow-egress"]);
    let told = String::from_utf8_lossy(&deleted.stderr).into_owned();
    assert!(
        deleted.status.success() && told.contains("engine-deleted: "),
        "{told}"
    );
    let mut number = 0;
    eventually(
        "a warning of the server that saw the deletion",
        async || {
            number += 1;
            let told = warnings(&cluster, &deny(&format!("deny-{number}")));
            // A policy that stands already denies the same.
            cluster
                .delete(&deny(&format!("deny-{number}")))
                .await
                .unwrap();
            if told.contains("engine-disabled: ") && told.contains("reach the apiserver") {
                Ok(())
            } else {
                Err(told)
            }
        },
    )
    .await;
}

fn role(name: &str, groups: &[&str]) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
        "rules": [{"apiGroups": groups, "resources": ["*"], "verbs": ["*"]}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_only_a_binding_of_flux_refers_to_is_guarded_by_its_name() {
    let platform = role("platform", &["*"]);
    let mut binding = crate::objects::binding(&["helm-controller", "kustomize-controller"]);
    binding["metadata"]["name"] = json!("cluster-reconciler-flux-system");
    binding["roleRef"]["name"] = json!("platform");
    let more = [platform.clone(), role("operator", &["*"]), binding];
    let (_plane, cluster, _webhook) = guarded("bound_roles", "", &more).await;
    // Flux's usual binding would keep the rights.
    let usual = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "cluster-reconciler"}});
    excused(&cluster, &usual).await;
    cluster.delete(&usual).await.unwrap();
    let dry = DeleteParams::default().dry_run();
    eventually("the role is guarded", async || {
        let roles = cluster.api(&platform).await;
        let told = said(roles.delete("platform", &dry).await);
        if told.contains(RIGHTS) {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
    let emptied = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "platform"}, "rules": []});
    let told = written(&cluster, &emptied).await;
    assert!(told.contains(RIGHTS), "{told}");
    // Nothing of Flux refers to these any more.
    let roles = cluster.api(&platform).await;
    for name in ["operator", "cluster-admin"] {
        assert_eq!(said(roles.delete(name, &dry).await), "", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_admin_stays_while_flux_is_bound_to_it() {
    let (_plane, cluster, _webhook) = guarded("cluster_admin", "", &[]).await;
    let admin = role("cluster-admin", &["*"]);
    let roles = cluster.api(&admin).await;
    let told = said(
        roles
            .delete("cluster-admin", &DeleteParams::default())
            .await,
    );
    assert!(told.contains(RIGHTS), "{told}");
    let emptied = json!({"rules": []});
    let patch = Patch::Merge(&emptied);
    let told = said(
        roles
            .patch("cluster-admin", &PatchParams::default(), &patch)
            .await,
    );
    assert!(told.contains(RIGHTS), "{told}");
    let noted = json!({"metadata": {"annotations": {"note": "x"}}});
    let patch = Patch::Merge(&noted);
    assert_eq!(
        said(
            roles
                .patch("cluster-admin", &PatchParams::default(), &patch)
                .await
        ),
        ""
    );
}
