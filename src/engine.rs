//! Flux as a profile: by what the engine's objects are known.
//!
//! Labels alone don't tell: ClusterRoles `flux-edit` and `flux-view` carry none, CRDs need not, and
//! whoever wants to delete the engine takes them off first. So objects are known by name, CRDs by
//! group, and the label adds what a person named differently.

use crate::object::{Object, PART_OF};

/// Controllers that every Flux needs.
pub const CORE: [&str; 4] = ["helm-controller", "kustomize-controller", "notification-controller", "source-controller"];
/// Controllers that a Flux may have.
pub const OPTIONAL: [&str; 3] = ["image-automation-controller", "image-reflector-controller", "source-watcher"];

const CLUSTER_ROLES: [&str; 3] = ["crd-controller", "flux-edit", "flux-view"];
const CLUSTER_ROLE_BINDINGS: [&str; 2] = ["cluster-reconciler", "crd-controller"];
const SERVICES: [&str; 4] = ["notification-controller", "source-controller", "source-watcher", "webhook-receiver"];
const NETWORK_POLICIES: [&str; 3] = ["allow-egress", "allow-scraping", "allow-webhooks"];
const RESOURCE_QUOTAS: [&str; 1] = ["critical-pods"];

/// Where the engine lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// The namespaces that it is installed in; never empty.
    pub namespaces: Vec<String>,
    /// Dotted paths in a HelmRelease's `spec.values` that may name the Flux version.
    pub values_paths: Vec<String>,
}

impl Default for Engine {
    fn default() -> Self {
        let paths = ["fluxVersion", "flux.version", "cli.tag", "flux.cli.tag", "flux2.cli.tag"];
        Self { namespaces: vec!["flux-system".to_owned()], values_paths: paths.map(str::to_owned).to_vec() }
    }
}

/// What losing an object of the engine costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A CRD: every custom resource of its kind goes with it, without a review.
    Definition,
    /// The Deployment of a core controller, or what it cannot run without.
    Vital,
    /// The Deployment of an optional controller.
    Optional,
    /// What shields the engine and does not carry it: policies, quotas, aggregated roles.
    Shield,
}

/// Whether a name is that of one of Flux's controllers.
#[must_use]
pub fn is_controller(name: &str) -> bool {
    CORE.contains(&name) || OPTIONAL.contains(&name)
}

/// Whether a CRD name or an API group is one of Flux's.
#[must_use]
pub fn is_flux_group(name: &str) -> bool {
    let ends = |group: &str| name.strip_suffix(group).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    ends("toolkit.fluxcd.io") || ends("source.extensions.fluxcd.io")
}

impl Engine {
    /// Which part of the engine an object is; none for a stranger and for a hook, which Helm
    /// creates and removes on its own.
    #[must_use]
    pub fn part(&self, object: &Object) -> Option<Part> {
        if object.is_hook() {
            return None;
        }
        let name = object.name.as_str();
        match (object.group(), object.kind.as_str()) {
            ("apiextensions.k8s.io", "CustomResourceDefinition") => is_flux_group(name).then_some(Part::Definition),
            ("", "Namespace") => self.is_home(name).then_some(Part::Vital),
            ("rbac.authorization.k8s.io", "ClusterRole") => {
                self.cluster_wide(object, &CLUSTER_ROLES).then(|| role(name))
            }
            ("rbac.authorization.k8s.io", "ClusterRoleBinding") => {
                self.cluster_wide(object, &CLUSTER_ROLE_BINDINGS).then_some(Part::Vital)
            }
            (group, kind) if self.is_inside(object) => inside(group, kind, object),
            _ => None,
        }
    }

    /// Whether a namespace is one of the engine's.
    #[must_use]
    pub fn is_home(&self, namespace: &str) -> bool {
        self.namespaces.iter().any(|home| home == namespace)
    }

    fn is_inside(&self, object: &Object) -> bool {
        object.namespace.as_deref().is_some_and(|namespace| self.is_home(namespace))
    }

    /// `flux bootstrap` appends the namespace to the names of what is cluster-scoped.
    fn cluster_wide(&self, object: &Object, names: &[&str]) -> bool {
        let bare = self
            .namespaces
            .iter()
            .find_map(|home| object.name.strip_suffix(home.as_str()).and_then(|name| name.strip_suffix('-')));
        let known = |name: &str| names.contains(&name);
        known(&object.name) || bare.is_some_and(known) || is_labelled(object)
    }
}

/// Whether an object says of itself that it is part of Flux.
#[must_use]
pub fn is_labelled(object: &Object) -> bool {
    object.labels.get(PART_OF).is_some_and(|part| part == "flux")
}

/// The parts of the engine that live in its namespace.
fn inside(group: &str, kind: &str, object: &Object) -> Option<Part> {
    let named = |names: &[&str]| names.contains(&object.name.as_str()) || is_labelled(object);
    let controller = || is_controller(&object.name) || is_labelled(object);
    match (group, kind) {
        ("apps", "Deployment") => controller().then(|| weight(&object.name)),
        ("", "ServiceAccount") => controller().then(|| weight(&object.name)),
        ("", "Service") => named(&SERVICES).then(|| weight(&object.name)),
        ("rbac.authorization.k8s.io", "RoleBinding" | "Role") => is_labelled(object).then_some(Part::Vital),
        ("networking.k8s.io", "NetworkPolicy") => named(&NETWORK_POLICIES).then_some(Part::Shield),
        ("", "ResourceQuota") => named(&RESOURCE_QUOTAS).then_some(Part::Shield),
        _ => None,
    }
}

fn weight(name: &str) -> Part {
    if OPTIONAL.contains(&name) { Part::Optional } else { Part::Vital }
}

fn role(name: &str) -> Part {
    let aggregated = name.starts_with("flux-edit") || name.starts_with("flux-view");
    if aggregated { Part::Shield } else { Part::Vital }
}
