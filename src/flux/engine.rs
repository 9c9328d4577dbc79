//! The profile of Flux: names, groups and labels that identify the engine's objects.
//!
//! Labels alone are not enough. ClusterRoles `flux-edit` and `flux-view` have none, CRDs need none,
//! and a label can be removed before a deletion. So names identify objects and groups identify
//! CRDs; the label adds objects with other names. Nothing takes an object known by name out of the
//! engine. A `helm.sh/hook` takes out an object that only the label adds.

use std::sync::Arc;

use crate::flux::catalogue::Catalogue;
use crate::object::{Object, PART_OF};

/// Controllers that every Flux needs.
pub const CORE: [&str; 4] = [
    "helm-controller",
    "kustomize-controller",
    "notification-controller",
    "source-controller",
];
/// Controllers that a Flux may have.
pub const OPTIONAL: [&str; 3] = [
    "image-automation-controller",
    "image-reflector-controller",
    "source-watcher",
];

/// The API groups of Flux's custom resources; each also has subgroups.
pub const GROUPS: [&str; 2] = ["toolkit.fluxcd.io", "source.extensions.fluxcd.io"];
/// Name prefixes of ClusterRoles that grant others Flux's resources. They carry no label.
pub const AGGREGATED: [&str; 2] = ["flux-edit", "flux-view"];

/// A kind of the engine's objects, and how to identify them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineKind {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// For example `Deployment`.
    pub kind: &'static str,
    /// The plural in API paths, for example `deployments`.
    pub resource: &'static str,
    /// How to identify the engine's objects of this kind.
    pub known: IdentifiedBy,
    /// The part, unless the object's name says otherwise.
    part: Part,
}

/// How an object is identified as the engine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentifiedBy {
    /// A CRD: its group.
    Group,
    /// A Namespace: the policy names it.
    Home,
    /// In the engine's namespaces: one of these names, or the label.
    Inside(&'static [&'static str]),
    /// Cluster-scoped: one of these names, maybe with the namespace appended, or the label.
    ClusterWide(&'static [&'static str]),
}

/// Every kind of the engine's objects.
pub const MEMBERS: [EngineKind; 11] = [
    member(
        EXTENSIONS,
        "CustomResourceDefinition",
        "customresourcedefinitions",
        IdentifiedBy::Group,
        Part::Definition,
    ),
    member(
        "",
        "Namespace",
        "namespaces",
        IdentifiedBy::Home,
        Part::Vital,
    ),
    member(
        RBAC,
        "ClusterRole",
        "clusterroles",
        IdentifiedBy::ClusterWide(&CLUSTER_ROLES),
        Part::Vital,
    ),
    member(
        RBAC,
        "ClusterRoleBinding",
        "clusterrolebindings",
        IdentifiedBy::ClusterWide(&BINDINGS),
        Part::Vital,
    ),
    member(
        "apps",
        "Deployment",
        "deployments",
        IdentifiedBy::Inside(&CONTROLLERS),
        Part::Vital,
    ),
    member(
        "",
        "ServiceAccount",
        "serviceaccounts",
        IdentifiedBy::Inside(&CONTROLLERS),
        Part::Vital,
    ),
    member(
        "",
        "Service",
        "services",
        IdentifiedBy::Inside(&SERVICES),
        Part::Vital,
    ),
    member(
        RBAC,
        "Role",
        "roles",
        IdentifiedBy::Inside(&[]),
        Part::Vital,
    ),
    member(
        RBAC,
        "RoleBinding",
        "rolebindings",
        IdentifiedBy::Inside(&[]),
        Part::Vital,
    ),
    member(
        "networking.k8s.io",
        "NetworkPolicy",
        "networkpolicies",
        IdentifiedBy::Inside(&NETWORK_POLICIES),
        Part::Shield,
    ),
    member(
        "",
        "ResourceQuota",
        "resourcequotas",
        IdentifiedBy::Inside(&["critical-pods"]),
        Part::Shield,
    ),
];

const EXTENSIONS: &str = "apiextensions.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const CLUSTER_ROLES: [&str; 3] = ["crd-controller", "flux-edit", "flux-view"];
const BINDINGS: [&str; 2] = ["cluster-reconciler", "crd-controller"];
const SERVICES: [&str; 4] = [
    "notification-controller",
    "source-controller",
    "source-watcher",
    "webhook-receiver",
];
const NETWORK_POLICIES: [&str; 3] = ["allow-egress", "allow-scraping", "allow-webhooks"];
/// Every controller: core controllers first, then optional controllers.
pub const CONTROLLERS: [&str; 7] = [
    CORE[0],
    CORE[1],
    CORE[2],
    CORE[3],
    OPTIONAL[0],
    OPTIONAL[1],
    OPTIONAL[2],
];

const fn member(
    group: &'static str,
    kind: &'static str,
    resource: &'static str,
    known: IdentifiedBy,
    part: Part,
) -> EngineKind {
    EngineKind {
        group,
        kind,
        resource,
        known,
        part,
    }
}

/// The place of the engine in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// The namespaces of the engine; never empty.
    pub namespaces: Vec<String>,
    /// Dotted paths in a HelmRelease's `spec.values` that may name the Flux version.
    pub values_paths: Vec<String>,
    /// The known releases of Flux.
    pub catalogue: Arc<Catalogue>,
}

impl Default for Engine {
    fn default() -> Self {
        let paths = [
            "fluxVersion",
            "flux.version",
            "cli.tag",
            "flux.cli.tag",
            "flux2.cli.tag",
        ];
        Self {
            namespaces: vec!["flux-system".to_owned()],
            values_paths: paths.map(str::to_owned).to_vec(),
            catalogue: Catalogue::built_in().clone(),
        }
    }
}

