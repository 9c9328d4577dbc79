//! Facts from a healthy cluster.

use fluxkeep::case::facts::Facts;
use fluxkeep::flux::engine::Engine;
use fluxkeep::manifest::{self, Reading};
use fluxkeep_cluster::gather::gather;
use fluxkeep_cluster::{FactSource, Live};
use serde_json::json;
use tokio::runtime::{Builder, Handle};
use tokio::time::sleep;

use crate::apiserver::{CLUSTER_ROLES, DEFINITIONS, DEPLOYMENTS, NAMESPACES};
use crate::{
    BOUND, HELM_RELEASES, cluster, controller, definition, follow, followed, has, names, until,
};

#[tokio::test(start_paused = true)]
async fn nothing_is_known_before_all_was_read_and_then_all_is() {
    let server = cluster();
    let live = Live::new(server.client(), Handle::current(), BOUND);
    assert!(live.facts().stale(jiff::Timestamp::now()).is_some());
    live.follow(&Engine::default());
    assert!(
        live.pending().contains("customresourcedefinitions"),
        "{:?}",
        live.pending()
    );
    until(&live, |live| live.pending().is_empty()).await;
    let expected = [
        "Namespace flux-system",
        "CustomResourceDefinition buckets.source.toolkit.fluxcd.io",
        "Deployment flux-system/source-controller",
    ];
    assert_eq!(
        names(&live),
        expected,
        "the namespace of a stranger is not read"
    );
    assert!(live.facts().stale(jiff::Timestamp::now()).is_none());
    assert_eq!(live.name(), "cluster");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_followed_on_the_given_runtime_alone() {
    let stands_still = Builder::new_current_thread().build().unwrap();
    let live = Live::new(cluster().client(), stands_still.handle().clone(), BOUND);
    live.follow(&Engine::default());
    let all = live.pending();
    sleep(BOUND).await;
    assert_eq!(live.pending(), all);
    stands_still.shutdown_background();
}

#[tokio::test(start_paused = true)]
async fn what_is_seen_alive_is_what_a_snapshot_would_hold() {
    let server = cluster();
    server.put(
        DEFINITIONS,
        definition("helmreleases", "helm.toolkit.fluxcd.io", &["v2"]),
    );
    server.put(
        HELM_RELEASES,
        json!({"metadata": {"name": "app", "namespace": "apps", "labels": {"a": "b"}},
        "spec": {"releaseName": "app", "values": {"password": "s3cr3t", "fluxVersion": "2.4.0"}}}),
    );
    let live = followed(&server).await.facts();
    let snapshot = gather(&server.client(), &Engine::default())
        .await
        .unwrap()
        .list()
        .to_string();
    // Objects of a snapshot carry their place in a list; objects of a live cluster do not.
    let alone = |object| fluxkeep::object::Object {
        list: None,
        ..object
    };
    let objects = manifest::read(&snapshot, Reading::default())
        .unwrap()
        .into_iter()
        .map(alone);
    let (seen, snapshot) = (live.objects().collect::<Vec<_>>(), Facts::of(objects));
    assert_eq!(seen, snapshot.objects().collect::<Vec<_>>());
    let release = live
        .objects()
        .find_map(fluxkeep::object::Object::helm_release)
        .unwrap();
    assert_eq!(
        (
            release.value("fluxVersion").as_deref(),
            release.value("password")
        ),
        (Some("2.4.0"), None)
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_written_changed_and_deleted_is_seen() {
    let server = cluster();
    let live = followed(&server).await;
    let before = live.facts();
    server.put(DEPLOYMENTS, controller("helm-controller", "v1.1.0"));
    server.delete(DEPLOYMENTS, "source-controller");
    until(&live, |live| {
        has(live, "Deployment flux-system/helm-controller")
    })
    .await;
    until(&live, |live| {
        !has(live, "Deployment flux-system/source-controller")
    })
    .await;
    server.put(
        DEFINITIONS,
        definition("buckets", "source.toolkit.fluxcd.io", &["v1beta2", "v1"]),
    );
    let stored = |facts: &Facts| {
        facts
            .objects()
            .find_map(|one| one.definition())
            .unwrap()
            .stored
            .clone()
    };
    until(&live, |live| stored(&live.facts()) == ["v1beta2", "v1"]).await;
    assert_eq!(
        stored(&before),
        ["v1"],
        "a view that was taken stays as it was"
    );
    assert_eq!(
        server.asked(DEFINITIONS),
        ["list", "watch"],
        "one list, one watch"
    );
}

#[tokio::test(start_paused = true)]
async fn more_than_one_page_is_read_to_its_end() {
    let server = cluster();
    for number in 0..17 {
        server.put(
            DEFINITIONS,
            definition(&format!("things{number}"), "example.org", &["v1"]),
        );
    }
    let live = followed(&server).await;
    assert_eq!(
        live.facts()
            .objects()
            .filter(|one| one.definition().is_some())
            .count(),
        18
    );
    assert_eq!(
        server.asked(DEFINITIONS)[..5],
        ["list", "page", "page", "page", "watch"]
    );
}

#[tokio::test(start_paused = true)]
async fn of_cluster_roles_only_the_engines_are_kept_and_only_as_long_as_they_are() {
    let server = cluster();
    let role = |name: &str, part: &str| json!({"metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": part}}});
    server.put(CLUSTER_ROLES, role("stranger", "other"));
    server.put(CLUSTER_ROLES, role("mine", "flux"));
    let live = followed(&server).await;
    assert!(has(&live, "ClusterRole mine") && !has(&live, "ClusterRole stranger"));
    server.put(CLUSTER_ROLES, role("mine", "other"));
    until(&live, |live| !has(live, "ClusterRole mine")).await;
}

#[tokio::test(start_paused = true)]
async fn helm_releases_are_followed_in_the_version_that_is_served_as_it_comes_changes_and_goes() {
    let (server, beta) = (
        cluster(),
        "/apis/helm.toolkit.fluxcd.io/v2beta2/helmreleases",
    );
    server.unserve(HELM_RELEASES);
    let live = followed(&server).await;
    assert_eq!(
        server.asked(HELM_RELEASES).len() + server.asked(beta).len(),
        0,
        "there is nothing to ask for"
    );
    let release = || json!({"metadata": {"name": "app", "namespace": "apps"}});
    server.put(beta, release());
    server.put(
        DEFINITIONS,
        definition("helmreleases", "helm.toolkit.fluxcd.io", &["v2beta2"]),
    );
    until(&live, |live| has(live, "HelmRelease apps/app")).await;
    server.serve(HELM_RELEASES);
    server.put(HELM_RELEASES, release());
    server.unserve(beta);
    server.put(
        DEFINITIONS,
        definition("helmreleases", "helm.toolkit.fluxcd.io", &["v2"]),
    );
    let is_v2 = |live: &Live| {
        live.facts()
            .objects()
            .any(|one| one.api_version == "helm.toolkit.fluxcd.io/v2")
    };
    until(&live, is_v2).await;
    server.unserve(HELM_RELEASES);
    server.delete(DEFINITIONS, "helmreleases.helm.toolkit.fluxcd.io");
    until(&live, |live| !has(live, "HelmRelease apps/app")).await;
    assert!(
        live.facts().stale(jiff::Timestamp::now()).is_none(),
        "what the cluster has not is not waited for"
    );
}

#[tokio::test(start_paused = true)]
async fn another_engine_is_followed_where_it_lives_and_the_first_is_forgotten() {
    let server = cluster();
    server.put(NAMESPACES, json!({"metadata": {"name": "gitops"}}));
    server.put(
        "/apis/apps/v1/namespaces/gitops/deployments",
        json!({"metadata": {"name": "helm-controller",
        "namespace": "gitops"}, "spec": {}}),
    );
    let live = followed(&server).await;
    live.follow(&Engine {
        namespaces: vec!["gitops".to_owned()],
        ..Engine::default()
    });
    assert!(!live.pending().is_empty() && !has(&live, "Namespace flux-system"));
    assert!(
        has(
            &live,
            "CustomResourceDefinition buckets.source.toolkit.fluxcd.io"
        ),
        "what is known stays known"
    );
    until(&live, |live| live.pending().is_empty()).await;
    assert!(
        has(&live, "Deployment gitops/helm-controller")
            && !has(&live, "Deployment flux-system/source-controller")
    );
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_ever_asked_for_and_no_value_kept() {
    let server = cluster();
    server.put(
        DEFINITIONS,
        definition("helmreleases", "helm.toolkit.fluxcd.io", &["v2"]),
    );
    let live = follow(&server);
    until(&live, |live| live.pending().is_empty()).await;
    assert!(
        server
            .targets()
            .iter()
            .all(|target| !target.contains("secrets") && !target.contains("configmaps"))
    );
    assert!(!format!("{live:?}").contains("s3cr3t"));
}
