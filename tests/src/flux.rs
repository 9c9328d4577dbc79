//! Flux's objects, made from the catalogue: those of a release's `install.yaml`, and those of the
//! community's chart.
//!
//! CRDs are skeletons: names and versions are real, but the schemas accept anything. For fluxkeep's
//! purposes the apiserver treats them like the full ones.

#![allow(clippy::indexing_slicing)]

use fluxkeep::crd::{Schema, Version};
use fluxkeep::flux::catalogue::{Catalogue, Controller, FluxRelease, Offer};
use serde_json::{Value, json};

/// The namespace of Flux in every test.
pub const HOME: &str = "flux-system";

/// A stable release of Flux.
#[derive(Debug, Clone)]
pub struct Flux {
    release: FluxRelease,
}

/// The naming of ClusterRole and ClusterRoleBindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// The names of `install.yaml` and the community's chart.
    Install,
    /// The names of `flux bootstrap`, with the namespace appended; a chart adds its own names.
    Bootstrap,
}

impl Flux {
    /// The release of this version, for example `2.4.0`.
    #[must_use]
    pub fn release(version: &str) -> Self {
        let version = version.parse().expect("a version");
        let release = Catalogue::built_in().release(&version);
        Self {
            release: release
                .unwrap_or_else(|| panic!("the catalogue has no Flux {version}"))
                .clone(),
        }
    }

    /// The same release with OCIRepository v1 added. The tests' helm-controller is newer than the
    /// cluster's Flux and does not start without it.
    #[must_use]
    pub fn for_newer_controller(mut self) -> Self {
        let mut definitions = self.release.crds.iter_mut();
        let oci = definitions
            .find(|crd| crd.kind == "OCIRepository")
            .expect("every release has it");
        oci.versions.push(Version {
            name: "v1".to_owned(),
            served: true,
            storage: false,
            schema: Schema::Full,
            status: true,
        });
        self
    }

    /// For example `2.4.0`.
    #[must_use]
    pub fn version(&self) -> String {
        self.release.version.to_string()
    }

    /// The newest version of the community's chart `flux2` with this release.
    #[must_use]
    pub fn chart_version(&self) -> String {
        self.release
            .charts
            .last()
            .expect("a release with a chart")
            .to_string()
    }

    /// The objects of `install.yaml`, in kubectl's order.
    #[must_use]
    pub fn installed(&self, names: Names) -> Vec<Value> {
        let mut objects = vec![namespace(), quota()];
        objects.extend(self.definitions());
        objects.extend(self.members(names));
        labelled(objects, &[("app.kubernetes.io/instance", HOME), PART_OF])
    }

    /// The chart's output: no Namespace or ResourceQuota, but the chart's own labels.
    #[must_use]
    pub fn charted(&self) -> Vec<Value> {
        let version = self.version();
        let chart = format!("flux2-{}", self.chart_version());
        let labels = [
            ("app.kubernetes.io/instance", HOME),
            ("app.kubernetes.io/managed-by", "Helm"),
            ("app.kubernetes.io/version", &version),
            ("helm.sh/chart", &chart),
            PART_OF,
        ];
        let mut objects = self.definitions();
        objects.extend(self.members(Names::Install));
        labelled(objects, &labels)
    }

    /// The chart's hook: it carries the engine's label, but Helm creates and deletes it.
    #[must_use]
    pub fn hook(&self) -> Value {
        let mut account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "flux2-flux-check",
            "annotations": {"helm.sh/hook": "pre-install",
                "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded"}}});
        label(&mut account, &[PART_OF]);
        account
    }

    /// The release's CRDs.
    #[must_use]
    pub fn definitions(&self) -> Vec<Value> {
        self.release.crds.iter().map(definition).collect()
    }

    fn members(&self, names: Names) -> Vec<Value> {
        let controllers = &self.release.controllers;
        let mut objects: Vec<_> = controllers.iter().map(|one| account(&one.name)).collect();
        objects.extend(roles(names));
        objects.extend(bindings(names, controllers));
        objects.extend([
            service("notification-controller", "notification-controller"),
            service("source-controller", "source-controller"),
            service("webhook-receiver", "notification-controller"),
        ]);
        objects.extend(controllers.iter().map(deployment));
        objects.extend(["allow-egress", "allow-scraping", "allow-webhooks"].map(network_policy));
        objects
    }
}

