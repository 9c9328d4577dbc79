//! Flux as a profile: by what the engine's objects are known.
//!
//! Labels alone don't tell: ClusterRoles `flux-edit` and `flux-view` carry none, CRDs need not, and
//! whoever wants to delete the engine takes them off first. So objects are known by name, CRDs by
//! group, and the label adds what a person named differently. No mark takes an object that is known
//! by name out of the engine; a `helm.sh/hook` takes out what the label alone would add.

use std::sync::Arc;

use crate::catalogue::Catalogue;
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

/// The API groups of Flux's custom resources; each also has groups below it.
pub const GROUPS: [&str; 2] = ["toolkit.fluxcd.io", "source.extensions.fluxcd.io"];
/// How the ClusterRoles begin that lend Flux's resources to others. They carry no label.
pub const AGGREGATED: [&str; 2] = ["flux-edit", "flux-view"];

/// A kind that the engine has objects of, and by what those are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its API group, empty for the core group.
    pub group: &'static str,
    /// For example `Deployment`.
    pub kind: &'static str,
    /// As paths of the API have it, for example `deployments`.
    pub resource: &'static str,
    /// By what the engine's are known.
    pub known: Known,
    /// What losing one costs, unless its name says otherwise.
    part: Part,
}

/// By what an object is known as the engine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// A CRD: by its group.
    Group,
    /// A Namespace: it is one of the engine's.
    Home,
    /// In the engine's namespaces: by these names, or by the label.
    Inside(&'static [&'static str]),
    /// Cluster-scoped: by these names, the engine's namespace appended or not, or by the label.
    ClusterWide(&'static [&'static str]),
}

/// Every kind that the engine has objects of.
pub const MEMBERS: [Member; 11] = [
    member(
        EXTENSIONS,
        "CustomResourceDefinition",
        "customresourcedefinitions",
        Known::Group,
        Part::Definition,
    ),
    member("", "Namespace", "namespaces", Known::Home, Part::Vital),
    member(
        RBAC,
        "ClusterRole",
        "clusterroles",
        Known::ClusterWide(&CLUSTER_ROLES),
        Part::Vital,
    ),
    member(
        RBAC,
        "ClusterRoleBinding",
        "clusterrolebindings",
        Known::ClusterWide(&BINDINGS),
        Part::Vital,
    ),
    member(
        "apps",
        "Deployment",
        "deployments",
        Known::Inside(&CONTROLLERS),
        Part::Vital,
    ),
    member(
        "",
        "ServiceAccount",
        "serviceaccounts",
        Known::Inside(&CONTROLLERS),
        Part::Vital,
    ),
    member(
        "",
        "Service",
        "services",
        Known::Inside(&SERVICES),
        Part::Vital,
    ),
    member(RBAC, "Role", "roles", Known::Inside(&[]), Part::Vital),
    member(
        RBAC,
        "RoleBinding",
        "rolebindings",
        Known::Inside(&[]),
        Part::Vital,
    ),
    member(
        "networking.k8s.io",
        "NetworkPolicy",
        "networkpolicies",
        Known::Inside(&NETWORK_POLICIES),
        Part::Shield,
    ),
    member(
        "",
        "ResourceQuota",
        "resourcequotas",
        Known::Inside(&["critical-pods"]),
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
/// Every controller: the core ones, then the optional ones.
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
    known: Known,
    part: Part,
) -> Member {
    Member {
        group,
        kind,
        resource,
        known,
        part,
    }
}

/// Where the engine lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// The namespaces that it is installed in; never empty.
    pub namespaces: Vec<String>,
    /// Dotted paths in a HelmRelease's `spec.values` that may name the Flux version.
    pub values_paths: Vec<String>,
    /// The releases of Flux that are known.
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
    CONTROLLERS.contains(&name)
}

/// The controller of this name; None if Flux has none.
#[must_use]
pub fn controller(name: &str) -> Option<&'static str> {
    CONTROLLERS.into_iter().find(|known| *known == name)
}

