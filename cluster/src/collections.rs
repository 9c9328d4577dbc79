//! The table of collections to read from a cluster. The snapshot, the watches and the RBAC rights
//! all follow from it.

use fluxkeep::case::rule::{Need, Rule};
use fluxkeep::crd::Definition;
use fluxkeep::flux::engine::{Engine, EngineKind, IdentifiedBy, MEMBERS};
use fluxkeep::flux::needs::may_serve;
use fluxkeep::object::{Body, Key, Object, TypeMeta};

/// The objects of a resource, and the need of rules that they serve. Secrets are never read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collection {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// The version to request; `None` means a version that the cluster's CRD serves.
    pub version: Option<&'static str>,
    /// For example `Deployment`.
    pub kind: &'static str,
    /// The plural, for example `deployments`.
    pub resource: &'static str,
    /// The objects of the resource that are read.
    pub scope: ObjectScope,
    /// The need of rules that these objects serve.
    pub serves: Need,
}

/// The objects of a resource that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectScope {
    /// All objects of a cluster-scoped resource.
    Cluster,
    /// The engine's Namespaces, each by its name.
    Home,
    /// The objects in the engine's namespaces.
    Engine,
    /// The objects in all namespaces.
    Everywhere,
}

/// A HelmRelease declares its release's content, and may live in any namespace.
const HELM_RELEASES: Collection = Collection {
    group: "helm.toolkit.fluxcd.io",
    version: None,
    kind: "HelmRelease",
    resource: "helmreleases",
    scope: ObjectScope::Everywhere,
    serves: Need::ChartFlux,
};

/// flux-operator may live in any namespace, and takes one FluxInstance.
const FLUX_INSTANCES: Collection = Collection {
    group: "fluxcd.controlplane.io",
    version: None,
    kind: "FluxInstance",
    resource: "fluxinstances",
    scope: ObjectScope::Everywhere,
    serves: Need::FluxInstance,
};

/// The Kustomization that applies Flux lives beside it; others apply applications.
const KUSTOMIZATIONS: Collection = Collection {
    group: "kustomize.toolkit.fluxcd.io",
    version: None,
    kind: "Kustomization",
    resource: "kustomizations",
    scope: ObjectScope::Engine,
    serves: Need::Kustomizations,
};

/// The custom resources that are read besides the engine's own kinds.
const CUSTOM: [Collection; 7] = [
    HELM_RELEASES,
    FLUX_INSTANCES,
    KUSTOMIZATIONS,
    source("Bucket", "buckets"),
    source("GitRepository", "gitrepositories"),
    source("HelmRepository", "helmrepositories"),
    source("OCIRepository", "ocirepositories"),
];

/// The sources beside Flux, which name the Secrets that they are fetched with. The rule that reads
/// the Kustomizations reads them, too.
const fn source(kind: &'static str, resource: &'static str) -> Collection {
    Collection {
        group: "source.toolkit.fluxcd.io",
        version: None,
        kind,
        resource,
        scope: ObjectScope::Engine,
        serves: Need::Kustomizations,
    }
}

/// The collections that these rules need; CRDs come first.
pub fn needed<'a>(rules: &'a [&Rule]) -> impl Iterator<Item = Collection> + 'a {
    let all = MEMBERS.iter().map(Collection::of).chain(CUSTOM);
    all.filter(|collection| {
        rules
            .iter()
            .any(|rule| rule.needs.contains(&collection.serves))
    })
}

impl Collection {
    /// The collection of an engine kind. All CRDs are read, since the storage of each is guarded.
    fn of(member: &EngineKind) -> Self {
        let (scope, serves) = match member.known {
            IdentifiedBy::Group => (ObjectScope::Cluster, Need::Definitions),
            IdentifiedBy::Home => (ObjectScope::Home, Need::RunningFlux),
            IdentifiedBy::Inside(_) => (ObjectScope::Engine, Need::RunningFlux),
            IdentifiedBy::ClusterWide(_) => (ObjectScope::Cluster, Need::RunningFlux),
        };
        let EngineKind {
            group,
            kind,
            resource,
            ..
        } = *member;
        Self {
            group,
            version: Some("v1"),
            kind,
            resource,
            scope,
            serves,
        }
    }

    /// The name of the CRD that defines this resource, if it is a custom one.
    pub(crate) fn definition(&self) -> String {
        format!("{}.{}", self.resource, self.group)
    }

    /// The namespaces to read; a single empty name for a collection that is read whole.
    pub(crate) fn namespaces(&self, engine: &Engine) -> Vec<String> {
        match self.scope {
            ObjectScope::Cluster | ObjectScope::Everywhere => vec![String::new()],
            ObjectScope::Home | ObjectScope::Engine => engine.namespaces.clone(),
        }
    }

