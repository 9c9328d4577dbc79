//! Following a real cluster: everything is read, changes are noticed, the rights are minimal, and
//! interruptions are survived.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::BTreeSet;
use std::time::Duration;

use fluxkeep::flux::engine::Engine;
use fluxkeep::rules::RULES;
use fluxkeep_cli::client::{Client as Browser, Http};
use fluxkeep_cluster::{FactSource, Live, connect, rbac};
use fluxkeep_tests::control_plane::{Cluster, ControlPlane, Webhook, Wire, eventually};
use fluxkeep_tests::flux::HOME;
use fluxkeep_tests::{record, stored};
use futures::{StreamExt, stream};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::Client;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// As many CRDs as in a cluster with every well-known operator.
const MANY: usize = 500;

/// A CRD with this plural name, which stores its last version.
fn definition(plural: &str, versions: &[&str]) -> Value {
    let group = "example.org";
    let last = versions.last().unwrap();
    let version = |name: &&str| {
        json!({"name": name, "served": true, "storage": name == last,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
    };
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "scope": "Namespaced",
            "names": {"kind": format!("T{plural}"), "plural": plural, "singular": format!("one-of-{plural}")},
            "versions": versions.iter().map(version).collect::<Vec<_>>()}})
}

/// Applies CRDs, 32 at a time.
async fn apply(cluster: &Cluster, definitions: impl Iterator<Item = Value>) {
    stream::iter(definitions)
        .for_each_concurrent(32, async |one| drop(cluster.apply(&one).await.unwrap()))
        .await;
}

async fn followed(client: Client) -> Live {
    let live = Live::new(client, Handle::current(), Duration::from_mins(5));
    live.follow(&Engine::default());
    read(&live).await;
    live
}

/// Waits until everything was read.
async fn read(live: &Live) {
    eventually("everything is read", async || {
        let pending = live.pending();
        if pending.is_empty() {
            Ok(())
        } else {
            Err(pending)
        }
    })
    .await;
}