/// The controller whose name stands in this one, as in that of a shard; None if none does.
#[must_use]
pub fn controller_in(name: &str) -> Option<&'static str> {
    CONTROLLERS.into_iter().find(|known| name.contains(known))
}

/// Whether a CRD name or an API group is one of Flux's.
#[must_use]
pub fn is_flux_group(name: &str) -> bool {
    let ends = |group: &str| {
        name.strip_suffix(group)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    GROUPS.into_iter().any(ends)
}

/// Whether a ClusterRole only lends Flux's resources to others.
#[must_use]
pub fn is_aggregated(name: &str) -> bool {
    AGGREGATED.iter().any(|start| name.starts_with(start))
}

impl Engine {
    /// Which part of the engine an object is; none for a stranger, and for a hook that is known by its
    /// label alone: Helm creates and removes those on its own.
    #[must_use]
    pub fn part(&self, object: &Object) -> Option<Part> {
        let member = member_of(object)?;
        if self.names_member(member, object) || self.labels_member(member, object) {
            Some(member.weight(&object.name))
        } else {
            None
        }
    }

    /// True if the object is known by its name or group, which no label and no mark changes.
    #[must_use]
    pub fn names(&self, object: &Object) -> bool {
        member_of(object).is_some_and(|member| self.names_member(member, object))
    }

    /// True if Flux runs on without this part of it: an optional controller, a network policy, a quota, and
    /// whatever its label alone tells, as of a shard. The controllers that every Flux needs have names.
    #[must_use]
    pub fn spares(&self, object: &Object) -> bool {
        let is_spare = |part| match part {
            Part::Optional => true,
            Part::Shield => object.kind != "ClusterRole",
            Part::Definition | Part::Vital => false,
        };
        self.part(object).is_some_and(is_spare) || !self.names(object)
    }

    /// The engine, which may live where a release goes, too: a policy that does not name that namespace would
    /// leave Flux's objects there to themselves, and nobody is told.
    #[must_use]
    pub fn also_in(mut self, namespace: Option<&str>) -> Self {
        let new = namespace
            .filter(|namespace| !self.is_home(namespace))
            .map(str::to_owned);
        self.namespaces.extend(new);
        self
    }

    /// Whether the same is read of a cluster for both.
    #[must_use]
    pub fn is_followed_like(&self, other: &Self) -> bool {
        self.namespaces == other.namespaces && self.values_paths == other.values_paths
    }

    /// Whether a namespace is one of the engine's.
    #[must_use]
    pub fn is_home(&self, namespace: &str) -> bool {
        self.namespaces.iter().any(|home| home == namespace)
    }

    /// The names of what is cluster-scoped, with those that `flux bootstrap` makes of them: it
    /// appends the namespace.
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

    fn names_member(&self, member: &Member, object: &Object) -> bool {
        let name = object.name.as_str();
        match member.known {
            Known::Group => is_flux_group(name),
            Known::Home => self.is_home(name),
            Known::Inside(names) => self.is_inside(object) && names.contains(&name),
            Known::ClusterWide(names) => self.cluster_wide(names).iter().any(|known| known == name),
        }
    }

    fn labels_member(&self, member: &Member, object: &Object) -> bool {
        if object.is_hook() || !is_labelled(object) {
            return false;
        }
        match member.known {
            Known::Group | Known::Home => false,
            Known::Inside(_) => self.is_inside(object),
            Known::ClusterWide(_) => true,
        }
    }

    fn is_inside(&self, object: &Object) -> bool {
        object
            .namespace
            .as_deref()
            .is_some_and(|namespace| self.is_home(namespace))
    }
}

impl Member {
    /// What losing the one of this name costs.
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

fn member_of(object: &Object) -> Option<&'static Member> {
    MEMBERS
        .iter()
        .find(|member| member.kind == object.kind && member.group == object.group())
}

/// Whether an object says of itself that it is part of Flux.
#[must_use]
pub fn is_labelled(object: &Object) -> bool {
    object
        .labels
        .get(PART_OF)
        .is_some_and(|part| part == "flux")
}
