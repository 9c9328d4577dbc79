//! The right to grant an override, asked of the apiserver's own RBAC.

use fluxkeep_tests::control_plane::{Cluster, eventually};
use serde_json::json;

use crate::stage::Stage;

const BY_POLICY: &str = "ValidatingAdmissionPolicy 'override-in-release.fluxkeep.io'";
const GRANTED: [&str; 3] = [
    "fluxkeep.io/allow=engine-deleted",
    "fluxkeep.io/reason=moving",
    "fluxkeep.io/until=2026-12-20T18:00:00Z",
];

/// The refusal when jane annotates the engine's Namespace; empty for a success.
fn annotated(cluster: &Cluster, annotations: &[&str], more: &[&str]) -> String {
    let annotate = [
        "annotate",
        "namespace",
        "flux-system",
        "--overwrite",
        "--as=jane",
    ];
    let output = cluster.kubectl(&[&annotate[..], annotations, more].concat());
    if output.status.success() {
        String::new()
    } else {
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

async fn may(cluster: &Cluster, name: &str, group: &str, resource: &str, verbs: &[&str]) {
    let api = "rbac.authorization.k8s.io";
    let version = format!("{api}/v1");
    let rules = json!([{"apiGroups": [group], "resources": [resource], "verbs": verbs}]);
    cluster
        .apply_all(&[
            json!({"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}),
            json!({"apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": name},
                "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": name},
                "subjects": [{"apiGroup": api, "kind": "User", "name": "jane"}]}),
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_write_the_namespace_grants_no_override_until_rbac_says_so() {
    let stage = Stage::set("grants").await;
    let cluster = &stage.cluster;
    stage.register(&[]);
    may(
        cluster,
        "writes",
        "",
        "namespaces",
        &["get", "patch", "update"],
    )
    .await;
    eventually("jane may write, and grants nothing", async || {
        let told = annotated(cluster, &GRANTED, &["--dry-run=server"]);
        if told.contains(BY_POLICY) {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
    let told = annotated(cluster, &GRANTED, &[]);
    assert!(
        told.contains("verb grant on overrides of API group fluxkeep.io"),
        "{told}"
    );
    assert_eq!(
        annotated(cluster, &["example.org/note=x"], &[]),
        "",
        "another annotation"
    );
    may(cluster, "grants", "fluxkeep.io", "overrides", &["grant"]).await;
    eventually("jane grants", async || {
        let told = annotated(cluster, &GRANTED, &[]);
        if told.is_empty() { Ok(()) } else { Err(told) }
    })
    .await;
    granted_no_longer(cluster).await;
}

/// Helm may never grant, even for jane; without her right, jane may not either.
async fn granted_no_longer(cluster: &Cluster) {
    let by_helm = ["fluxkeep.io/reason=other"];
    let told = annotated(cluster, &by_helm, &["--field-manager=helm"]);
    assert!(told.contains(BY_POLICY), "{told}");
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "grants"}});
    cluster.delete(&role).await.unwrap();
    eventually("jane no longer grants", async || {
        let told = annotated(
            cluster,
            &["fluxkeep.io/reason=again"],
            &["--dry-run=server"],
        );
        if told.contains(BY_POLICY) {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
    let off = [
        "fluxkeep.io/allow-",
        "fluxkeep.io/reason-",
        "fluxkeep.io/until-",
    ];
    assert_eq!(annotated(cluster, &off, &[]), "", "taking it off is free");
}
