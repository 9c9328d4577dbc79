//! From a cluster to a snapshot: paged lists, and never a Secret.

use fluxkeep::engine::Engine;
use fluxkeep::manifest::{self, Reading};
use http::Request;
use kube::Client;
use serde_json::{Value, json};

use crate::lean::lean;

/// CRDs with their schemas are up to 1 MB each: a page stays well below what an apiserver sends.
const PAGE: usize = 50;

/// Why a snapshot could not be taken: a list was refused, or the apiserver not reached.
#[derive(Debug, thiserror::Error)]
#[error("listing {resource}: {reason}{hint}")]
pub struct Error {
    /// For example `customresourcedefinitions`.
    pub resource: &'static str,
    /// What the apiserver says, or what lies at the bottom of the failed connection.
    pub reason: String,
    /// What may mend it; empty where that is not knowable.
    pub hint: &'static str,
}

/// A collection of the API.
struct Collection {
    path: String,
    api_version: String,
    kind: &'static str,
    resource: &'static str,
}

/// Takes a snapshot: every CRD, the engine's objects, every HelmRelease. As one `List`, as
/// `kubectl get -o json` prints it.
///
/// # Errors
/// When a list is refused or the apiserver cannot be reached; nothing is left out silently.
pub async fn gather(client: &Client, engine: &Engine) -> Result<Value, Error> {
    let definitions = collect(client, engine, &definitions()).await?;
    let releases = helm_releases(&definitions);
    let mut items = definitions;
    for collection in engine.namespaces.iter().flat_map(|home| inside(home)).chain(cluster_wide()).chain(releases) {
        items.extend(collect(client, engine, &collection).await?);
    }
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": items}))
}

fn definitions() -> Collection {
    collection("apiextensions.k8s.io/v1", "", "CustomResourceDefinition", "customresourcedefinitions")
}

fn cluster_wide() -> Vec<Collection> {
    let rbac = "rbac.authorization.k8s.io/v1";
    vec![
        collection("v1", "", "Namespace", "namespaces"),
        collection(rbac, "", "ClusterRole", "clusterroles"),
        collection(rbac, "", "ClusterRoleBinding", "clusterrolebindings"),
    ]
}

fn inside(namespace: &str) -> Vec<Collection> {
    let rbac = "rbac.authorization.k8s.io/v1";
    vec![
        collection("apps/v1", namespace, "Deployment", "deployments"),
        collection("v1", namespace, "Service", "services"),
        collection("v1", namespace, "ServiceAccount", "serviceaccounts"),
        collection("v1", namespace, "ResourceQuota", "resourcequotas"),
        collection("networking.k8s.io/v1", namespace, "NetworkPolicy", "networkpolicies"),
        collection(rbac, namespace, "Role", "roles"),
        collection(rbac, namespace, "RoleBinding", "rolebindings"),
    ]
}

/// HelmReleases in the version that the cluster stores, or another that it serves.
fn helm_releases(definitions: &[Value]) -> Option<Collection> {
    let name = json!("helmreleases.helm.toolkit.fluxcd.io");
    let crd = definitions.iter().find(|crd| crd.pointer("/metadata/name") == Some(&name))?;
    let versions = crd.pointer("/spec/versions")?.as_array()?;
    let is = |version: &&Value, flag| version.get(flag) == Some(&json!(true));
    let served = versions.iter().filter(|version| is(version, "served"));
    let version = served.max_by_key(|version| is(version, "storage"))?;
    let group = format!("helm.toolkit.fluxcd.io/{}", version.get("name")?.as_str()?);
    Some(collection(&group, "", "HelmRelease", "helmreleases"))
}

fn collection(api_version: &str, namespace: &str, kind: &'static str, resource: &'static str) -> Collection {
    let root = if api_version == "v1" { "/api" } else { "/apis" };
    let space = if namespace.is_empty() { String::new() } else { format!("/namespaces/{namespace}") };
    let path = format!("{root}/{api_version}{space}/{resource}");
    Collection { path, api_version: api_version.to_owned(), kind, resource }
}

