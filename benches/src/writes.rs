//! Measures updates of CRDs through a real apiserver: with fluxkeep, with a webhook that allows
//! without parsing, and without a webhook.

// Only JSON that this program makes is indexed.
#![allow(clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use anyhow::Context;
use fluxkeep::case::policy::Policy;
use fluxkeep_tests::control_plane::{Cluster, ControlPlane, eventually};
use fluxkeep_webhook::registration::{Address, KnownReleases, Registration};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::https::{Kind, Server, start};
use crate::input::crd;
use crate::table::Table;

const ROUNDS: usize = 100;
const GROUP: &str = "helm.toolkit.fluxcd.io";
/// Label of a CRD. The value names the webhook that is asked about the CRD.
const LABEL: &str = "asks";
const ASKED: [&str; 3] = ["fluxkeep", "floor", "nobody"];

pub(crate) fn measure(table: &mut Table) -> anyhow::Result<()> {
    let [fluxkeep, floor, nobody] = Runtime::new()?.block_on(alternate())?;
    let title = format!(
        "UPDATE of such a CRD, {} kB, through kube-apiserver",
        crd("").to_string().len() / 1000
    );
    let mut row = |what: &str, of: fn(&[Duration]) -> Option<Duration>| {
        let [fluxkeep, floor, nobody] = [&fluxkeep, &floor, &nobody].map(|waits| of(waits));
        let (fluxkeep, title) = (
            fluxkeep.context("a wait")?,
            format!("{title}: {what} of {ROUNDS}"),
        );
        table.time(
            &title,
            fluxkeep,
            "axum, body unread (the floor)",
            floor.context("a wait")?,
            "≤ 1.1 ×",
        );
        table.time(
            &title,
            fluxkeep,
            "no webhook",
            nobody.context("a wait")?,
            "",
        );
        anyhow::Ok(())
    };
    row("median", |waits| waits.get(waits.len() / 2).copied())?;
    row("shortest", |waits| waits.first().copied())
}

/// Returns the times of the writes, sorted. Both webhooks are registered at once, and the writes
/// take turns in rotating order, because the apiserver stays busy for a while after a write.
async fn alternate() -> anyhow::Result<[Vec<Duration>; 3]> {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("writes").await;
    for who in ASKED {
        cluster.create(&definition(who)).await?;
    }
    let servers = [start(Kind::Fluxkeep)?, start(Kind::Floor)?];
    for (server, who) in servers.iter().zip(ASKED) {
        cluster.apply_all(&registration(server, who)).await;
        eventually(&format!("{who} is asked"), async || {
            is_asked(&cluster, who).await
        })
        .await;
    }
    let mut waits = [(); 3].map(|()| Vec::new());
    for round in 0..ROUNDS {
        for turn in 0..ASKED.len() {
            let number = (round + turn) % ASKED.len();
            if let (Some(who), Some(waits)) = (ASKED.get(number), waits.get_mut(number)) {
                waits.push(write(&cluster, who, &round.to_string()).await?);
            }
        }
    }
    for who in ["fluxkeep", "floor"] {
        let asked = asked(&cluster, who).await?;
        anyhow::ensure!(
            asked > ROUNDS,
            "{who} was asked {asked} times, not at each of {ROUNDS} writes"
        );
    }
    for waits in &mut waits {
        waits.sort_unstable();
    }
    Ok(waits)
}

/// Returns Flux's own CRD under another name.
fn definition(who: &str) -> Value {
    let mut object = crd("new");
    object["metadata"] = json!({"name": format!("{who}s.{GROUP}"), "labels": {LABEL: who}});
    object["spec"]["names"] =
        json!({"kind": who, "listKind": format!("{who}List"), "plural": format!("{who}s")});
    object
}

/// Returns the manifests of fluxkeep's registration, narrowed by a selector.
fn registration(server: &Server, who: &str) -> Vec<Value> {
    let (address, authority) = (
        Address::Url(server.url.clone()),
        Some(server.authority.clone()),
    );
    let manifests = Registration {
        address,
        authority,
        releases: Vec::new(),
    }
    .manifests(&Policy::default(), &KnownReleases::default());
    manifests
        .into_iter()
        .map(|manifest| narrowed(manifest.body, who))
        .collect()
}

/// Restricts a webhook configuration to one label. Policies stay unchanged, and apply to all CRDs.
fn narrowed(mut object: Value, who: &str) -> Value {
    if object["webhooks"].is_array() {
        object["metadata"]["name"] = who.into();
    }
    for webhook in object
        .get_mut("webhooks")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        webhook["name"] = format!("{who}.{}", webhook["name"].as_str().unwrap_or_default()).into();
        webhook["objectSelector"] = json!({"matchLabels": {LABEL: who}});
    }
    object
}

async fn is_asked(cluster: &Cluster, who: &str) -> Result<(), String> {
    let before = asked(cluster, who)
        .await
        .map_err(|error| error.to_string())?;
    write(cluster, who, &format!("try {:?}", Instant::now()))
        .await
        .map_err(|error| format!("{error:#}"))?;
    let after = asked(cluster, who)
        .await
        .map_err(|error| error.to_string())?;
    if after > before {
        Ok(())
    } else {
        Err(format!("it was asked {after} times"))
    }
}

/// Returns the number of reviews that a webhook answered with 200, from the apiserver's metrics.
async fn asked(cluster: &Cluster, who: &str) -> anyhow::Result<usize> {
    let metrics = cluster
        .client
        .request_text(http::Request::get("/metrics").body(Vec::new())?)
        .await?;
    let name = format!("name=\"{who}.");
    let answered = |line: &&str| {
        line.starts_with("apiserver_admission_webhook_request_total{code=\"200\"")
            && line.contains(&name)
    };
    let count = |line: &str| {
        line.rsplit(' ')
            .next()
            .and_then(|count| count.parse::<usize>().ok())
    };
    Ok(metrics.lines().filter(answered).filter_map(count).sum())
}

/// Changes every schema of a CRD. Returns the time.
async fn write(cluster: &Cluster, who: &str, word: &str) -> anyhow::Result<Duration> {
    let versions = json!({"spec": {"versions": crd(word)["spec"]["versions"]}})
        .to_string()
        .into_bytes();
    let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{who}s.{GROUP}");
    let request = http::Request::patch(path)
        .header("content-type", "application/merge-patch+json")
        .body(versions)?;
    let start = Instant::now();
    cluster
        .client
        .request_text(request)
        .await
        .with_context(|| format!("updating the CRD that asks {who}"))?;
    Ok(start.elapsed())
}