/// Waits until a CRD is known to store these versions.
async fn stores(live: &Live, name: &str, versions: &[&str]) {
    eventually("the versions that are stored are known", async || {
        let facts = live.facts();
        let stored = facts
            .objects()
            .filter(|object| object.name == name)
            .find_map(|object| object.definition());
        let stored = stored.map(|definition| definition.stored.clone());
        if stored.as_ref().is_some_and(|stored| stored == versions) {
            Ok(())
        } else {
            Err(stored)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_crds_are_read_and_what_they_store_is_seen_to_change() {
    let cluster = ControlPlane::shared().await.cluster("five-hundred").await;
    let many = |versions: &'static [&str]| {
        (0..MANY).map(move |number| definition(&format!("many{number}"), versions))
    };
    apply(&cluster, many(&["v1"])).await;
    let live = followed(cluster.client.clone()).await;
    let known = |live: &Live| {
        live.facts()
            .objects()
            .filter(|object| object.name.starts_with("many"))
            .count()
    };
    assert_eq!(known(&live), MANY);
    assert!(live.facts().stale(jiff::Timestamp::now()).is_none());
    apply(&cluster, many(&["v1", "v2"])).await;
    for number in [0, 1, MANY / 2, MANY - 1] {
        stores(&live, &format!("many{number}.example.org"), &["v1", "v2"]).await;
    }
    cluster.take_away(&definition("many7", &["v1"])).await;
    eventually("a CRD that is gone is not known", async || {
        let known = known(&live);
        if known == MANY - 1 {
            Ok(())
        } else {
            Err(known)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apiserver_that_restarts_and_a_store_that_stops_are_lived_through() {
    let mut plane = ControlPlane::start().await;
    let cluster = plane.cluster("restart").await;
    let live = followed(cluster.client.clone()).await;
    cluster.apply(&definition("one", &["v1"])).await.unwrap();
    stores(&live, "one.example.org", &["v1"]).await;
    plane.restart_apiserver().await;
    cluster
        .apply(&definition("one", &["v1", "v2"]))
        .await
        .unwrap();
    stores(&live, "one.example.org", &["v1", "v2"]).await;
    plane.etcd.pause();
    let written = timeout(
        Duration::from_secs(10),
        cluster.apply(&definition("two", &["v1"])),
    )
    .await;
    assert!(
        written.is_err(),
        "nothing is written while the store stands still"
    );
    plane.etcd.resume();
    eventually("the store is back", async || {
        cluster
            .apply(&definition("two", &["v1"]))
            .await
            .map_err(|error| error.to_string())
    })
    .await;
    stores(&live, "two.example.org", &["v1"]).await;
    assert!(live.facts().stale(jiff::Timestamp::now()).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_again_and_again_hide_no_change() {
    let plane = ControlPlane::shared().await;
    let cluster = plane.cluster("cut").await;
    let wire = Wire::to(plane.port).await;
    let kubeconfig = plane
        .credentials
        .kubeconfig("cut.kubeconfig", wire.port, None);
    let live = followed(
        connect::by_kubeconfig(Some(&kubeconfig), None)
            .await
            .unwrap(),
    )
    .await;
    let versions = ["v1", "v2", "v3", "v4", "v5"];
    for count in 1..=versions.len() {
        eventually("the cluster is watched", async || {
            if wire.cut() > 0 { Ok(()) } else { Err(()) }
        })
        .await;
        cluster
            .apply(&definition("cut", &versions[..count]))
            .await
            .unwrap();
        stores(&live, "cut.example.org", &versions[..count]).await;
    }
    cluster.take_away(&definition("cut", &versions)).await;
    assert!(wire.cut() > 0, "the cluster is watched");
    eventually("what went is not known", async || {
        if live
            .facts()
            .objects()
            .any(|object| object.name == "cut.example.org")
        {
            Err(())
        } else {
            Ok(())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_releases_are_followed_from_the_moment_they_are_served() {
    let cluster = ControlPlane::shared().await.cluster("helm-releases").await;
    let live = followed(cluster.client.clone()).await;
    let mut crd = definition("helmreleases", &["v2"]);
    crd["metadata"]["name"] = json!("helmreleases.helm.toolkit.fluxcd.io");
    crd["spec"]["group"] = json!("helm.toolkit.fluxcd.io");
    crd["spec"]["names"] =
        json!({"kind": "HelmRelease", "plural": "helmreleases", "singular": "helmrelease"});
    cluster.apply(&crd).await.unwrap();
    cluster.namespace("apps").await;
    let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "app", "namespace": "apps"}, "spec": {"releaseName": "app"}});
    cluster.apply(&release).await.unwrap();
    let seen = |live: &Live| {
        live.facts()
            .objects()
            .any(|object| object.helm_release().is_some())
    };
    eventually("the HelmRelease is known", async || {
        if seen(&live) { Ok(()) } else { Err(()) }
    })
    .await;
    cluster.take_away(&crd).await;
    eventually("it went with its CRD", async || {
        if seen(&live) { Err(()) } else { Ok(()) }
    })
    .await;
}

/// A client of fluxkeep's account, with these rights cluster-wide and in the engine's namespace.
async fn account(
    plane: &ControlPlane,
    cluster: &Cluster,
    everywhere: &[PolicyRule],
    inside: &[PolicyRule],
) -> Client {
    let kubeconfig = plane.own_account_with(cluster, everywhere, inside).await;
    connect::by_kubeconfig(Some(&kubeconfig), None)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_that_the_rules_need_are_enough_and_without_one_it_is_told_which() {
    let plane = ControlPlane::shared().await;
    let cluster = plane.cluster("rights").await;
    cluster.namespace(HOME).await;
    let (everywhere, inside) = (rbac::cluster_rules(&RULES), rbac::engine_rules(&RULES));
    let client = account(plane, &cluster, &everywhere, &inside).await;
    let live = followed(client.clone()).await;
    assert!(
        live.facts()
            .objects()
            .any(|object| object.kind == "Namespace"),
        "flux-system is known"
    );
    let secrets = http::Request::get("/api/v1/namespaces/flux-system/secrets")
        .body(Vec::new())
        .unwrap();
    let refused = client.request_text(secrets).await.unwrap_err().to_string();
    assert!(
        refused.contains("cannot list resource \"secrets\""),
        "{refused}"
    );
    let (gone, fewer): (Vec<_>, Vec<_>) = inside
        .into_iter()
        .partition(|rule| rule.api_groups == Some(vec!["apps".to_owned()]));
    let client = account(plane, &cluster, &everywhere, &fewer).await;
    cluster.until_may(&gone[0], false).await;
    let live = Live::new(client, Handle::current(), Duration::from_mins(5));
    live.follow(&Engine::default());
    eventually("all but Deployments is read", async || {
        let pending = live.pending();
        if pending == BTreeSet::from(["deployments"]) {
            Ok(())
        } else {
            Err(pending)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_judges_a_release_by_what_the_cluster_stores_now() {
    let plane = ControlPlane::shared().await;
    let cluster = plane.cluster("program").await;
    let (old, new) = (definition("judged", &["v1"]), definition("judged", &["v2"]));
    let webhook = Webhook::start(plane, [] as [&str; 0]).await;
    let client = Browser::trusting(&webhook.authority, Http::One).unwrap();
    let review = stored(record(&new.to_string(), &[])).bytes();
    let judged = async || {
        let answer = client
            .post(&format!("{}/validate", webhook.url), review.clone())
            .await
            .unwrap();
        String::from_utf8_lossy(answer.body()).into_owned()
    };
    assert!(
        judged().await.contains("\"allowed\":true"),
        "nothing is stored yet"
    );
    cluster.apply(&old).await.unwrap();
    eventually("what is stored as v1 would be lost", async || {
        let text = judged().await;
        if text.contains("stored-version-dropped") {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await;
}
