//! An unreadable object affects only itself; an unreadable answer makes the facts age.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fluxkeep::case::facts::Facts;
use fluxkeep::flux::engine::Engine;
use fluxkeep::manifest::{self, Reading};
use fluxkeep_cluster::gather::gather;
use fluxkeep_cluster::{FactSource, Live, SPEC_CHANGED};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::apiserver::{Apiserver, DEFINITIONS, DEPLOYMENTS};
use crate::{BOUND, HELM_RELEASES, cluster, controller, definition, follow, followed, has, until};

/// A HelmRelease with labels of a shape that no apiserver would accept.
fn unreadable(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "tenant", "labels": {"app.kubernetes.io/name": {"password": "s3cr3t"}}},
        "spec": {"releaseName": "app"}})
}

fn readable(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "tenant"}, "spec": {"releaseName": "app"}})
}

fn serving_helm_releases() -> Apiserver {
    let server = cluster();
    server.put(
        DEFINITIONS,
        definition("helmreleases", "helm.toolkit.fluxcd.io", &["v2"]),
    );
    server
}

fn unread(live: &Live) -> Vec<String> {
    live.facts().unread().map(ToString::to_string).collect()
}

/// The log of the test's thread since the value was made.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The log lines that contain `part`.
    fn lines(&self, part: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned();
        let lines = text.lines().filter(|line| line.contains(part));
        lines.map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_before_the_start_holds_nothing_back() {
    let server = serving_helm_releases();
    server.put(HELM_RELEASES, unreadable("bad"));
    server.put(HELM_RELEASES, readable("good"));
    let live = followed(&server).await;
    assert_eq!(unread(&live), ["HelmRelease tenant/bad"]);
    assert!(has(&live, "HelmRelease tenant/good"));
    assert!(live.facts().stale(jiff::Timestamp::now()).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_is_known_until_it_can_or_is_gone_and_later_ones_are_seen() {
    let server = serving_helm_releases();
    let live = followed(&server).await;
    server.put(HELM_RELEASES, unreadable("bad"));
    server.put(HELM_RELEASES, readable("later"));
    until(&live, |live| has(live, "HelmRelease tenant/later")).await;
    assert_eq!(unread(&live), ["HelmRelease tenant/bad"]);
    server.put(HELM_RELEASES, readable("bad"));
    until(&live, |live| unread(live).is_empty()).await;
    assert!(has(&live, "HelmRelease tenant/bad"));
    server.put(HELM_RELEASES, unreadable("bad"));
    until(&live, |live| unread(live).len() == 1).await;
    server.delete(HELM_RELEASES, "bad");
    until(&live, |live| !has(live, "HelmRelease tenant/bad")).await;
    assert_eq!(
        server.asked(HELM_RELEASES),
        ["list", "watch"],
        "one watch brought all of it"
    );
}

#[tokio::test(start_paused = true)]
async fn values_that_nest_as_deep_as_they_like_are_no_reason_not_to_read() {
    let server = serving_helm_releases();
    let mut deep = json!({});
    for _ in 0..200 {
        deep = json!({"a": [deep]});
    }
    let mut release = readable("deep");
    release["spec"]["values"] = deep;
    server.put(HELM_RELEASES, release);
    let live = followed(&server).await;
    assert_eq!(unread(&live), Vec::<String>::new());
    let facts = live.facts();
    let mut releases = facts
        .objects()
        .filter_map(fluxkeep::object::Object::installs);
    assert_eq!(releases.next().unwrap().name, "app");
    let gathered = gather(&server.client(), &Engine::default()).await.unwrap();
    assert_eq!(gathered.unread, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_log_names_it_once_however_often_it_changes_and_holds_no_value() {
    let (log, _guard) = Log::begin();
    let server = serving_helm_releases();
    let live = followed(&server).await;
    for round in 0..3 {
        let mut bad = unreadable("bad");
        bad["metadata"]["annotations"] = json!({"round": round.to_string()});
        server.put(HELM_RELEASES, bad);
    }
    server.put(HELM_RELEASES, readable("later"));
    until(&live, |live| has(live, "HelmRelease tenant/later")).await;
    let lines = log.lines("an object is unreadable");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("HelmRelease tenant/bad"), "{}", lines[0]);
    assert!(log.lines("s3cr3t").is_empty());
    assert!(log.lines("watching the cluster failed").is_empty());
}

#[tokio::test(start_paused = true)]
async fn changes_are_counted_by_resource_and_kind() {
    let server = cluster();
    let live = followed(&server).await;
    server.put(DEPLOYMENTS, controller("helm-controller", "v1.1.0"));
    server.put(DEPLOYMENTS, controller("helm-controller", "v1.1.1"));
    server.delete(DEPLOYMENTS, "helm-controller");
    let counted = |live: &Live, change| live.changes().get(&("deployments", change)).copied();
    until(&live, |live| counted(live, "deleted") == Some(1)).await;
    assert_eq!(counted(&live, "added"), Some(1));
    assert_eq!(counted(&live, "modified"), Some(1));
}

/// Status and labels change without anybody being asked.
#[tokio::test(start_paused = true)]
async fn a_changed_spec_of_a_crd_is_told_from_its_other_changes() {
    let server = cluster();
    let live = followed(&server).await;
    let written = |generation: u64| {
        let mut buckets = definition("buckets", "source.toolkit.fluxcd.io", &["v1"]);
        buckets["metadata"]["generation"] = json!(generation);
        server.put(DEFINITIONS, buckets);
    };
    for generation in [1, 1, 2, 2, 3] {
        written(generation);
    }
    let counted = |live: &Live, change| {
        let key = ("customresourcedefinitions", change);
        live.changes().get(&key).copied().unwrap_or_default()
    };
    until(&live, |live| counted(live, "modified") == 5).await;
    // The list brought it without a generation.
    assert_eq!(counted(&live, SPEC_CHANGED), 3);
    server.delete(DEFINITIONS, "buckets.source.toolkit.fluxcd.io");
    written(1);
    written(2);
    until(&live, |live| counted(live, SPEC_CHANGED) == 4).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_opens_and_brings_what_cannot_be_taken_lets_the_facts_age() {
    let server = cluster();
    let live = followed(&server).await;
    tokio::spawn(crate::silence::ending(server.clone()));
    server.garble(DEPLOYMENTS);
    sleep(Duration::from_secs(BOUND.as_secs() + 60)).await;
    let heard = live.facts().stale(jiff::Timestamp::now()).unwrap();
    assert_eq!(heard.resource, "deployments");
    assert!(
        server.asked(DEPLOYMENTS).len() > 3,
        "the watch was opened again and again"
    );
    server.lose(DEPLOYMENTS, "");
    server.cut();
    until(&live, |live| {
        live.facts().stale(jiff::Timestamp::now()).is_none()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_names_no_object_is_not_read() {
    let server = cluster();
    server.garble(DEPLOYMENTS);
    let live = follow(&server);
    sleep(Duration::from_mins(10)).await;
    assert_eq!(live.pending(), ["deployments"].into());
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_holds_the_head_of_what_cannot_be_read_and_names_it() {
    let server = serving_helm_releases();
    server.put(HELM_RELEASES, unreadable("bad"));
    server.put(HELM_RELEASES, readable("good"));
    let mut crd = definition("broken", "example.org", &["v1"]);
    crd["spec"]["versions"] = json!({"v1": "s3cr3t"});
    server.put(DEFINITIONS, crd);
    let gathered = gather(&server.client(), &Engine::default()).await.unwrap();
    let text = gathered.list().to_string();
    let facts = Facts::of(manifest::read(&text, Reading::default()).unwrap());
    let names: Vec<_> = facts.objects().map(ToString::to_string).collect();
    for name in [
        "HelmRelease tenant/bad",
        "HelmRelease tenant/good",
        "CustomResourceDefinition broken.example.org",
    ] {
        assert!(names.contains(&name.to_owned()), "{name} in {names:?}");
    }
    let unread: Vec<_> = facts.unread().map(ToString::to_string).collect();
    assert_eq!(unread, ["CustomResourceDefinition broken.example.org"]);
    assert_eq!(gathered.unread.len(), 2, "{:?}", gathered.unread);
    assert!(!text.contains("s3cr3t") && !gathered.unread.concat().contains("s3cr3t"));
}
