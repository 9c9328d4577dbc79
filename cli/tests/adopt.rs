//! `fluxkeep adopt` with conflicting writers or wrong arguments, rare in a real cluster.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::process::Command;
use std::sync::{Arc, Mutex};

use fluxkeep::adoption::MetadataField;
use fluxkeep_cli::adopt::cluster::{Cluster, Done};
use fluxkeep_cli::adopt::stamp::{KeyChange, Stamp, Way};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// The requests: `GET` or the patch's type, with the body.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// A fake apiserver with one Service, which changes before each of the first `conflicts` patches.
fn apiserver(conflicts: usize) -> (Cluster, Asked) {
    let asked = Asked::default();
    let log = asked.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let log = log.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let is_read = head.method == Method::GET;
            let kind = if is_read {
                "GET"
            } else {
                head.headers["content-type"].to_str().unwrap()
            };
            log.lock().unwrap().push((
                kind.to_owned(),
                serde_json::from_slice(&body).unwrap_or_default(),
            ));
            let patches = log
                .lock()
                .unwrap()
                .iter()
                .filter(|(kind, _)| kind != "GET")
                .count();
            let (code, answer) = match head.method {
                Method::PATCH if patches <= conflicts => (409, conflict()),
                _ => (200, live(patches)),
            };
            let response = Response::builder()
                .status(code)
                .header("content-type", "application/json");
            Ok::<_, std::convert::Infallible>(
                response
                    .body(Body::from(answer.to_string().into_bytes()))
                    .unwrap(),
            )
        }
    });
    (Cluster::new(Client::new(service, "default")), asked)
}

fn conflict() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "the object has been modified",
        "reason": "Conflict", "code": 409})
}

fn live(version: usize) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {
        "name": "a", "namespace": "flux-system", "uid": "u", "resourceVersion": version.to_string(),
        "labels": {"tie": "a"}}})
}

fn stamp(uid: &str) -> Stamp {
    let change = |part, key: &str, was: Option<&str>, is: Option<&str>| KeyChange {
        part,
        key: key.to_owned(),
        was: was.map(str::to_owned),
        is: is.map(str::to_owned),
    };
    Stamp {
        api_version: "v1".to_owned(),
        kind: "Service".to_owned(),
        namespace: Some("flux-system".to_owned()),
        name: "a".to_owned(),
        uid: uid.to_owned(),
        changes: vec![
            change(MetadataField::Labels, "tie", Some("a"), None),
            change(MetadataField::Annotations, "keep", None, Some("keep")),
        ],
    }
}

#[tokio::test]
async fn a_conflict_is_read_anew_and_what_has_to_go_goes_first() {
    let (cluster, asked) = apiserver(2);
    let moved = cluster.bring(&stamp("u"), Way::Adopt).await.unwrap();
    assert_eq!((moved.done, moved.strange.len()), (Done::Changed, 0));
    let asked = asked.lock().unwrap().clone();
    let kinds: Vec<_> = asked
        .iter()
        .map(|(kind, _)| kind.trim_start_matches("application/"))
        .collect();
    let merge = "merge-patch+json";
    assert_eq!(
        kinds,
        ["GET", merge, "GET", merge, "GET", merge, "apply-patch+yaml"]
    );
    let versions: Vec<_> = asked
        .iter()
        .filter_map(|(_, body)| body["metadata"]["resourceVersion"].as_str())
        .collect();
    assert_eq!(
        versions,
        ["0", "1", "2", "3"],
        "each write is for what was read last"
    );
    assert_eq!(asked[5].1["metadata"]["labels"], json!({"tie": null}));
    assert_eq!(
        asked[6].1["metadata"]["annotations"],
        json!({"keep": "keep"})
    );
    assert!(asked[6].1["metadata"]["labels"].is_null());
}

#[tokio::test]
async fn whoever_writes_all_the_time_is_told_of() {
    let (cluster, asked) = apiserver(usize::MAX);
    let error = cluster.bring(&stamp("u"), Way::Undo).await.map(|_| ());
    // The annotation was never written, so there is nothing to undo.
    assert!(error.is_ok(), "{error:?}");
    assert_eq!(asked.lock().unwrap().len(), 1);
    let error = cluster
        .bring(&stamp("u"), Way::Adopt)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("has been modified; another writes it all the time"),
        "{error}"
    );
}

#[tokio::test]
async fn another_object_by_the_same_name_is_not_touched() {
    let (cluster, asked) = apiserver(0);
    for way in [Way::Adopt, Way::Undo] {
        assert_eq!(
            cluster.bring(&stamp("another"), way).await.unwrap().done,
            Done::Gone
        );
    }
    assert!(asked.lock().unwrap().iter().all(|(kind, _)| kind == "GET"));
}

fn refused(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_fluxkeep"))
        .arg("adopt")
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn what_is_called_wrongly_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.json");
    std::fs::write(&bad, "{\"release\": \"a/b\", \"objects\": [{\"kind\": 1}]}").unwrap();
    let bad = bad.to_str().unwrap();
    let release = ["--release-name", "flux", "--namespace", "flux-system"];
    let with = |more: &[&'static str]| [&release, more].concat();
    for (args, parts) in [
        (vec![], vec!["--release-name", "--namespace"]),
        (
            vec!["--release-name", "", "--namespace", "a"],
            vec!["--release-name", "lower-case"],
        ),
        (
            vec!["--release-name", "a", "--namespace", "../a"],
            vec!["--namespace", "lower-case"],
        ),
        (with(&["--yes", "--dry-run"]), vec!["--dry-run", "--yes"]),
        (
            with(&["--kubeconfig", "/nowhere/config"]),
            vec!["/nowhere/config"],
        ),
        (
            with(&["/nowhere/manifest.yaml"]),
            vec!["/nowhere/manifest.yaml"],
        ),
        (
            vec!["--undo", "/nowhere/undo.json"],
            vec!["reading the undo file /nowhere/undo.json"],
        ),
        (
            vec!["--undo", bad],
            vec!["bad.json", "fluxkeep adopt --yes", "line 1"],
        ),
    ] {
        let said = refused(&args);
        assert!(
            parts.iter().all(|part| said.contains(part)),
            "{args:?}: {said}"
        );
    }
}
