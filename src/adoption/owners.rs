//! The tools that own objects of a cluster, and the marks by which each tool knows its objects.
//!
//! This table serves every door: `foreign-owner`, `fluxkeep adopt`, the post-renderer, and the
//! selection of labels and annotations to read. A new tool is a new entry of [`TOOLS`].

use std::fmt;

use crate::adoption::MetadataField;
use crate::case::facts::Facts;
use crate::flux::engine::Engine;
use crate::helm::{MANAGED_BY, Owner, RELEASE_NAME, RELEASE_NAMESPACE, RESOURCE_POLICY};
use crate::object::{Key, Object};

/// A tool that applies objects and deletes those that its sources no longer contain.
#[derive(Debug)]
pub struct Tool {
    /// The name as its project spells it, for example `Argo CD`.
    pub name: &'static str,
    /// The kind of the owner, written before the owner's name: `Helm release`.
    pub owns_as: &'static str,
    /// The owner's way to delete its objects: `its uninstall`.
    pub deletes_by: &'static str,
    /// The labels and annotations to remove, so that the tool lets go of an object.
    pub marks: &'static [Mark],
    /// The owner as an object of the same cluster. `None` if the owner is not in this cluster.
    pub lives_as: Option<Custom>,
    /// Reads the owner's name from an object.
    names: fn(&Object) -> Option<Named>,
    /// The first step, so that the tool does not write its marks anew.
    rests: fn(&Holder) -> String,
}

/// The custom resource of an owner. Its kind is [`Tool::owns_as`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Custom {
    /// API group.
    pub group: &'static str,
    /// The plural, for example `kustomizations`.
    pub resource: &'static str,
    /// The namespaces in which facts that follow a cluster hold every such owner.
    pub followed: Followed,
    /// The way to make the owner leave its objects alone.
    pub rests_by: Rest,
}

/// The namespaces in which facts that follow a cluster hold every owner of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// All namespaces.
    Everywhere,
    /// The engine's namespaces.
    InHomes,
    /// None.
    Nowhere,
}

/// The way to make a custom resource leave its objects alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// `spec.suspend: true`. Deleting the owner still prunes.
    Suspend,
    /// The annotation [`RECONCILE`]: `disabled`. Deleting the owner then prunes nothing.
    Annotation,
}

/// Annotation with which flux-operator leaves an object and its owned objects alone, if `disabled`.
pub const RECONCILE: &str = "fluxcd.controlplane.io/reconcile";

/// A label or annotation of a tool: its place and its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(pub MetadataField, pub &'static str);

/// An owner's namespace, if any, and its name.
type Named = (Option<String>, String);

/// The owner of a live object.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The tool that applies the object.
    pub tool: &'static Tool,
    /// The owner's namespace. `None` for owners without one.
    pub namespace: Option<String>,
    /// The owner's name, for example a Kustomization's.
    pub name: String,
}

/// Every known tool. An object with marks of several tools belongs to the first.
pub static TOOLS: [Tool; 6] = [
    HELM,
    KUSTOMIZE_CONTROLLER,
    FLUX_OPERATOR,
    RESOURCE_SET,
    ARGO_CD,
    KAPP,
];

const HELM: Tool = Tool {
    name: "Helm",
    owns_as: "Helm release",
    deletes_by: "its uninstall",
    marks: &[
        Mark(MetadataField::Annotations, RELEASE_NAME),
        Mark(MetadataField::Annotations, RELEASE_NAMESPACE),
        Mark(MetadataField::Labels, MANAGED_BY),
    ],
    lives_as: None,
    names: |object| {
        object
            .owner()
            .map(|owner| (Some(owner.namespace), owner.name))
    },
    rests: |holder| format!("upgrade {holder} to a chart without it"),
};

const KUSTOMIZE_CONTROLLER: Tool = Tool {
    name: "kustomize-controller",
    owns_as: "Kustomization",
    deletes_by: "its pruning",
    marks: &[
        Mark(MetadataField::Labels, "kustomize.toolkit.fluxcd.io/name"),
        Mark(
            MetadataField::Labels,
            "kustomize.toolkit.fluxcd.io/namespace",
        ),
    ],
    lives_as: Some(Custom {
        group: "kustomize.toolkit.fluxcd.io",
        resource: "kustomizations",
        followed: Followed::InHomes,
        rests_by: Rest::Suspend,
    }),
    names: |object| labelled(object, "kustomize.toolkit.fluxcd.io"),
    rests: |holder| format!("remove it from {holder} with prune: false"),
};

