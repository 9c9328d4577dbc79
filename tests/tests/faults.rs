//! Faults of a cluster: servers die, hang and are flooded. The engine stays guarded, nothing is
//! lost, and following continues.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs
)]

use std::time::Duration;

use fluxkeep_tests::control_plane::{
    Cluster, ControlPlane, Inventory, Webhook, asked, eventually, said,
};
use fluxkeep_tests::flux::{Flux, HOME, Names};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A cluster in which Flux runs, guarded by fluxkeep.
struct Stage {
    // Dropped first, so that a failed test's state is written before the control plane ends.
    cluster: Cluster,
    plane: ControlPlane,
    webhook: Webhook,
    before: Inventory,
}

impl Stage {
    async fn set(test: &str) -> Self {
        let plane = ControlPlane::start().await;
        let cluster = plane.cluster(test).await;
        cluster
            .apply_all(&Flux::release("2.4.0").installed(Names::Install))
            .await;
        let webhook = Webhook::guarding(&plane, &cluster).await;
        let before = cluster.inventory(&[]).await;
        Self {
            cluster,
            plane,
            webhook,
            before,
        }
    }

    /// Waits until the server's log contains a text.
    async fn told(&self, what: &str) {
        eventually(&format!("the log says {what:?}"), async || {
            let log = std::fs::read_to_string(&self.webhook.process.log).unwrap();
            if log.contains(what) { Ok(()) } else { Err(log) }
        })
        .await;
    }

    /// Asserts that the engine is guarded and untouched, and that changes are noticed.
    async fn is_as_before(&self) {
        asked(&self.cluster).await;
        assert_eq!(self.cluster.inventory(&[]).await, self.before);
        let until = Timestamp::now() + SignedDuration::from_hours(1);
        let until = format!("fluxkeep.io/until={until}");
        let why = [
            "fluxkeep.io/allow=engine-deleted",
            "fluxkeep.io/reason=a test",
            &until,
        ];
        let annotated = self
            .cluster
            .kubectl(&[&["annotate", "namespace", HOME][..], &why].concat());
        assert!(annotated.status.success(), "{}", said(&annotated));
        eventually("an override is seen", async || {
            let active = r#"fluxkeep_overrides{rule="engine-deleted",state="active"}"#;
            if self.webhook.counted(active).await > 0.0 {
                Ok(())
            } else {
                Err(self.webhook.process.tail(5))
            }
        })
        .await;
    }
}

fn controller() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "helm-controller", "namespace": HOME}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_while_it_judges_lets_nothing_of_the_engine_through() {
    let Stage {
        plane,
        cluster,
        mut webhook,
        ..
    } = Stage::set("killed_while_it_judges").await;
    let deleted = webhook
        .killed_by(&cluster, cluster.delete(&controller()))
        .await;
    let refused = deleted.expect_err("nobody judged it").to_string();
    assert!(
        refused.contains("failed calling webhook \"engine-deleted.engine.fluxkeep.io\""),
        "{refused}"
    );
    let _replacement = Webhook::guarding(&plane, &cluster).await;
    let refused = cluster
        .delete(&controller())
        .await
        .expect_err("it is a part of Flux")
        .to_string();
    assert!(
        refused.contains("denied the request: engine-deleted: "),
        "{refused}"
    );
    cluster.get(&controller()).await.expect("it is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apiserver_that_dies_and_starts_anew_finds_the_engine_guarded_and_is_followed_on() {
    let mut stage = Stage::set("apiserver_starts_anew").await;
    stage.plane.restart_apiserver().await;
    stage.is_as_before().await;
}

/// The program's own log has two lines about an outage, not two for each collection.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_apiserver_is_told_once_and_so_is_its_end() {
    let mut stage = Stage::set("outage").await;
    stage.plane.apiserver.kill();
    stage.told("watching the cluster failed").await;
    // Every collection has then failed often enough to be logged.
    tokio::time::sleep(Duration::from_secs(5)).await;
    stage.plane.restart_apiserver().await;
    stage.told("watching the cluster works again").await;
    stage.is_as_before().await;
    let log = std::fs::read_to_string(&stage.webhook.process.log).unwrap();
    let told = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert_eq!(
        (told("watching the cluster failed"), told("works again")),
        (1, 1),
        "{log}"
    );
}

/// As on a node with a full disk.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_server_whose_log_cannot_be_written_goes_on() {
    use std::path::Path;
    use std::process::Command;

    use fluxkeep_tests::control_plane::{Process, fetch, free_port, own};

    let observe = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(own("fluxkeep-webhook"));
    command.args([
        "--snapshot=built-in",
        "--listen=127.0.0.1:0",
        "--observe",
        &observe,
    ]);
    let mut server = Process::start(command, Path::new("/dev/full"));
    // The server logs that it serves before it answers.
    eventually("it answers", async || {
        server.is_running();
        fetch(&format!("http://{observe}/livez")).await
    })
    .await;
    server.is_running();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_stands_still_for_ten_seconds_is_survived() {
    let stage = Stage::set("etcd_stands_still").await;
    stage.plane.etcd.pause();
    tokio::time::sleep(Duration::from_secs(10)).await;
    stage.plane.etcd.resume();
    stage.is_as_before().await;
}

/// Half of the CRDs lose a stored version: only these are refused, each with its own reason.
#[tokio::test(flavor = "multi_thread")]
async fn of_five_hundred_definitions_that_are_applied_at_once_each_is_judged_by_itself() {
    const MANY: usize = 500;
    let stage = Stage::set("five_hundred_at_once").await;
    let applied = async |versions: &dyn Fn(usize) -> Vec<&'static str>| {
        let objects: Vec<_> = (0..MANY)
            .map(|number| definition(number, &versions(number)))
            .collect();
        join_all(objects.iter().map(|object| stage.cluster.apply(object))).await
    };
    let created = applied(&|_| vec!["v1"]).await;
    assert!(
        created.iter().all(Result::is_ok),
        "{:?}",
        created.iter().find(|answer| answer.is_err())
    );
    let changed = applied(&|number| {
        if number % 2 == 0 {
            vec!["v1", "v2"]
        } else {
            vec!["v2"]
        }
    })
    .await;
    for (number, answer) in changed.iter().enumerate() {
        let refused = answer
            .as_ref()
            .err()
            .map(ToString::to_string)
            .unwrap_or_default();
        let name = format!(
            "stored-version-dropped: CustomResourceDefinition {}",
            name(number)
        );
        assert_eq!(
            refused.contains(&name),
            number % 2 == 1,
            "{number}: {refused}"
        );
        assert_eq!(refused.is_empty(), number % 2 == 0, "{number}: {refused}");
    }
}

/// A name in a group of Flux, so that no write passes unseen.
fn name(number: usize) -> String {
    format!("things{number}.test.toolkit.fluxcd.io")
}

fn definition(number: usize, versions: &[&str]) -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let last = versions.last();
    let version = |name: &&str| json!({"name": name, "served": true, "storage": Some(name) == last, "schema": schema});
    let plural = format!("things{number}");
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": name(number)},
        "spec": {"group": "test.toolkit.fluxcd.io", "scope": "Namespaced",
            "names": {"kind": format!("Thing{number}"), "plural": plural},
            "versions": versions.iter().map(version).collect::<Vec<_>>()}})
}