    /// The collection's path in a cluster, for this version and namespace.
    pub(crate) fn place(self, version: &str, namespace: &str) -> Place {
        let slash = if self.group.is_empty() { "" } else { "/" };
        let api_version = format!("{}{slash}{version}", self.group);
        let root = if self.group.is_empty() {
            "/api"
        } else {
            "/apis"
        };
        let inside = if self.scope == ObjectScope::Engine {
            format!("/namespaces/{namespace}")
        } else {
            String::new()
        };
        let path = format!("{root}/{api_version}{inside}/{}", self.resource);
        Place {
            collection: self,
            api_version,
            path,
            namespace: namespace.to_owned(),
        }
    }
}

/// The version to read a custom resource in: the storage version, or else another served one.
#[must_use]
pub fn served(definition: &Definition) -> Option<&str> {
    let served = definition.versions.iter().filter(|version| version.served);
    served
        .max_by_key(|version| version.storage)
        .map(|version| version.name.as_str())
}

/// A collection with its path in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) collection: Collection,
    pub(crate) api_version: String,
    pub(crate) path: String,
    namespace: String,
}

impl Place {
    /// The field selector, if the objects are selected by name.
    pub(crate) fn fields(&self) -> Option<String> {
        (self.collection.scope == ObjectScope::Home)
            .then(|| format!("metadata.name={}", self.namespace))
    }

    /// The `apiVersion` and `kind` of the collection's objects.
    pub(crate) fn head(&self) -> TypeMeta {
        TypeMeta {
            api_version: self.api_version.clone(),
            kind: self.collection.kind.to_owned(),
        }
    }

    /// True if the collection contains an object with this key.
    pub(crate) fn holds(&self, key: &Key) -> bool {
        let Collection {
            group, kind, scope, ..
        } = self.collection;
        let inside = match scope {
            ObjectScope::Cluster | ObjectScope::Everywhere => true,
            ObjectScope::Home => key.name == self.namespace,
            ObjectScope::Engine => key.namespace.as_ref() == Some(&self.namespace),
        };
        key.group == group && key.kind == kind && inside
    }
}

/// False for cluster roles and bindings of others, which are many and not part of the facts. A
/// binding of Flux may refer to a ClusterRole of any name, so one that would serve Flux is wanted.
pub(crate) fn is_wanted(object: &Object, engine: &Engine) -> bool {
    if !matches!(object.kind.as_str(), "ClusterRole" | "ClusterRoleBinding") {
        return true;
    }
    let serves = match &object.body {
        Body::Role(role) => may_serve(role),
        _ => false,
    };
    serves || engine.part(object).is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fluxkeep::crd::Version;
    use fluxkeep::rules::{RULES, find};
    use std::collections::BTreeSet;

    #[test]
    fn only_what_a_rule_needs_is_read() {
        assert_eq!(needed(&RULES).count(), MEMBERS.len() + CUSTOM.len());
        let storage = [find("stored-version-dropped").unwrap()];
        let read: Vec<_> = needed(&storage)
            .map(|collection| collection.resource)
            .collect();
        assert_eq!(read, ["customresourcedefinitions"]);
    }

    #[test]
    fn no_secret_is_read_and_each_resource_is_named_once() {
        let names: BTreeSet<_> = needed(&RULES)
            .map(|collection| collection.resource)
            .collect();
        assert_eq!(names.len(), MEMBERS.len() + CUSTOM.len());
        assert!(!names.contains("secrets"));
    }

    #[test]
    fn helm_releases_are_read_as_stored_unless_that_is_not_served() {
        let version = |name: &str, served, storage| Version {
            name: name.to_owned(),
            served,
            storage,
            ..Version::default()
        };
        let read = |versions: Vec<Version>| {
            served(&Definition {
                versions,
                ..Definition::default()
            })
            .map(str::to_owned)
        };
        assert_eq!(
            read(vec![
                version("v2", true, true),
                version("v2beta2", true, false)
            ])
            .unwrap(),
            "v2"
        );
        assert_eq!(
            read(vec![
                version("v2", false, true),
                version("v2beta2", true, false)
            ])
            .unwrap(),
            "v2beta2"
        );
        assert_eq!(read(vec![version("v2", false, true)]), None);
    }

    #[test]
    fn a_place_knows_its_path_and_its_objects() {
        let find = |kind| {
            needed(&RULES)
                .find(|collection| collection.kind == kind)
                .unwrap()
        };
        let deployments = find("Deployment").place("v1", "flux-system");
        assert_eq!(
            deployments.path,
            "/apis/apps/v1/namespaces/flux-system/deployments"
        );
        let key = |group: &str, kind: &str, namespace: Option<&str>, name: &str| Key {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        };
        assert!(deployments.holds(&key("apps", "Deployment", Some("flux-system"), "a")));
        assert!(!deployments.holds(&key("apps", "Deployment", Some("other"), "a")));
        let home = find("Namespace").place("v1", "flux-system");
        assert_eq!(
            (home.path.as_str(), home.fields().unwrap().as_str()),
            ("/api/v1/namespaces", "metadata.name=flux-system")
        );
        assert!(
            home.holds(&key("", "Namespace", None, "flux-system"))
                && !home.holds(&key("", "Namespace", None, "a"))
        );
    }
}
