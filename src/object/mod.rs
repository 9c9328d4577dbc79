//! A Kubernetes object, reduced to the fields that rules read.
//!
//! Reading skips everything else: schemas, Secrets, values of ConfigMaps. The kept labels and
//! annotations name the owner or say how tools may treat the object.

mod access;
mod lenient;
mod marks;
mod parts;
pub(crate) mod paths;
mod read;
mod selector;

pub use access::{Account, Binding, Grantee, PolicyRule, Right, Role, UNNAMED};
pub use marks::Marks;
pub(crate) use read::object;
pub use read::{Kind, Misshapen, TypeMeta, body_kind};
pub use selector::{Selector, Term};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::crd::Definition;
use crate::flux::applier::{FluxInstance, Kustomization};
use crate::helm::release::HelmRelease;
use crate::helm::{HOOK, Owner, RELEASE_NAME, RELEASE_NAMESPACE, RESOURCE_POLICY};

/// Label that names an object's application; `flux` on the engine.
pub const PART_OF: &str = "app.kubernetes.io/part-of";
/// Annotation that names the rules from which an object is excused, separated by commas.
pub const ALLOW: &str = "fluxkeep.io/allow";
/// Annotation with the reason of the override.
pub const REASON: &str = "fluxkeep.io/reason";
/// Annotation with the end of the override (RFC 3339).
pub const UNTIL: &str = "fluxkeep.io/until";

/// A Kubernetes object as rules see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    /// For example `apps/v1`.
    pub api_version: String,
    /// For example `Deployment`.
    pub kind: String,
    /// `metadata.namespace`; `None` for a cluster-scoped object.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
    /// The labels that name the object's owner.
    pub labels: Marks,
    /// The annotations that tell Helm and fluxkeep how to treat the object.
    pub annotations: Marks,
    /// Defects of the metadata that the apiserver refuses; facts have none.
    pub flaws: Vec<Flaw>,
    /// True if a release record lists the object in its manifest. Helm then applies the object,
    /// even if its annotations call it a hook.
    pub applied: bool,
    /// The list that contained the object. Helm's uninstall then ignores the object's annotations.
    pub list: Option<Box<List>>,
    /// The place in the file that contained the object.
    pub source: Option<SourceLocation>,
    /// The fields of its kind.
    pub body: Body,
}

/// A defect that the apiserver refuses in objects of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// A label with an invalid value.
    Label {
        /// The label's key.
        key: String,
        /// The label's value.
        value: String,
    },
    /// Too long annotations, with their total bytes.
    Annotations(usize),
    /// An object of at least this many bytes.
    Size {
        /// Bytes as sent or stored.
        bytes: usize,
        /// The apiserver's limit for them, in bytes.
        most: usize,
    },
}

/// A list of objects: any object with `items`, as Go's reader decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// For example `v1`.
    pub api_version: String,
    /// For example `List` or `DeploymentList`.
    pub kind: String,
    /// The list's own `helm.sh/resource-policy`. Helm's uninstall reads it for every item.
    pub policy: Option<String>,
}

/// The fields that rules read of an object beyond its metadata.
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
    /// A ResourceQuota or LimitRange, with the resources of which it allows none to any pod.
    Forbids(BTreeSet<String>),
    /// A NetworkPolicy.
    NetworkPolicy(NetworkPolicy),
    /// A FluxInstance of flux-operator.
    FluxInstance(Box<FluxInstance>),
    /// A Kustomization of kustomize-controller.
    Kustomization(Box<Kustomization>),
    /// A source of source-controller, with the name of its `spec.secretRef`.
    FluxSource(Option<String>),
    /// A RoleBinding or ClusterRoleBinding.
    Binding(Binding),
    /// A Role or ClusterRole.
    Role(Role),
    /// The subresource `scale` of a workload, with `spec.replicas`.
    Scale(i64),
    /// A live object that could not be read: only its name is known.
    Unread,
    /// Any other kind: only its metadata counts.
    #[default]
    Other,
}

/// The fields that rules read of a Deployment, StatefulSet or DaemonSet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workload {
    /// The containers' images, as written.
    pub images: Vec<String>,
    /// `spec.selector.matchLabels`, which is immutable.
    pub selector: BTreeMap<String, String>,
    /// `spec.template.metadata.labels`, by which selectors find its pods.
    pub labels: Marks,
    /// `spec.replicas`; `None` leaves the number to the apiserver (1) or to an autoscaler.
    pub replicas: Option<i64>,
    /// The settings that decide if its pods start. Facts hold none; only a change is compared.
    pub start: Start,
}

/// The settings that decide if a Deployment's pods start, and under which ServiceAccount.
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

/// The fields that are read of a Service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// `spec.clusterIP`, if set.
    pub cluster_ip: Option<String>,
    /// `spec.selector`: the pods that receive the traffic.
    pub selector: Selector,
    /// `spec.externalName`, if the Service is of type `ExternalName` and reaches no pod.
    pub external: Option<String>,
}

