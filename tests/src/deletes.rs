//! Deletions with their outcomes: one list for the judge, the webhook and its twin.

use serde_json::{Map, Value, json};

use crate::Review;

/// The deletion of an object, and its outcome.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// The plural, for example `deployments`.
    pub resource: &'static str,
    /// The live object; no two objects are equal.
    pub object: Value,
    /// True if the deletion is refused.
    pub refused: bool,
}

const LABEL: &str = "app.kubernetes.io/part-of";

/// Objects, with a label or annotation in brackets, and whether their deletion is refused.
const DELETIONS: [(&str, bool); 43] = [
    ("Namespace flux-system", true),
    ("Namespace flux-system-2", false),
    (
        "CustomResourceDefinition buckets.source.toolkit.fluxcd.io",
        true,
    ),
    (
        "CustomResourceDefinition artifactgenerators.source.extensions.fluxcd.io",
        true,
    ),
    (
        "CustomResourceDefinition imagepolicies.image.toolkit.fluxcd.io",
        true,
    ),
    ("CustomResourceDefinition things.example.org", false),
    (
        "CustomResourceDefinition things.nottoolkit.fluxcd.io",
        false,
    ),
    (
        "CustomResourceDefinition items.example.org [part-of=flux]",
        false,
    ),
    ("ClusterRole flux-edit", true),
    ("ClusterRole flux-view-flux-system", true),
    ("ClusterRole crd-controller", true),
    ("ClusterRole crd-controller-flux-system", true),
    ("ClusterRole crd-controller-elsewhere", false),
    ("ClusterRole anything [part-of=flux]", false),
    ("ClusterRole edit-things", false),
    ("ClusterRoleBinding cluster-reconciler", true),
    ("ClusterRoleBinding cluster-reconciler-flux-system", true),
    ("ClusterRoleBinding flux-view", false),
    ("Deployment flux-system/source-controller", true),
    (
        "Deployment flux-system/kustomize-controller [part-of=flux]",
        true,
    ),
    (
        "Deployment flux-system/notification-controller [hook]",
        true,
    ),
    (
        "Deployment flux-system/source-controller-shard1 [part-of=flux]",
        false,
    ),
    ("Deployment flux-system/renamed [part-of=flux]", false),
    (
        "Deployment flux-system/upgrade [part-of=flux] [hook]",
        false,
    ),
    (
        "CustomResourceDefinition alerts.notification.toolkit.fluxcd.io [hook]",
        true,
    ),
    ("Deployment flux-system/application", false),
    ("Deployment flux-system/shop [part-of=shop]", false),
    (
        "Deployment elsewhere/source-controller [part-of=flux]",
        false,
    ),
    (
        "Deployment flux-system/image-reflector-controller [part-of=flux]",
        false,
    ),
    ("Deployment flux-system/source-watcher", false),
    ("ServiceAccount flux-system/helm-controller", true),
    (
        "ServiceAccount flux-system/flux-upgrade [part-of=flux] [hook]",
        false,
    ),
    ("ServiceAccount flux-system/source-watcher", false),
    ("ServiceAccount flux-system/default", false),
    ("Service flux-system/webhook-receiver", true),
    ("Service flux-system/helm-controller", false),
    ("Role flux-system/leases [part-of=flux]", false),
    ("Role flux-system/others", false),
    ("RoleBinding flux-system/leases [part-of=flux]", false),
    ("NetworkPolicy flux-system/allow-egress", false),
    ("NetworkPolicy elsewhere/allow-egress", false),
    ("ResourceQuota flux-system/critical-pods", false),
    ("ResourceQuota flux-system/others", false),
];

/// All deletions.
#[must_use]
pub fn deletions() -> Vec<Deletion> {
    DELETIONS
        .into_iter()
        .map(|(told, refused)| read(told, refused))
        .collect()
}

fn read(told: &str, refused: bool) -> Deletion {
    let mut words = told.split(' ');
    let (kind, place) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let (api_version, resource, body) = known(kind);
    let mut metadata = Map::new();
    for mark in words.map(|word| word.trim_matches(['[', ']'])) {
        match mark.split_once('=') {
            Some((_, value)) => metadata.insert("labels".to_owned(), json!({LABEL: value})),
            None => metadata.insert(
                "annotations".to_owned(),
                json!({"helm.sh/hook": "pre-install"}),
            ),
        };
    }
    let (namespace, name) = place
        .split_once('/')
        .map_or((None, place), |(space, name)| (Some(space), name));
    metadata.insert("name".to_owned(), json!(name));
    metadata.extend(namespace.map(|namespace| ("namespace".to_owned(), json!(namespace))));
    let head = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
    let parts = [head, body(name)]
        .into_iter()
        .filter_map(|part| part.as_object().cloned());
    Deletion {
        resource,
        object: Value::Object(parts.flatten().collect()),
        refused,
    }
}

/// A kind's apiVersion and resource, and a function for the fields that the apiserver requires.
fn known(kind: &str) -> (&'static str, &'static str, fn(&str) -> Value) {
    let rbac = "rbac.authorization.k8s.io/v1";
    match kind {
        "Namespace" => ("v1", "namespaces", |_| json!({})),
        "CustomResourceDefinition" => (
            "apiextensions.k8s.io/v1",
            "customresourcedefinitions",
            definition,
        ),
        "ClusterRole" => (rbac, "clusterroles", |_| json!({"rules": []})),
        "ClusterRoleBinding" => (rbac, "clusterrolebindings", |name| {
            binding("ClusterRole", name)
        }),
        "Role" => (rbac, "roles", |_| json!({"rules": []})),
        "RoleBinding" => (rbac, "rolebindings", |name| binding("Role", name)),
        "Deployment" => ("apps/v1", "deployments", deployment),
        "Service" => (
            "v1",
            "services",
            |_| json!({"spec": {"ports": [{"port": 80}]}}),
        ),
        "NetworkPolicy" => (
            "networking.k8s.io/v1",
            "networkpolicies",
            |_| json!({"spec": {"podSelector": {}}}),
        ),
        "ServiceAccount" => ("v1", "serviceaccounts", |_| json!({})),
        _ => (
            "v1",
            "resourcequotas",
            |_| json!({"spec": {"hard": {"pods": "10"}}}),
        ),
    }
}

fn binding(kind: &str, name: &str) -> Value {
    json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}})
}

fn deployment(name: &str) -> Value {
    let labels = json!({"app": name});
    let spec =
        json!({"containers": [{"name": "manager", "image": format!("example.org/{name}:v1.0.0")}]});
    json!({"spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}})
}

fn definition(name: &str) -> Value {
    let (plural, group) = name.split_once('.').unwrap_or((name, ""));
    let kind = plural.trim_end_matches('s');
    let schema = json!({"openAPIV3Schema": {"type": "object"}});
    json!({"spec": {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": kind, "singular": kind,
        "listKind": format!("{kind}list")},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}})
}

impl Deletion {
    /// The review of this deletion.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let text = |path: &str| {
            self.object
                .pointer(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let slash = if text("/apiVersion").contains('/') {
            ""
        } else {
            "/"
        };
        let review = Review {
            kind: &format!("{slash}{}/{}", text("/apiVersion"), text("/kind")),
            resource: self.resource,
            operation: "DELETE",
            user: "jane",
            old: self.object.clone(),
            ..Review::default()
        };
        review.bytes()
    }
}
