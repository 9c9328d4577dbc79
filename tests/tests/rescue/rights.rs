//! The printed rights are enough, and each is needed.

use fluxkeep_tests::control_plane::{Cluster, ControlPlane, said};
use fluxkeep_tests::flux::{HOME, Names};
use serde_json::{Value, json};

use crate::rescuer::Rescuer;
use crate::stage::running;

const ACCOUNT: &str = "rescuer";
/// CRDs that are left, so that their objects are listed.
const LEFT: [&str; 6] = [
    "Bucket",
    "GitRepository",
    "HelmRelease",
    "HelmRepository",
    "Kustomization",
    "OCIRepository",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_rights_are_enough_and_each_is_needed() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("rescue-rights").await;
    let rescuer = Rescuer::of(&cluster);
    leave(&cluster).await;
    let install = rescuer.manifest("install.yaml", &running().installed(Names::Install));
    let printed = rescuer.run(&["--from", &install, "--print-rbac"]);
    let role: Value = serde_json::from_slice(&printed.stdout).expect("a ClusterRole");
    account(&cluster, &role).await;
    let kubeconfig = plane.account(&cluster, ACCOUNT, ACCOUNT).await;
    let run = || rescuer.run_as(&kubeconfig, &["--from", &install, "--yes"]);
    let rules = role["rules"].as_array().cloned().unwrap();
    for (place, rule) in rules.iter().enumerate() {
        for verb in rule["verbs"].as_array().into_iter().flatten() {
            if is_of_namespace(rule, verb) {
                continue;
            }
            let mut less = role.clone();
            let verbs = rule["verbs"].as_array().into_iter().flatten();
            let kept: Vec<Value> = verbs.filter(|other| *other != verb).cloned().collect();
            if kept.is_empty() {
                less["rules"].as_array_mut().unwrap().remove(place);
            } else {
                less["rules"][place]["verbs"] = json!(kept);
            }
            cluster.apply_all(&[less]).await;
            cluster
                .until_allowed(ACCOUNT, &asked(rule, verb), false)
                .await;
            let output = run();
            assert_eq!(
                output.status.code(),
                Some(2),
                "{rule} {verb}: {}",
                said(&output)
            );
            assert!(said(&output).contains("--print-rbac"), "{}", said(&output));
        }
    }
    cluster.apply_all(std::slice::from_ref(&role)).await;
    for rule in &rules {
        for verb in rule["verbs"].as_array().into_iter().flatten() {
            cluster
                .until_allowed(ACCOUNT, &asked(rule, verb), true)
                .await;
        }
    }
    let done = run();
    let told = said(&done);
    assert!(done.status.success(), "{told}");
    for part in [
        "objects are as the recovery point says",
        "Kustomization flux-system/apps applies HelmRelease flux-system/flux from ./clusters/a of GitRepository flux-system",
        "All objects of these kinds are gone with their CRDs: ",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

/// The Namespace is left, so it is neither created nor changed.
fn is_of_namespace(rule: &Value, verb: &Value) -> bool {
    rule["resources"][0] == "namespaces" && (verb == "create" || verb == "patch")
}

/// A few CRDs, a HelmRelease that a Kustomization applies, and a broken record.
async fn leave(cluster: &Cluster) {
    cluster
        .apply_all(&running().installed(Names::Install)[..1])
        .await;
    for definition in running().definitions() {
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        if LEFT.contains(&kind) {
            cluster.apply_all(&[definition]).await;
        }
    }
    let mut instances = running().definitions().swap_remove(0);
    instances["metadata"] = json!({"name": "fluxinstances.fluxcd.controlplane.io"});
    instances["spec"]["group"] = json!("fluxcd.controlplane.io");
    instances["spec"]["names"] = json!({"kind": "FluxInstance", "listKind": "FluxInstanceList",
        "plural": "fluxinstances", "singular": "fluxinstance"});
    let mut release = fluxkeep_tests::control_plane::helm_release(&running());
    release["metadata"]["labels"] = json!({"kustomize.toolkit.fluxcd.io/name": "apps",
        "kustomize.toolkit.fluxcd.io/namespace": HOME});
    let record = json!({"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": {"name": "sh.helm.release.v1.flux.v1", "namespace": HOME,
            "labels": {"owner": "helm", "name": "flux", "version": "1", "status": "uninstalling"}},
        "stringData": {"release": packed()}});
    let kustomization = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "apps", "namespace": HOME},
        "spec": {"path": "./clusters/a", "sourceRef": {"kind": "GitRepository", "name": "flux-system"}}});
    cluster
        .apply_all(&[instances, release, kustomization, record])
        .await;
}

/// A release that holds a controller, as Helm packs it.
fn packed() -> String {
    let controller = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "helm-controller", "namespace": HOME}, "spec": {}});
    let release = json!({"name": "flux", "namespace": HOME, "version": 1,
        "info": {"status": "uninstalling"}, "manifest": controller.to_string()});
    fluxkeep::helm::record::write(&release, fluxkeep::helm::record::Driver::ConfigMap).unwrap()
}

async fn account(cluster: &Cluster, role: &Value) {
    cluster.namespace(ACCOUNT).await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": ACCOUNT, "namespace": ACCOUNT}});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": ACCOUNT},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "fluxkeep-rescue"},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": ACCOUNT}]});
    cluster.apply_all(&[account, role.clone(), binding]).await;
}

fn asked(rule: &Value, verb: &Value) -> Value {
    json!({"group": rule["apiGroups"][0], "resource": rule["resources"][0], "verb": verb,
        "name": rule["resourceNames"][0]})
}