/// The role of an engine object, which tells the cost of losing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A CRD: losing it loses every custom resource of its kind, without a review.
    Definition,
    /// The Deployment of a core controller, or an object that the controller needs.
    Vital,
    /// An object of an optional controller.
    Optional,
    /// An object that protects the engine but does not run it: policies, quotas, aggregated roles.
    Shield,
}

/// True if this is the name of one of Flux's controllers.
#[must_use]
pub fn is_controller(name: &str) -> bool {
    CONTROLLERS.contains(&name)
}

/// The controller of this name. `None` if Flux has none.
#[must_use]
pub fn controller(name: &str) -> Option<&'static str> {
    CONTROLLERS.into_iter().find(|known| *known == name)
}

/// The controller whose name this contains, for example that of a shard. `None` without a match.
#[must_use]
pub fn controller_in(name: &str) -> Option<&'static str> {
    CONTROLLERS.into_iter().find(|known| name.contains(known))
}

/// True if a CRD name or an API group is one of Flux's.
#[must_use]
pub fn is_flux_group(name: &str) -> bool {
    let ends = |group: &str| {
        name.strip_suffix(group)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    GROUPS.into_iter().any(ends)
}

/// True if a ClusterRole only grants others access to Flux's resources.
#[must_use]
pub fn is_aggregated(name: &str) -> bool {
    AGGREGATED.iter().any(|start| name.starts_with(start))
}

impl Engine {
    /// The part of the engine that an object is. `None` for a stranger, and for a hook with only
    /// the label: Helm creates and removes hooks on its own.
    #[must_use]
    pub fn part(&self, object: &Object) -> Option<Part> {
        let member = member_of(object)?;
        if self.names_member(member, object) || self.labels_member(member, object) {
            Some(member.weight(&object.name))
        } else {
            None
        }
    }

    /// True if name or group identify the object, which no label and no annotation changes.
    #[must_use]
    pub fn names(&self, object: &Object) -> bool {
        member_of(object).is_some_and(|member| self.names_member(member, object))
    }

    /// True if Flux runs on without this object: an optional controller, network policy or quota,
    /// or an object with only the label, like a shard. Every other controller has a known name.
    #[must_use]
    pub fn spares(&self, object: &Object) -> bool {
        let is_spare = |part| match part {
            Part::Optional => true,
            Part::Shield => object.kind != "ClusterRole",
            Part::Definition | Part::Vital => false,
        };
        self.part(object).is_some_and(is_spare) || !self.names(object)
    }

    /// Adds a release's namespace to the engine's. If the policy omits that namespace, Flux's
    /// objects there would be unguarded, without any message.
    #[must_use]
    pub fn also_in(mut self, namespace: Option<&str>) -> Self {
        let new = namespace
            .filter(|namespace| !self.is_home(namespace))
            .map(str::to_owned);
        self.namespaces.extend(new);
        self
    }

    /// True if both engines need the same facts of a cluster.
    #[must_use]
    pub fn is_followed_like(&self, other: &Self) -> bool {
        self.namespaces == other.namespaces && self.values_paths == other.values_paths
    }

    /// True for a namespace of the engine.
    #[must_use]
    pub fn is_home(&self, namespace: &str) -> bool {
        self.namespaces.iter().any(|home| home == namespace)
    }

    /// Names of cluster-scoped objects, plus the names that `flux bootstrap` makes: it appends the
    /// namespace.
    #[must_use]
    pub fn cluster_wide(&self, names: &[&str]) -> Vec<String> {
        let appended = |name: &&str| {
            self.namespaces
                .iter()
                .map(move |home| format!("{name}-{home}"))
                .collect::<Vec<_>>()
        };
        names
            .iter()
            .map(|name| (*name).to_owned())
            .chain(names.iter().flat_map(appended))
            .collect()
    }

    fn names_member(&self, member: &EngineKind, object: &Object) -> bool {
        let name = object.name.as_str();
        match member.known {
            IdentifiedBy::Group => is_flux_group(name),
            IdentifiedBy::Home => self.is_home(name),
            IdentifiedBy::Inside(names) => self.is_inside(object) && names.contains(&name),
            IdentifiedBy::ClusterWide(names) => {
                self.cluster_wide(names).iter().any(|known| known == name)
            }
        }
    }

    fn labels_member(&self, member: &EngineKind, object: &Object) -> bool {
        if object.is_hook() || !is_labelled(object) {
            return false;
        }
        match member.known {
            IdentifiedBy::Group | IdentifiedBy::Home => false,
            IdentifiedBy::Inside(_) => self.is_inside(object),
            IdentifiedBy::ClusterWide(_) => true,
        }
    }

    fn is_inside(&self, object: &Object) -> bool {
        object
            .namespace
            .as_deref()
            .is_some_and(|namespace| self.is_home(namespace))
    }
}

impl EngineKind {
    /// The part that an object of this name is.
    #[must_use]
    pub fn weight(&self, name: &str) -> Part {
        match self.part {
            Part::Vital if OPTIONAL.iter().any(|optional| name.starts_with(optional)) => {
                Part::Optional
            }
            Part::Vital if self.kind == "ClusterRole" && is_aggregated(name) => Part::Shield,
            part => part,
        }
    }
}

fn member_of(object: &Object) -> Option<&'static EngineKind> {
    MEMBERS
        .iter()
        .find(|member| member.kind == object.kind && member.group == object.group())
}

/// True if the object's label says that it is part of Flux.
#[must_use]
pub fn is_labelled(object: &Object) -> bool {
    object
        .labels
        .get(PART_OF)
        .is_some_and(|part| part == "flux")
}