/// The fields that are read of a NetworkPolicy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// `spec.podSelector`: the pods that the policy restricts.
    pub selector: Selector,
    /// Traffic to these pods.
    pub ingress: Traffic,
    /// Traffic from these pods.
    pub egress: Traffic,
}

/// The effect of a NetworkPolicy on one direction of traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Traffic {
    /// The policy does not restrict it.
    #[default]
    Unrestricted,
    /// The policy restricts it, and at least one rule allows some of it.
    Limited,
    /// The policy restricts it and allows none. Other policies may still allow some.
    Denied,
}

/// A place in a file that a person can open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceLocation {
    /// The file as the person named it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in characters.
    pub column: u32,
    /// The column behind the last character, if the place ends on its line.
    pub end: Option<u32>,
}

/// The identity of an object: API group, kind, namespace, name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// API group, empty for the core group.
    pub group: String,
    /// For example `Deployment`.
    pub kind: String,
    /// `None` for a cluster-scoped object.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

impl Key {
    /// The identity of the CustomResourceDefinition of this name.
    #[must_use]
    pub fn of_definition(name: &str) -> Self {
        Self {
            group: "apiextensions.k8s.io".to_owned(),
            kind: "CustomResourceDefinition".to_owned(),
            namespace: None,
            name: name.to_owned(),
        }
    }
}

/// Group and version of an `apiVersion`; the core group is empty.
#[must_use]
pub fn group_and_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

impl Object {
    /// The identity of the object in a cluster.
    #[must_use]
    pub fn key(&self) -> Key {
        Key {
            group: self.group().to_owned(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    /// The API group, empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        group_and_version(&self.api_version).0
    }

    /// The CustomResourceDefinition. `None` for another kind.
    #[must_use]
    pub fn definition(&self) -> Option<&Definition> {
        if let Body::Definition(definition) = &self.body {
            Some(definition)
        } else {
            None
        }
    }

    /// The HelmRelease. `None` for another kind.
    #[must_use]
    pub fn helm_release(&self) -> Option<&HelmRelease> {
        if let Body::HelmRelease(release) = &self.body {
            Some(release)
        } else {
            None
        }
    }

    /// The FluxInstance. `None` for another kind.
    #[must_use]
    pub fn flux_instance(&self) -> Option<&FluxInstance> {
        if let Body::FluxInstance(instance) = &self.body {
            Some(instance)
        } else {
            None
        }
    }

    /// The Kustomization. `None` for another kind.
    #[must_use]
    pub fn kustomization(&self) -> Option<&Kustomization> {
        if let Body::Kustomization(kustomization) = &self.body {
            Some(kustomization)
        } else {
            None
        }
    }

    /// The Helm release of this HelmRelease. `None` for another kind or another cluster.
    #[must_use]
    pub fn installs(&self) -> Option<Owner> {
        self.helm_release()?
            .release(self.namespace.as_deref().unwrap_or_default(), &self.name)
    }

    /// True if only the object's name is known.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.body == Body::Unread
    }

    /// The images that the object runs; empty for other kinds than workloads.
    #[must_use]
    pub fn images(&self) -> &[String] {
        if let Body::Workload(workload) = &self.body {
            &workload.images
        } else {
            &[]
        }
    }

    /// True for a workload that is scaled to zero.
    #[must_use]
    pub fn is_scaled_to_zero(&self) -> bool {
        if let Body::Workload(workload) = &self.body {
            workload.replicas == Some(0)
        } else {
            false
        }
    }

    /// The selector of a Service or NetworkPolicy. `None` for other kinds.
    #[must_use]
    pub fn selector(&self) -> Option<&Selector> {
        match &self.body {
            Body::Service(service) => Some(&service.selector),
            Body::NetworkPolicy(policy) => Some(&policy.selector),
            _ => None,
        }
    }

    /// True if Helm creates and removes the object as a hook.
    #[must_use]
    pub fn is_hook(&self) -> bool {
        !self.applied && self.annotations.contains_key(HOOK)
    }

    /// True if Helm's uninstall leaves the object alone. Helm trims and lower-cases the value. In a
    /// list, Helm reads only the list's own annotations.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        let policy = match &self.list {
            Some(list) => list.policy.as_ref(),
            None => self.annotations.get(RESOURCE_POLICY),
        };
        policy.is_some_and(|policy| policy.trim().eq_ignore_ascii_case("keep"))
    }

    /// The Helm release that owns the object.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        Some(Owner {
            name: self.annotations.get(RELEASE_NAME)?.clone(),
            namespace: self.annotations.get(RELEASE_NAMESPACE)?.clone(),
        })
    }
}

impl List {
    /// True if the list accepts annotations: `List` does. Helm refuses them on a typed list, whose
    /// metadata has no annotations.
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

/// Writes `Kind namespace/name`, or `Kind name` for a cluster-scoped object.
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