/// A collection, lean. The apiserver forgets where a list was after some minutes, and the pages
/// before belong to no other list: then it is read once more from the start.
async fn collect(client: &Client, engine: &Engine, from: &Collection) -> Result<Vec<Value>, Error> {
    let read = match pages(client, engine, from).await {
        Err(error) if is_code(&error, 410) => pages(client, engine, from).await,
        read => read,
    };
    read.map_err(|error| Error { resource: from.resource, reason: reason(&error), hint: hint(&error) })
}

/// All pages of a collection. Roles and namespaces of strangers are left out.
async fn pages(client: &Client, engine: &Engine, from: &Collection) -> kube::Result<Vec<Value>> {
    let mut found = Vec::new();
    let mut token = String::new();
    loop {
        let page = page(client, from, &token).await?;
        let items = page.get("items").and_then(Value::as_array).into_iter().flatten();
        let items = items.map(|item| lean(item, &from.api_version, from.kind, &engine.values_paths));
        found.extend(items.filter(|item| is_wanted(item, engine)));
        match page.pointer("/metadata/continue").and_then(Value::as_str) {
            Some(next) if !next.is_empty() => next.clone_into(&mut token),
            _ => return Ok(found),
        }
    }
}

async fn page(client: &Client, from: &Collection, token: &str) -> kube::Result<Value> {
    let more = if token.is_empty() { String::new() } else { format!("&continue={token}") };
    let request = Request::get(format!("{}?limit={PAGE}{more}", from.path)).body(Vec::new());
    client.request(request.map_err(kube::Error::HttpError)?).await
}

fn is_code(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

/// The apiserver's own words, or the deepest cause: what kube puts around them names its types.
fn reason(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return status.message.clone();
    }
    let first: &dyn std::error::Error = error;
    let deepest = std::iter::successors(Some(first), |error| error.source()).last();
    deepest.unwrap_or(first).to_string()
}

/// The cause is often knowable.
fn hint(error: &kube::Error) -> &'static str {
    match error {
        error if is_code(error, 403) => "; the user needs the verb list on it",
        error if is_code(error, 410) => "; it ran out twice while it was read: try again when the cluster is less busy",
        error if is_code(error, 401) => "; the credentials in the kubeconfig have expired",
        kube::Error::HyperError(_) | kube::Error::Service(_) => "; is the cluster of the kubeconfig reachable?",
        _ => "",
    }
}

/// Namespaces and cluster roles are many; only the engine's belong to the facts.
fn is_wanted(item: &Value, engine: &Engine) -> bool {
    let kind = item.get("kind").and_then(Value::as_str).unwrap_or_default();
    if !matches!(kind, "Namespace" | "ClusterRole" | "ClusterRoleBinding") {
        return true;
    }
    let objects = manifest::read(&item.to_string(), Reading::default()).unwrap_or_default();
    objects.iter().any(|object| engine.part(object).is_some())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn listed(versions: &Value) -> Option<String> {
        let crd = json!({"metadata": {"name": "helmreleases.helm.toolkit.fluxcd.io"}, "spec": {"versions": versions}});
        helm_releases(&[crd]).map(|collection| collection.api_version)
    }

    #[test]
    fn helm_releases_are_listed_as_stored_unless_that_is_not_served() {
        let version = |name, served, storage| json!({"name": name, "served": served, "storage": storage});
        let stored = listed(&json!([version("v2", true, true), version("v2beta2", true, false)]));
        assert_eq!(stored.unwrap(), "helm.toolkit.fluxcd.io/v2");
        let other = listed(&json!([version("v2", false, true), version("v2beta2", true, false)]));
        assert_eq!(other.unwrap(), "helm.toolkit.fluxcd.io/v2beta2");
        assert_eq!(listed(&json!([version("v2", false, true)])), None);
    }
}