const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "flux");

fn labelled(mut objects: Vec<Value>, labels: &[(&str, &str)]) -> Vec<Value> {
    for object in &mut objects {
        label(object, labels);
    }
    objects
}

fn label(object: &mut Value, labels: &[(&str, &str)]) {
    for (key, value) in labels {
        object["metadata"]["labels"][*key] = json!(value);
    }
}

fn namespace() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}})
}

fn quota() -> Value {
    let priority = json!({"operator": "In", "scopeName": "PriorityClass",
        "values": ["system-node-critical", "system-cluster-critical"]});
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "critical-pods", "namespace": HOME},
        "spec": {"hard": {"pods": "1000"}, "scopeSelector": {"matchExpressions": [priority]}}})
}

/// A CRD with these versions, and schemas that accept anything.
fn definition(offer: &Offer) -> Value {
    let (plural, group) = offer.name.split_once('.').expect("plural.group");
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let version = |version: &Version| {
        json!({"name": version.name, "served": version.served, "storage": version.storage, "schema": schema,
            "subresources": {"status": {}}})
    };
    let names = json!({"kind": offer.kind, "listKind": format!("{}List", offer.kind), "plural": plural,
        "singular": offer.kind.to_lowercase()});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": offer.name},
        "spec": {"group": group, "scope": "Namespaced", "names": names,
            "versions": offer.versions.iter().map(version).collect::<Vec<_>>()}})
}

fn account(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": controller_metadata(name)})
}

fn controller_metadata(name: &str) -> Value {
    json!({"name": name, "namespace": HOME, "labels": {"app.kubernetes.io/component": name}})
}

fn role_name(names: Names, name: &str) -> String {
    match names {
        Names::Install => name.to_owned(),
        Names::Bootstrap => format!("{name}-{HOME}"),
    }
}

fn roles(names: Names) -> Vec<Value> {
    let groups = ["source", "kustomize", "helm", "notification", "image"]
        .map(|group| format!("{group}.toolkit.fluxcd.io"));
    let of_flux = |verbs: &[&str]| json!({"apiGroups": groups, "resources": ["*"], "verbs": verbs});
    let core = |resources: &[&str], verbs: &[&str]| json!({"apiGroups": [""], "resources": resources, "verbs": verbs});
    let role = |name: &str, rules: Vec<Value>| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": role_name(names, name)}, "rules": rules})
    };
    let controller = vec![
        of_flux(&["*"]),
        core(
            &["namespaces", "secrets", "configmaps", "serviceaccounts"],
            &["get", "list", "watch"],
        ),
        core(&["events"], &["create", "patch"]),
        json!({"apiGroups": ["", "coordination.k8s.io"], "resources": ["configmaps", "configmaps/status", "leases"],
            "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]}),
    ];
    vec![
        role("crd-controller", controller),
        role(
            "flux-edit",
            vec![of_flux(&[
                "create",
                "delete",
                "deletecollection",
                "patch",
                "update",
            ])],
        ),
        role("flux-view", vec![of_flux(&["get", "list", "watch"])]),
    ]
}

fn bindings(names: Names, controllers: &[Controller]) -> [Value; 2] {
    let binding = |name: &str, role: &str, accounts: &[&str]| {
        let subject =
            |account: &&str| json!({"kind": "ServiceAccount", "name": account, "namespace": HOME});
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": role_name(names, name)},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": accounts.iter().map(subject).collect::<Vec<_>>()})
    };
    let all: Vec<_> = controllers.iter().map(|one| one.name.as_str()).collect();
    [
        binding(
            "cluster-reconciler",
            "cluster-admin",
            &["kustomize-controller", "helm-controller"],
        ),
        binding("crd-controller", &role_name(names, "crd-controller"), &all),
    ]
}

fn service(name: &str, app: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": HOME},
        "spec": {"selector": {"app": app}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}})
}

fn deployment(controller: &Controller) -> Value {
    let labels = json!({"app": controller.name});
    let image = format!("ghcr.io/fluxcd/{}:v{}", controller.name, controller.version);
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": controller_metadata(&controller.name),
        "spec": {"replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels},
                "spec": {"serviceAccountName": controller.name, "containers": [{"name": "manager", "image": image}]}}}})
}

fn network_policy(name: &str) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name, "namespace": HOME},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"namespaceSelector": {}}]}]}})
}
