//! A Kubernetes object, reduced to what rules look at.
//!
//! Everything else is skipped while reading: no schema, no Secret, no value of a ConfigMap, and of
//! labels and annotations only those that say who owns the object or what may be done with it.

mod access;
mod lenient;
mod marks;
pub(crate) mod paths;
mod read;
mod selector;
mod shallow;

pub use access::{Account, Binding, Grantee, Role};
pub use marks::Marks;
pub(crate) use read::object;
pub use read::{Head, Kind, Misshapen, body_kind};
pub use selector::{Selector, Term};
pub use shallow::Shallow;

use std::collections::BTreeMap;
use std::fmt;

use crate::applier::{FluxInstance, Kustomization};
use crate::crd::Definition;
use crate::helm::release::HelmRelease;
use crate::helm::{HOOK, Owner, RELEASE_NAME, RELEASE_NAMESPACE, RESOURCE_POLICY};

/// Names the application that an object belongs to; `flux` on the engine.
pub const PART_OF: &str = "app.kubernetes.io/part-of";
/// Names the rules that an object is excused from, separated by commas.
pub const ALLOW: &str = "fluxkeep.io/allow";
/// Why.
pub const REASON: &str = "fluxkeep.io/reason";
/// Until when (RFC 3339).
pub const UNTIL: &str = "fluxkeep.io/until";

/// One Kubernetes object as a rule sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    /// For example `apps/v1`.
    pub api_version: String,
    /// For example `Deployment`.
    pub kind: String,
    /// `metadata.namespace`; none for a cluster-scoped object.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
    /// The labels that say who owns the object.
    pub labels: Marks,
    /// The annotations that say what Helm and fluxkeep may do with it.
    pub annotations: Marks,
    /// What the apiserver refuses of its metadata; facts have none.
    pub flaws: Vec<Flaw>,
    /// Whether a release record lists it in its manifest: Helm applies it there with the rest,
    /// although its annotations may call it a hook.
    pub applied: bool,
    /// The list that it stood in, where Helm's uninstall ignores its annotations.
    pub list: Option<Box<List>>,
    /// Where it was read from, when that is a file.
    pub source: Option<Source>,
    /// What is particular to its kind.
    pub body: Body,
}

/// Something that no apiserver takes, in an object of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// A label whose value is none.
    Label {
        /// Its key.
        key: String,
        /// Its value.
        value: String,
    },
    /// Annotations of so many bytes in all.
    Annotations(usize),
    /// An object with at least this many bytes.
    Size {
        /// Bytes as they are sent or stored.
        bytes: usize,
        /// The apiserver's limit for that, in bytes.
        most: usize,
    },
}

/// A list that holds objects: whatever has `items`, as Go's reader decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// For example `v1`.
    pub api_version: String,
    /// For example `List` or `DeploymentList`.
    pub kind: String,
    /// Its own `helm.sh/resource-policy`: Helm's uninstall reads that of a document, so it counts for every item.
    pub policy: Option<String>,
}

/// What rules read of an object beyond its metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Body {
    /// A CustomResourceDefinition.
    Definition(Definition),
    /// A HelmRelease of helm-controller.
    HelmRelease(Box<HelmRelease>),
    /// A Deployment, StatefulSet or DaemonSet.
    Workload(Workload),
    /// A Service.
    Service(Service),
    /// A NetworkPolicy, with the pods that it is about.
    NetworkPolicy(Selector),
    /// A FluxInstance of flux-operator.
    FluxInstance(Box<FluxInstance>),
    /// A Kustomization of kustomize-controller.
    Kustomization(Box<Kustomization>),
    /// A RoleBinding or ClusterRoleBinding.
    Binding(Binding),
    /// A Role or ClusterRole. Its rules are read from JSON alone, and no fact holds them.
    Role(Role),
    /// The subresource `scale` of a workload, with `spec.replicas`.
    Scale(i64),
    /// An object of the cluster that could not be read: no more than its name is known.
    Unread,
    /// Anything else: its metadata is all that counts.
    #[default]
    Other,
}

/// What rules read of a Deployment, StatefulSet or DaemonSet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workload {
    /// The images of its containers, as written.
    pub images: Vec<String>,
    /// `spec.selector.matchLabels`, which can never be changed.
    pub selector: BTreeMap<String, String>,
    /// `spec.template.metadata.labels`: what its pods are known by.
    pub labels: Marks,
    /// `spec.replicas`; none where it is left to the apiserver (1) or to an autoscaler.
    pub replicas: Option<i64>,
    /// What decides whether its pods start. Only a change of the object tells; no fact holds it.
    pub start: Start,
}

