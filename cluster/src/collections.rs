//! What is read of a cluster: one table, from which the snapshot, the watches and the rights to
//! read are made.

use fluxkeep::crd::Definition;
use fluxkeep::engine::Engine;
use fluxkeep::object::{Head, Key, Object};
use fluxkeep::rule::{Need, Rule};

/// The objects of one resource, and what they are read for. Never Secrets.
#[derive(Debug)]
pub struct Collection {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// The version that is asked for; none asks for one that the cluster's definition serves.
    pub version: Option<&'static str>,
    /// For example `Deployment`.
    pub kind: &'static str,
    /// The plural, for example `deployments`.
    pub resource: &'static str,
    /// Which of them are read.
    pub scope: Scope,
    /// What rules know by it.
    pub serves: Need,
}

/// Which objects of a resource are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of a resource without namespaces.
    Cluster,
    /// The engine's Namespaces, each by its name.
    Home,
    /// Those in the engine's namespaces.
    Engine,
    /// Those in every namespace.
    Everywhere,
}

/// Every collection. A row whose need no rule has is neither read nor asked rights for.
pub static COLLECTIONS: [Collection; 12] = [
    row("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", Scope::Cluster)
        .serving(Need::Definitions),
    row("", "Namespace", "namespaces", Scope::Home),
    row("apps", "Deployment", "deployments", Scope::Engine),
    row("", "Service", "services", Scope::Engine),
    row("", "ServiceAccount", "serviceaccounts", Scope::Engine),
    row("", "ResourceQuota", "resourcequotas", Scope::Engine),
    row("networking.k8s.io", "NetworkPolicy", "networkpolicies", Scope::Engine),
    row("rbac.authorization.k8s.io", "Role", "roles", Scope::Engine),
    row("rbac.authorization.k8s.io", "RoleBinding", "rolebindings", Scope::Engine),
    row("rbac.authorization.k8s.io", "ClusterRole", "clusterroles", Scope::Cluster),
    row("rbac.authorization.k8s.io", "ClusterRoleBinding", "clusterrolebindings", Scope::Cluster),
    row("helm.toolkit.fluxcd.io", "HelmRelease", "helmreleases", Scope::Everywhere)
        .as_served()
        .serving(Need::ChartFlux),
];

/// Most are parts of the engine, told by which the running Flux and its owners are known.
const fn row(group: &'static str, kind: &'static str, resource: &'static str, scope: Scope) -> Collection {
    Collection { group, version: Some("v1"), kind, resource, scope, serves: Need::RunningFlux }
}

/// The collections that these rules need.
pub fn needed<'a>(rules: &'a [&Rule]) -> impl Iterator<Item = &'static Collection> + 'a {
    COLLECTIONS.iter().filter(|collection| rules.iter().any(|rule| rule.needs.contains(&collection.serves)))
}

impl Collection {
    const fn serving(self, need: Need) -> Self {
        Self { serves: need, ..self }
    }

    const fn as_served(self) -> Self {
        Self { version: None, ..self }
    }

    /// The name of the definition that says in which versions it is served, if it is a custom one.
    pub(crate) fn definition(&self) -> String {
        format!("{}.{}", self.resource, self.group)
    }

    /// The namespaces that it is read in; one empty name where it is read as a whole.
    pub(crate) fn namespaces(&self, engine: &Engine) -> Vec<String> {
        match self.scope {
            Scope::Cluster | Scope::Everywhere => vec![String::new()],
            Scope::Home | Scope::Engine => engine.namespaces.clone(),
        }
    }

    /// Where it lies in a cluster, in this version and namespace.
    pub(crate) fn place(&'static self, version: &str, namespace: &str) -> Place {
        let slash = if self.group.is_empty() { "" } else { "/" };
        let api_version = format!("{}{slash}{version}", self.group);
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        let inside = if self.scope == Scope::Engine { format!("/namespaces/{namespace}") } else { String::new() };
        let path = format!("{root}/{api_version}{inside}/{}", self.resource);
        Place { collection: self, api_version, path, namespace: namespace.to_owned() }
    }
}

/// The version to read a custom resource in: the one that is stored, or else another that is served.
pub(crate) fn served(definition: &Definition) -> Option<&str> {
    let served = definition.versions.iter().filter(|version| version.served);
    served.max_by_key(|version| version.storage).map(|version| version.name.as_str())
}

/// A collection where it lies in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) collection: &'static Collection,
    pub(crate) api_version: String,
    pub(crate) path: String,
    namespace: String,
}

impl PartialEq for Collection {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Collection {}

impl Place {
    /// What the apiserver is to leave out.
    pub(crate) fn fields(&self) -> Option<String> {
        (self.collection.scope == Scope::Home).then(|| format!("metadata.name={}", self.namespace))
    }

    /// What its objects are.
    pub(crate) fn head(&self) -> Head {
        Head { api_version: self.api_version.clone(), kind: self.collection.kind.to_owned() }
    }

    /// Whether an object with this key lies here.
    pub(crate) fn holds(&self, key: &Key) -> bool {
        let Collection { group, kind, scope, .. } = self.collection;
        let inside = match scope {
            Scope::Cluster | Scope::Everywhere => true,
            Scope::Home => key.name == self.namespace,
            Scope::Engine => key.namespace.as_ref() == Some(&self.namespace),
        };
        key.group == *group && key.kind == *kind && inside
    }
}

/// Cluster roles are many, and strangers'; only the engine's belong to the facts.
pub(crate) fn is_wanted(object: &Object, engine: &Engine) -> bool {
    !matches!(object.kind.as_str(), "ClusterRole" | "ClusterRoleBinding") || engine.part(object).is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fluxkeep::crd::Version;
    use fluxkeep::rules::{RULES, find};
    use std::collections::BTreeSet;

    #[test]
    fn every_row_serves_a_need_of_a_rule_and_no_other_row_is_read() {
        assert_eq!(needed(&RULES).count(), COLLECTIONS.len());
        let storage = [find("stored-version-dropped").unwrap()];
        let read: Vec<_> = needed(&storage).map(|collection| collection.resource).collect();
        assert_eq!(read, ["customresourcedefinitions"]);
    }

    #[test]
    fn no_row_reads_secrets_and_each_is_named_once() {
        let names: BTreeSet<_> = COLLECTIONS.iter().map(|collection| collection.resource).collect();
        assert_eq!(names.len(), COLLECTIONS.len());
        assert!(!names.contains("secrets"));
    }

    #[test]
    fn helm_releases_are_read_as_stored_unless_that_is_not_served() {
        let version = |name: &str, served, storage| Version { name: name.to_owned(), served, storage };
        let read =
            |versions: Vec<Version>| served(&Definition { versions, ..Definition::default() }).map(str::to_owned);
        assert_eq!(read(vec![version("v2", true, true), version("v2beta2", true, false)]).unwrap(), "v2");
        assert_eq!(read(vec![version("v2", false, true), version("v2beta2", true, false)]).unwrap(), "v2beta2");
        assert_eq!(read(vec![version("v2", false, true)]), None);
    }

    #[test]
    fn a_place_knows_its_path_and_its_objects() {
        let find = |kind| COLLECTIONS.iter().find(|collection| collection.kind == kind).unwrap();
        let deployments = find("Deployment").place("v1", "flux-system");
        assert_eq!(deployments.path, "/apis/apps/v1/namespaces/flux-system/deployments");
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
            home.holds(&key("", "Namespace", None, "flux-system")) && !home.holds(&key("", "Namespace", None, "a"))
        );
    }
}