/// A FluxInstance also writes `app.kubernetes.io/managed-by: flux-operator` on its objects.
/// Adoption overwrites that with Helm's value.
const FLUX_OPERATOR: Tool = Tool {
    name: "flux-operator",
    owns_as: "FluxInstance",
    deletes_by: "its deletion",
    marks: &[
        Mark(MetadataField::Labels, "fluxcd.controlplane.io/name"),
        Mark(MetadataField::Labels, "fluxcd.controlplane.io/namespace"),
    ],
    lives_as: Some(Custom {
        group: "fluxcd.controlplane.io",
        resource: "fluxinstances",
        followed: Followed::Everywhere,
        rests_by: Rest::Annotation,
    }),
    names: |object| labelled(object, "fluxcd.controlplane.io"),
    rests: |holder| format!("pause {holder}: {}", holder.paused()),
};

const RESOURCE_SET: Tool = Tool {
    name: "flux-operator",
    owns_as: "ResourceSet",
    deletes_by: "its deletion",
    marks: &[
        Mark(
            MetadataField::Labels,
            "resourceset.fluxcd.controlplane.io/name",
        ),
        Mark(
            MetadataField::Labels,
            "resourceset.fluxcd.controlplane.io/namespace",
        ),
    ],
    lives_as: Some(Custom {
        group: "fluxcd.controlplane.io",
        resource: "resourcesets",
        followed: Followed::Nowhere,
        rests_by: Rest::Annotation,
    }),
    names: |object| labelled(object, "resourceset.fluxcd.controlplane.io"),
    rests: |holder| format!("pause {holder}: {}", holder.paused()),
};

/// Argo CD may also track by `app.kubernetes.io/instance`. Every second chart writes that label, so
/// the label proves nothing and is no mark.
const ARGO_CD: Tool = Tool {
    name: "Argo CD",
    owns_as: "Argo CD application",
    deletes_by: "its pruning",
    marks: &[
        Mark(MetadataField::Annotations, TRACKING_ID),
        Mark(MetadataField::Labels, ARGO_INSTANCE),
    ],
    lives_as: None,
    names: application,
    rests: |holder| format!("remove it from {holder} without pruning"),
};

const KAPP: Tool = Tool {
    name: "kapp",
    owns_as: "kapp app",
    deletes_by: "its next deploy or delete",
    marks: &[
        Mark(MetadataField::Labels, "kapp.k14s.io/app"),
        Mark(MetadataField::Labels, "kapp.k14s.io/association"),
        Mark(MetadataField::Annotations, "kapp.k14s.io/identity"),
    ],
    lives_as: None,
    names: |object| Some((None, object.labels.get("kapp.k14s.io/app")?.clone())),
    rests: |holder| format!("remove it from {holder} without deleting it"),
};

/// `APPLICATION:GROUP/KIND:NAMESPACE/NAME`.
const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
const ARGO_INSTANCE: &str = "argocd.argoproj.io/instance";

/// Key prefixes of the labels and annotations that are read. All others are skipped, above all
/// `kubectl`'s copy of the last applied object.
const KEPT: [&str; 10] = [
    "fluxkeep.io/",
    "meta.helm.sh/",
    "helm.sh/",
    "app.kubernetes.io/",
    "helm.toolkit.fluxcd.io/",
    "kustomize.toolkit.fluxcd.io/",
    "fluxcd.controlplane.io/",
    "resourceset.fluxcd.controlplane.io/",
    "kapp.k14s.io/",
    "argocd.argoproj.io/",
];

/// True if a label or annotation with this key is read and kept.
#[must_use]
pub fn is_kept(key: &str) -> bool {
    KEPT.iter().any(|prefix| key.starts_with(prefix))
}

/// The owner of a live object. `None` if no known tool marked it.
#[must_use]
pub fn holder(live: &Object) -> Option<Holder> {
    holders(live).next()
}

/// Every tool's owner of a live object, in the order of [`TOOLS`].
pub fn holders(live: &Object) -> impl Iterator<Item = Holder> {
    TOOLS.iter().filter_map(move |tool| {
        let (namespace, name) = (tool.names)(live)?;
        Some(Holder {
            tool,
            namespace,
            name,
        })
    })
}

/// The marks of every tool but Helm. An object that a release takes over must not carry them.
pub fn foreign_marks() -> impl Iterator<Item = (&'static Tool, Mark)> {
    let others = TOOLS.iter().filter(|tool| !tool.is_helm());
    others.flat_map(|tool| tool.marks.iter().map(move |mark| (tool, *mark)))
}

impl Tool {
    /// True for Helm, whose marks a release writes itself.
    #[must_use]
    pub fn is_helm(&self) -> bool {
        self.owns_as == HELM.owns_as
    }
}

impl Holder {
    /// The Helm release. `None` for another tool's owner.
    #[must_use]
    pub fn release(&self) -> Option<Owner> {
        if !self.tool.is_helm() {
            return None;
        }
        Some(Owner {
            name: self.name.clone(),
            namespace: self.namespace.clone()?,
        })
    }

