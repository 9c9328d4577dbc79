//! Snapshots from a fake apiserver that answers as the real one does: in pages, with items that
//! lack a kind. Other tests use the real apiserver.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::sync::{Arc, Mutex};

use fluxkeep::case::facts::Facts;
use fluxkeep::flux::engine::Engine;
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
        "versions": [
            {"name": "v2beta1", "served": false, "storage": false},
            {"name": "v2", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"x": "y"}}},
            {"name": "v2beta2", "served": true, "storage": false}]},
        "status": {"storedVersions": ["v2"]}})
}

/// The fake apiserver's answer to a path and query.
fn answer(target: &str) -> Value {
    let items = |items: Value| json!({"kind": "List", "metadata": {}, "items": items});
    match target {
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?&limit=5" => {
            json!({"metadata": {"continue": "next"}, "items": [crd("helmreleases.helm.toolkit.fluxcd.io")]})
        }
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?&limit=5&continue=next" => {
            items(json!([crd("others.example.org")]))
        }
        "/apis/apps/v1/namespaces/flux-system/deployments?&limit=5" => items(json!([{
            "metadata": {"name": "source-controller", "namespace": "flux-system"},
            "spec": {"template": {"spec": {"containers": [{"image": "x/source-controller:v1.4.1", "env": ["s3cr3t"]}]}}}}])),
        "/apis/rbac.authorization.k8s.io/v1/clusterroles?&limit=5" => {
            items(json!([{"metadata": {"name": "flux-edit"}}, {"metadata": {"name": "stranger"}}]))
        }
        "/apis/helm.toolkit.fluxcd.io/v2/helmreleases?&limit=5" => items(json!([{
            "metadata": {"name": "app", "namespace": "apps"}, "spec": {"values": {"password": "s3cr3t"}}}])),
        _ => items(json!([])),
    }
}

type Asked = Arc<Mutex<Vec<String>>>;

/// A fake apiserver that records its requests. `refused` sees all targets so far, the current one
/// last, and may return an error code.
fn client(asked: Asked, refused: fn(&[String]) -> Option<u16>) -> Client {
    let service = service_fn(move |request: Request<Body>| {
        let target = request.uri().to_string();
        asked.lock().unwrap().push(target.clone());
        let code = refused(&asked.lock().unwrap());
        let status =
            |code| json!({"kind": "Status", "status": "Failure", "message": "no", "code": code});
        let body = code.map_or_else(|| answer(&target), status).to_string();
        async move {
            let response = Response::builder()
                .status(code.unwrap_or(200))
                .body(Body::from(body.into_bytes()));
            Ok::<_, std::io::Error>(response.unwrap())
        }
    });
    Client::new(service, "default")
}

fn is_last(asked: &[String], part: &str) -> bool {
    asked.last().is_some_and(|target| target.contains(part))
}

#[tokio::test]
async fn every_page_is_followed_and_what_comes_out_is_a_snapshot() {
    let asked = Asked::default();
    let snapshot = gather(&client(Arc::clone(&asked), |_| None), &Engine::default())
        .await
        .unwrap()
        .list()
        .to_string();
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
    // Only a schema's presence is kept.
    let is_bare = snapshot.contains(r#""openAPIV3Schema":{}"#) && !snapshot.contains(r#"{"x":"#);
    assert!(!snapshot.contains("s3cr3t") && is_bare, "{snapshot}");
    assert!(
        !asked
            .lock()
            .unwrap()
            .iter()
            .any(|target| target.contains("secrets"))
    );
}

#[tokio::test]
async fn a_refused_list_fails_the_whole_and_names_the_verb() {
    let client = client(Asked::default(), |asked| {
        is_last(asked, "deployments").then_some(403)
    });
    let error = gather(&client, &Engine::default()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "listing deployments: no; grant the user this right"
    );
}

#[tokio::test]
async fn a_list_that_runs_out_between_pages_is_read_once_more_from_the_start() {
    let asked = Asked::default();
    let client = client(Arc::clone(&asked), |asked| {
        (is_last(asked, "continue") && asked.len() == 2).then_some(410)
    });
    let snapshot = gather(&client, &Engine::default()).await.unwrap().list();
    let names: Vec<_> = snapshot["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["metadata"]["name"])
        .collect();
    assert_eq!(
        names[..2],
        ["helmreleases.helm.toolkit.fluxcd.io", "others.example.org"]
    );
    assert_eq!(names.len(), 5, "the first page counts once: {names:?}");
    let asked = asked.lock().unwrap();
    assert_eq!(asked[..2], asked[2..4], "first page and second page, twice");
}

#[tokio::test]
async fn a_list_that_runs_out_again_fails_and_says_so() {
    let asked = Asked::default();
    let client = client(Arc::clone(&asked), |asked| {
        is_last(asked, "continue").then_some(410)
    });
    let text = gather(&client, &Engine::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with("listing customresourcedefinitions: no; the list expired twice"),
        "{text}"
    );
    assert_eq!(asked.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn an_error_without_a_body_is_told_by_its_http_status() {
    let service = service_fn(|_: Request<Body>| async {
        let answer = Response::builder().status(404).body(Body::empty());
        Ok::<_, std::io::Error>(answer.unwrap())
    });
    let error = gather(&Client::new(service, "default"), &Engine::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "listing customresourcedefinitions: HTTP 404 without a reason"
    );
}

#[tokio::test]
async fn a_broken_connection_shows_its_deepest_cause() {
    let service = service_fn(|_: Request<Body>| async {
        Err::<Response<Body>, _>(std::io::Error::other("cable cut"))
    });
    let error = gather(&Client::new(service, "default"), &Engine::default())
        .await
        .unwrap_err();
    let text = error.to_string();
    assert_eq!(
        text,
        "listing customresourcedefinitions: cable cut; check that the apiserver is reachable"
    );
}