/// What decides whether the pods of a Deployment start, and as whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// `spec.paused`.
    pub paused: bool,
    /// The containers' names, in the order of [`Workload::images`].
    pub containers: Vec<String>,
    /// `spec.template.spec.serviceAccountName`, empty for `default`.
    pub account: String,
    /// `spec.template.spec.nodeSelector`.
    pub nodes: BTreeMap<String, String>,
}

/// What is read of a Service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// `spec.clusterIP`, where it is set.
    pub cluster_ip: Option<String>,
    /// `spec.selector`: the pods that it sends to.
    pub selector: Selector,
}

/// A place in a file that a person can open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The file as the person named it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

/// What makes two objects the same: API group, kind, namespace, name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// API group, empty for the core group.
    pub group: String,
    /// For example `Deployment`.
    pub kind: String,
    /// None for a cluster-scoped object.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

impl Object {
    /// What identifies the object in a cluster.
    #[must_use]
    pub fn key(&self) -> Key {
        Key {
            group: self.group().to_owned(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    /// Its API group, empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// The CustomResourceDefinition that it is, if it is one.
    #[must_use]
    pub fn definition(&self) -> Option<&Definition> {
        if let Body::Definition(definition) = &self.body {
            Some(definition)
        } else {
            None
        }
    }

    /// The HelmRelease that it is, if it is one.
    #[must_use]
    pub fn helm_release(&self) -> Option<&HelmRelease> {
        if let Body::HelmRelease(release) = &self.body {
            Some(release)
        } else {
            None
        }
    }

    /// The FluxInstance that it is, if it is one.
    #[must_use]
    pub fn flux_instance(&self) -> Option<&FluxInstance> {
        if let Body::FluxInstance(instance) = &self.body {
            Some(instance)
        } else {
            None
        }
    }

    /// The Kustomization that it is, if it is one.
    #[must_use]
    pub fn kustomization(&self) -> Option<&Kustomization> {
        if let Body::Kustomization(kustomization) = &self.body {
            Some(kustomization)
        } else {
            None
        }
    }

    /// The Helm release that helm-controller makes of it, if it is a HelmRelease about this cluster.
    #[must_use]
    pub fn installs(&self) -> Option<Owner> {
        self.helm_release()?
            .release(self.namespace.as_deref().unwrap_or_default(), &self.name)
    }

    /// Whether nothing is known of it beyond its name.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.body == Body::Unread
    }

    /// The images that it runs, if it runs any.
    #[must_use]
    pub fn images(&self) -> &[String] {
        if let Body::Workload(workload) = &self.body {
            &workload.images
        } else {
            &[]
        }
    }

    /// Whether it is a workload that is scaled to zero.
    #[must_use]
    pub fn is_scaled_to_zero(&self) -> bool {
        if let Body::Workload(workload) = &self.body {
            workload.replicas == Some(0)
        } else {
            false
        }
    }

    /// The pods that it means, if it is a Service or a NetworkPolicy.
    #[must_use]
    pub fn selector(&self) -> Option<&Selector> {
        match &self.body {
            Body::Service(service) => Some(&service.selector),
            Body::NetworkPolicy(selector) => Some(selector),
            _ => None,
        }
    }

    /// Whether Helm creates and removes it beside the release.
    #[must_use]
    pub fn is_hook(&self) -> bool {
        !self.applied && self.annotations.contains_key(HOOK)
    }

    /// Whether Helm's uninstall leaves it alone. Helm trims and lower-cases the value, and of a list it
    /// looks at the list's own annotations alone.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        let policy = match &self.list {
            Some(list) => list.policy.as_ref(),
            None => self.annotations.get(RESOURCE_POLICY),
        };
        policy.is_some_and(|policy| policy.trim().eq_ignore_ascii_case("keep"))
    }

    /// The Helm release that owns it.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        Some(Owner {
            name: self.annotations.get(RELEASE_NAME)?.clone(),
            namespace: self.annotations.get(RELEASE_NAMESPACE)?.clone(),
        })
    }
}

impl List {
    /// Whether it takes annotations: `List` does. Helm refuses them on a typed list, whose metadata has no place
    /// for them.
    #[must_use]
    pub fn takes_annotations(&self) -> bool {
        self.kind == "List" && self.api_version == "v1"
    }
}

impl fmt::Display for Object {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        place(out, &self.kind, self.namespace.as_deref(), &self.name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        place(out, &self.kind, self.namespace.as_deref(), &self.name)
    }
}

/// `Kind namespace/name`, or `Kind name` for what is cluster-scoped.
fn place(
    out: &mut fmt::Formatter<'_>,
    kind: &str,
    namespace: Option<&str>,
    name: &str,
) -> fmt::Result {
    match namespace {
        Some(namespace) => write!(out, "{kind} {namespace}/{name}"),
        None => write!(out, "{kind} {name}"),
    }
}
