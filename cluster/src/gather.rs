//! From a cluster to a snapshot: paged lists, and never a Secret.

use fluxkeep::engine::Engine;
use fluxkeep::manifest::{self, Reading};
use http::Request;
use kube::Client;
use serde_json::{Value, json};

use crate::lean::lean;

/// CRDs with their schemas are up to 1 MB each: a page stays well below what an apiserver sends.
const PAGE: usize = 50;

/// Why a snapshot could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The apiserver refused, or could not be reached.
    #[error("listing {resource}: {source}{hint}")]
    List {
        /// For example `customresourcedefinitions`.
        resource: String,
        /// What the apiserver or the connection says.
        source: Box<kube::Error>,
        /// What may mend it.
        hint: &'static str,
    },
    /// The request could not be built.
    #[error("listing {resource}: {source}")]
    Request {
        /// For example `customresourcedefinitions`.
        resource: String,
        /// What is wrong.
        source: http::Error,
    },
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

/// HelmReleases in the version that the cluster stores, where it has any.
fn helm_releases(definitions: &[Value]) -> Option<Collection> {
    let name = json!("helmreleases.helm.toolkit.fluxcd.io");
    let crd = definitions.iter().find(|crd| crd.pointer("/metadata/name") == Some(&name))?;
    let versions = crd.pointer("/spec/versions")?.as_array()?;
    let stored = versions.iter().find(|version| version.get("storage") == Some(&json!(true)))?;
    let group = format!("helm.toolkit.fluxcd.io/{}", stored.get("name")?.as_str()?);
    Some(collection(&group, "", "HelmRelease", "helmreleases"))
}

fn collection(api_version: &str, namespace: &str, kind: &'static str, resource: &'static str) -> Collection {
    let root = if api_version == "v1" { "/api" } else { "/apis" };
    let space = if namespace.is_empty() { String::new() } else { format!("/namespaces/{namespace}") };
    let path = format!("{root}/{api_version}{space}/{resource}");
    Collection { path, api_version: api_version.to_owned(), kind, resource }
}

/// All pages of a collection, lean. Roles and namespaces of strangers are left out.
async fn collect(client: &Client, engine: &Engine, from: &Collection) -> Result<Vec<Value>, Error> {
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

async fn page(client: &Client, from: &Collection, token: &str) -> Result<Value, Error> {
    let more = if token.is_empty() { String::new() } else { format!("&continue={token}") };
    let request = Request::get(format!("{}?limit={PAGE}{more}", from.path)).body(Vec::new());
    let resource = || from.resource.to_owned();
    let request = request.map_err(|source| Error::Request { resource: resource(), source })?;
    client.request(request).await.map_err(|source| Error::List {
        resource: resource(),
        hint: hint(&source),
        source: Box::new(source),
    })
}

/// The cause is often knowable.
fn hint(error: &kube::Error) -> &'static str {
    match error {
        kube::Error::Api(status) if status.code == 403 => "; the user needs the verb list on it",
        kube::Error::Api(status) if status.code == 410 => "; the list changed too much while it was read: try again",
        kube::Error::Api(status) if status.code == 401 => "; the credentials in the kubeconfig have expired",
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
