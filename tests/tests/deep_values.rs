//! A tenant's HelmRelease with values nested too deep for usual parsers, on a real apiserver.
//! fluxkeep keeps following, whether the HelmRelease comes before or after the server's start.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::process::Command;

use fluxkeep_cli::client::{Client as Browser, Http};
use fluxkeep_tests::control_plane::{Cluster, ControlPlane, Webhook, eventually, fetch, own};
use fluxkeep_tests::flux::{Flux, Names};
use fluxkeep_tests::{owned, record, stored};
use serde_json::{Value, json};

/// A cluster with Flux 2.4.0 and a tenant's namespace.
async fn installed(plane: &ControlPlane, test: &str) -> Cluster {
    let cluster = plane.cluster(test).await;
    let objects = Flux::release("2.4.0").installed(Names::Install);
    cluster.apply_all(&objects).await;
    cluster.namespace("tenant").await;
    // Waits until the CRD's resource is served.
    drop(cluster.api(&helm_release("any")).await);
    cluster
}

fn helm_release(name: &str) -> Value {
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": "tenant"}, "spec": {"suspend": true, "releaseName": name}})
}

/// Creates a suspended HelmRelease with values of this depth. The text is built by hand, because a
/// nested value would need a deep stack.
async fn nested(cluster: &Cluster, name: &str, depth: usize) {
    let values = format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let whole = helm_release(name).to_string();
    let text = whole.replace(
        r#""suspend":true"#,
        &format!(r#""suspend":true,"values":{values}"#),
    );
    let request =
        http::Request::post("/apis/helm.toolkit.fluxcd.io/v2/namespaces/tenant/helmreleases")
            .header("content-type", "application/json")
            .body(text.into_bytes())
            .unwrap();
    let taken = cluster.client.request_text(request).await;
    taken.unwrap_or_else(|error| panic!("the apiserver takes {depth} levels: {error}"));
}

async fn delete(cluster: &Cluster, name: &str) {
    let path = format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/tenant/helmreleases/{name}");
    let request = http::Request::delete(path).body(Vec::new()).unwrap();
    cluster.client.request_text(request).await.unwrap();
}

/// Waits until a metric has this value.
async fn counts(webhook: &Webhook, sample: &str, expected: f64) {
    eventually(sample, async || {
        let counted = webhook.counted(sample).await;
        if (counted - expected).abs() < 0.5 {
            Ok(())
        } else {
            Err(counted)
        }
    })
    .await;
}

const UNREAD: &str = r#"fluxkeep_unread_objects{resource="helmreleases"}"#;
const ADDED: &str = r#"fluxkeep_changes_seen_total{resource="helmreleases",change="added"}"#;

const DELETED: &str = r#"fluxkeep_changes_seen_total{resource="helmreleases",change="deleted"}"#;

/// The server's answer to a record of Flux 2.3.0 over the running Flux 2.4.0.
async fn judged(webhook: &Webhook) -> String {
    let client = Browser::trusting(&webhook.authority, Http::One).unwrap();
    let older = owned("helm-controller", "ghcr.io/fluxcd/helm-controller:v1.0.1");
    let review = stored(record(&older, &[])).bytes();
    let url = format!("{}/validate", webhook.url);
    let answer = client.post(&url, review).await.unwrap();
    String::from_utf8_lossy(answer.body()).into_owned()
}

async fn is_well(webhook: &Webhook) {
    let ready = fetch(&format!("{}/readyz", webhook.observe)).await;
    assert_eq!(ready, Ok((200, "ok\n".to_owned())));
    let age = webhook
        .counted(r#"fluxkeep_facts_age_seconds{source="cluster"}"#)
        .await;
    assert!(age < 75.0, "{age} s");
    let verdict = judged(webhook).await;
    assert!(verdict.contains("flux-version-mismatch"), "{verdict}");
    assert!(!verdict.contains("facts-stale"), "{verdict}");
    let log = webhook.process.tail(1_000);
    assert!(!log.contains("cannot be"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_comes_while_the_server_runs_hides_none_of_those_that_follow() {
    let plane = ControlPlane::start().await;
    let cluster = installed(&plane, "deep-later").await;
    let webhook = Webhook::start(&plane, [] as [&str; 0]).await;
    nested(&cluster, "deep", 130).await;
    nested(&cluster, "deepest", 5_000).await;
    cluster.apply(&helm_release("later")).await.unwrap();
    counts(&webhook, ADDED, 3.0).await;
    counts(&webhook, UNREAD, 0.0).await;
    is_well(&webhook).await;
    delete(&cluster, "deep").await;
    delete(&cluster, "deepest").await;
    counts(&webhook, DELETED, 2.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_there_before_holds_back_neither_the_server_nor_a_snapshot() {
    let plane = ControlPlane::start().await;
    let cluster = installed(&plane, "deep-before").await;
    nested(&cluster, "deep", 130).await;
    nested(&cluster, "deepest", 5_000).await;
    cluster.apply(&helm_release("good")).await.unwrap();
    let webhook = Webhook::start(&plane, [] as [&str; 0]).await;
    is_well(&webhook).await;
    counts(&webhook, UNREAD, 0.0).await;
    let snapshot = |strict: &[&str]| {
        let mut command = Command::new(own("fluxkeep"));
        command
            .arg("snapshot")
            .arg("--kubeconfig")
            .arg(plane.kubeconfig());
        command.args(strict).output().unwrap()
    };
    let taken = snapshot(&[]);
    let said = String::from_utf8_lossy(&taken.stderr);
    assert_eq!(taken.status.code(), Some(0), "{said}");
    let list: Value = serde_json::from_slice(&taken.stdout).unwrap();
    let items = list["items"].as_array().unwrap();
    for name in ["good", "deep", "deepest"] {
        let found = items.iter().find(|item| item["metadata"]["name"] == name);
        assert_eq!(found.unwrap()["spec"]["releaseName"], name, "it is read");
    }
    assert_eq!(snapshot(&["--strict"]).status.code(), Some(0));
}