    /// True if the owner does not exist: its kind is no longer served, or facts that follow its
    /// place lack it. Marks stay behind when a tool or an owner is removed.
    #[must_use]
    pub fn is_gone(&self, facts: &Facts, engine: &Engine) -> bool {
        let Some(custom) = self.tool.lives_as else {
            return false;
        };
        let is_followed = match (custom.followed, &self.namespace) {
            (Followed::Everywhere, _) => true,
            (Followed::InHomes, Some(namespace)) => engine.is_home(namespace),
            (Followed::InHomes, None) | (Followed::Nowhere, _) => false,
        };
        let key = Key {
            group: custom.group.to_owned(),
            kind: self.tool.owns_as.to_owned(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        };
        if is_followed && facts.follow_a_cluster() && facts.live(&key).is_none() {
            return true;
        }
        let name = format!("{}.{}", custom.resource, custom.group);
        facts.definitions().next().is_some() && facts.definition(&name).is_none()
    }

    /// The owner without its tool: `NAMESPACE/NAME`, or `NAME` without a namespace.
    #[must_use]
    pub fn id(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        }
    }

    /// The steps that make the owner let go of this object.
    #[must_use]
    pub fn freed(&self, object: &Object) -> String {
        let (rests, unmarked) = ((self.tool.rests)(self), self.unmarked(object));
        if self.tool.is_helm() {
            return format!("keep it: {}, then {rests}, then: {unmarked}", keep(object));
        }
        format!("{rests}, then: {unmarked}")
    }

    /// The command that makes an owner in this cluster leave its objects alone; empty for others.
    #[must_use]
    pub fn paused(&self) -> String {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        let (kind, name) = (self.tool.owns_as.to_lowercase(), &self.name);
        match self.tool.lives_as.map(|custom| custom.rests_by) {
            Some(Rest::Suspend) => format!("flux suspend {kind} {name} -n {namespace}"),
            Some(Rest::Annotation) => {
                format!(
                    "kubectl annotate --overwrite {kind} -n {namespace} {name} {RECONCILE}=disabled"
                )
            }
            None => String::new(),
        }
    }

    /// The commands that remove this tool's marks from an object.
    fn unmarked(&self, object: &Object) -> String {
        let mut commands = Vec::new();
        for (part, verb) in [
            (MetadataField::Labels, "label"),
            (MetadataField::Annotations, "annotate"),
        ] {
            let mut keys = Vec::new();
            for Mark(_, key) in self.tool.marks.iter().filter(|mark| mark.0 == part) {
                if part.get(object, key).is_some() {
                    keys.push(format!("{key}-"));
                }
            }
            if !keys.is_empty() {
                let target = target(object);
                commands.push(format!("kubectl {verb} {target} {}", keys.join(" ")));
            }
        }
        commands.join(" && ")
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.tool.owns_as, self.id())
    }
}

/// The command that makes Helm leave an object that its next revision no longer has. Helm reads the
/// annotation from the live object then, but from the stored manifest at an uninstall.
fn keep(object: &Object) -> String {
    format!(
        "kubectl annotate --overwrite {} {RESOURCE_POLICY}=keep",
        target(object)
    )
}

/// An object in `kubectl`'s syntax.
fn target(object: &Object) -> String {
    let kind = object.kind.to_lowercase();
    match &object.namespace {
        Some(namespace) => format!("{kind} -n {namespace} {}", object.name),
        None => format!("{kind} {}", object.name),
    }
}

/// The owner from a `name` and a `namespace` label with a Flux tool's own prefix.
fn labelled(object: &Object, group: &str) -> Option<Named> {
    let name = object.labels.get(&format!("{group}/name"))?;
    let namespace = object.labels.get(&format!("{group}/namespace"));
    Some((namespace.cloned(), name.clone()))
}

/// The application that tracks an object. Argo CD ignores a tracking id for another kind, namespace
/// or name: copied annotations include a copied id. The id of a cluster-scoped object names the
/// application's namespace.
fn application(object: &Object) -> Option<Named> {
    if let Some(id) = object.annotations.get(TRACKING_ID) {
        let (application, tracked) = id.split_once(':')?;
        let kind = format!("{}/{}:", object.group(), object.kind);
        let place = tracked.strip_prefix(&kind)?;
        let (namespace, name) = place.split_once('/')?;
        let own = object.namespace.as_deref();
        let is_its_own = name == object.name && own.is_none_or(|own| own == namespace);
        return is_its_own.then(|| (None, application.to_owned()));
    }
    let name = object.labels.get(ARGO_INSTANCE)?;
    Some((None, name.clone()))
}

#[cfg(test)]
mod tests;
