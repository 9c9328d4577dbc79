//! A snapshot taken from an apiserver that answers as the real one does: in pages, items without
//! kind. (What only the real one can show is shown on the real one.)

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::{Arc, Mutex};

use fluxkeep::engine::Engine;
use fluxkeep::facts::Facts;
use fluxkeep::manifest::{self, Reading};
use fluxkeep_cluster::gather::gather;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower::service_fn;

fn crd(name: &str) -> Value {
    json!({"metadata": {"name": name, "managedFields": [{}]}, "spec": {"group": "helm.toolkit.fluxcd.io",
        "names": {"kind": "HelmRelease", "plural": "helmreleases"}, "scope": "Namespaced",
        "versions": [{"name": "v2", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"x": "y"}}}]},
        "status": {"storedVersions": ["v2"]}})
}

/// What the apiserver would say to a path and query.
fn answer(target: &str) -> Value {
    let items = |items: Value| json!({"kind": "List", "metadata": {}, "items": items});
    match target {
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?limit=50" => {
            json!({"metadata": {"continue": "next"}, "items": [crd("helmreleases.helm.toolkit.fluxcd.io")]})
        }
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?limit=50&continue=next" => {
            items(json!([crd("others.example.org")]))
        }
        "/apis/apps/v1/namespaces/flux-system/deployments?limit=50" => items(json!([{
            "metadata": {"name": "source-controller", "namespace": "flux-system"},
            "spec": {"template": {"spec": {"containers": [{"image": "x/source-controller:v1.4.1", "env": ["s3cr3t"]}]}}}}])),
        "/apis/rbac.authorization.k8s.io/v1/clusterroles?limit=50" => {
            items(json!([{"metadata": {"name": "flux-edit"}}, {"metadata": {"name": "stranger"}}]))
        }
        "/apis/helm.toolkit.fluxcd.io/v2/helmreleases?limit=50" => items(json!([{
            "metadata": {"name": "app", "namespace": "apps"}, "spec": {"values": {"password": "s3cr3t"}}}])),
        _ => items(json!([])),
    }
}

fn client(asked: Arc<Mutex<Vec<String>>>, refused: &'static str) -> Client {
    let service = service_fn(move |request: Request<Body>| {
        let target = request.uri().to_string();
        asked.lock().unwrap().push(target.clone());
        async move {
            let status =
                json!({"kind": "Status", "status": "Failure", "message": "no", "reason": "Forbidden", "code": 403});
            let forbidden = !refused.is_empty() && target.contains(refused);
            let (code, body) = if forbidden { (403, status) } else { (200, answer(&target)) };
            let response = Response::builder().status(code).body(Body::from(body.to_string().into_bytes()));
            Ok::<_, std::io::Error>(response.unwrap())
        }
    });
    Client::new(service, "default")
}

#[tokio::test]
async fn every_page_is_followed_and_what_comes_out_is_a_snapshot() {
    let asked = Arc::default();
    let snapshot = gather(&client(Arc::clone(&asked), ""), &Engine::default()).await.unwrap().to_string();
    let facts = Facts::of(manifest::read(&snapshot, Reading::default()).unwrap());
    let names: Vec<_> = facts.objects().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "CustomResourceDefinition helmreleases.helm.toolkit.fluxcd.io",
            "CustomResourceDefinition others.example.org",
            "Deployment flux-system/source-controller",
            "HelmRelease apps/app",
            "ClusterRole flux-edit",
        ]
    );
    assert!(!snapshot.contains("s3cr3t") && !snapshot.contains("openAPIV3Schema"), "{snapshot}");
    assert!(!asked.lock().unwrap().iter().any(|target| target.contains("secrets")));
}

#[tokio::test]
async fn a_refused_list_fails_the_whole_and_names_the_verb() {
    let error = gather(&client(Arc::default(), "deployments"), &Engine::default()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("listing deployments: "), "{text}");
    assert!(text.ends_with("the user needs the verb list on it"), "{text}");
}
