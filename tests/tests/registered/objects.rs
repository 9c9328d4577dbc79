//! The objects that the tests write.

use fluxkeep_tests::{definition, record};
use serde_json::{Value, json};

pub(crate) const THINGS: &str = "things.example.org";
pub(crate) const BUCKETS: &str = "buckets.source.toolkit.fluxcd.io";

pub(crate) fn one_version(name: &str) -> Value {
    let (plural, group) = name.split_once('.').unwrap();
    let mut object = definition(&[("v1", true, true)], &[]);
    let kind = if plural == "helmreleases" {
        "HelmRelease"
    } else {
        plural.trim_end_matches('s')
    };
    object["metadata"]["name"] = json!(name);
    object["spec"]["group"] = json!(group);
    object["spec"]["names"] = json!({"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")});
    object["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-preserve-unknown-fields"] =
        json!(true);
    object.as_object_mut().unwrap().remove("status");
    object
}

pub(crate) fn two_versions(name: &str) -> Value {
    let mut object = one_version(name);
    let mut second = object["spec"]["versions"][0].clone();
    second["name"] = json!("v2");
    second["storage"] = json!(false);
    object["spec"]["versions"]
        .as_array_mut()
        .unwrap()
        .push(second);
    object
}

pub(crate) fn helm_release(name: &str, namespace: &str) -> Value {
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v1", "kind": "HelmRelease", "spec": {"interval": "1h"},
        "metadata": {"name": name, "namespace": namespace}})
}

pub(crate) fn release_record(name: &str, namespace: &str) -> Value {
    let mut secret = record("", &[]);
    secret["metadata"]["name"] = json!(format!("sh.helm.release.v1.{name}.v1"));
    secret["metadata"]["namespace"] = json!(namespace);
    secret
}

pub(crate) fn controller(metadata: &Value) -> Value {
    deployment("helm-controller", metadata)
}

/// A controller that only its label identifies.
pub(crate) fn renamed(metadata: &Value) -> Value {
    deployment("helm-controller-shard-1", metadata)
}

/// Flux's binding, through which source-controller has all rights.
pub(crate) fn binding(accounts: &[&str]) -> Value {
    let subject =
        |name: &&str| json!({"kind": "ServiceAccount", "namespace": "flux-system", "name": name});
    let subjects: Vec<_> = accounts.iter().map(subject).collect();
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "cluster-reconciler"}, "subjects": subjects,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}})
}

fn deployment(name: &str, metadata: &Value) -> Value {
    let mut metadata = metadata.clone();
    metadata["name"] = json!(name);
    metadata["namespace"] = json!("flux-system");
    let labels = json!({"app": "helm-controller"});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "manager", "image": "x"}]}});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {"selector": {"matchLabels": labels}, "template": pod}})
}
