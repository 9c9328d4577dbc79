//! Measures `fluxkeep migrate` on a real apiserver, beside kubectl and beside patches without a
//! program. Also measures an audit.
//!
//! Every contender stores the same objects in the other version: the storage flag moves before each.

// Only JSON that this program makes is indexed.
#![allow(clippy::indexing_slicing)]

use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use fluxkeep::audit::audit;
use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::manifest::{Reading, read};
use fluxkeep_cluster::BUILT_IN;
use fluxkeep_tests::control_plane::{Cluster, ControlPlane, program};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::process::{cpu, thread};
use crate::table::{Table, text};

const OBJECTS: usize = 2_000;
const AT_ONCE: usize = 32;
const NAME: &str = "things.bench.example.org";
const PATH: &str = "/apis/bench.example.org/v1/namespaces/default/things";
/// Every apiserver stores objects in the new version after this time; `migrate` waits as long.
const SETTLED: Duration = Duration::from_secs(2);

pub(crate) fn measure(table: &mut Table) -> anyhow::Result<()> {
    audited(table)?;
    Runtime::new()?.block_on(migrated(table))
}

async fn migrated(table: &mut Table) -> anyhow::Result<()> {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("migrations").await;
    cluster.apply_all(&[definition("v1beta1")]).await;
    fill(&cluster).await?;
    let title = format!("Store {OBJECTS} objects in another version");

    flip(&cluster, "v1").await;
    let kubectl = timed(&mut kubectl(&cluster))?;
    flip(&cluster, "v1beta1").await;
    let ours = timed(&mut fluxkeep(&cluster)?)?;
    table.faster(
        &format!("{title}, verify and prune them"),
        ours,
        "kubectl get -o name, xargs kubectl patch; no proof, no prune",
        kubectl,
        "≥ 20 times",
    );

    flip(&cluster, "v1").await;
    let start = Instant::now();
    patch_all(&cluster).await?;
    let bare = rate(OBJECTS, start.elapsed());
    flip(&cluster, "v1beta1").await;
    let mut command = fluxkeep(&cluster)?;
    command.arg("--concurrency").arg(AT_ONCE.to_string());
    let took = timed(&mut command)?;
    // Two passes, and the wait between them.
    let ours = rate(2 * OBJECTS, took.saturating_sub(SETTLED));
    table.row(
        &format!("{title}: patches a second at concurrency {AT_ONCE}"),
        &format!("{ours:.0} = {:.2} ×", ours / bare),
        &format!("patches alone: {bare:.0}"),
        "≥ 0.8 ×",
    );
    Ok(())
}

fn rate(patches: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(patches).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

/// The CRD, which stores `storage` and serves both versions.
fn definition(storage: &str) -> Value {
    let version = |name: &str| {
        json!({"name": name, "served": true, "storage": name == storage,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
    };
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {"group": "bench.example.org", "scope": "Namespaced", "versions": [version("v1"), version("v1beta1")],
            "names": {"kind": "Thing", "listKind": "ThingList", "plural": "things", "singular": "thing"}}})
}

/// Moves the storage flag, and waits until the apiserver has taken it.
async fn flip(cluster: &Cluster, storage: &str) {
    cluster.apply_all(&[definition(storage)]).await;
    tokio::time::sleep(SETTLED).await;
}

async fn fill(cluster: &Cluster) -> anyhow::Result<()> {
    // Waits until the resource is served.
    drop(cluster.api(&thing(0)).await);
    let posts = (0..OBJECTS).map(|place| async move {
        let body = serde_json::to_vec(&thing(place))?;
        let request = http::Request::post(PATH)
            .header("content-type", "application/json")
            .body(body)?;
        cluster.client.request_text(request).await?;
        anyhow::Ok(())
    });
    all(stream::iter(posts)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await)
}

fn thing(place: usize) -> Value {
    json!({"apiVersion": "bench.example.org/v1", "kind": "Thing",
        "metadata": {"name": format!("thing-{place}"), "namespace": "default"}, "spec": {"place": place}})
}

/// An empty merge patch of each object, from one client.
async fn patch_all(cluster: &Cluster) -> anyhow::Result<()> {
    let patches = (0..OBJECTS).map(|place| async move {
        let request = http::Request::patch(format!("{PATH}/thing-{place}"))
            .header("content-type", "application/merge-patch+json")
            .body(b"{}".to_vec())?;
        cluster.client.request_text(request).await?;
        anyhow::Ok(())
    });
    all(stream::iter(patches)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await)
}

fn all(done: Vec<anyhow::Result<()>>) -> anyhow::Result<()> {
    done.into_iter().collect()
}

/// The pipe that people use.
fn kubectl(cluster: &Cluster) -> Command {
    let kubectl = program("kubectl");
    let script = r#""$0" get things -o name | xargs "$0" patch --type=merge --patch={}"#;
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(kubectl);
    command.env("KUBECONFIG", &cluster.kubeconfig);
    command
}

/// The program in this program's folder.
fn fluxkeep(cluster: &Cluster) -> anyhow::Result<Command> {
    let path: PathBuf = std::env::current_exe()?.with_file_name("fluxkeep");
    ensure!(
        path.exists(),
        "{} is missing; run cargo build --release --bin fluxkeep",
        path.display()
    );
    let mut command = Command::new(path);
    command.args(["migrate", "--crd", NAME, "--kubeconfig"]);
    command.arg(&cluster.kubeconfig);
    Ok(command)
}

fn timed(command: &mut Command) -> anyhow::Result<Duration> {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(start.elapsed())
}

/// An audit over 1,000 CRDs and 500 HelmReleases beside Flux.
fn audited(table: &mut Table) -> anyhow::Result<()> {
    let mut manifest = BUILT_IN.to_owned();
    for place in 0..1_000 {
        write!(
            manifest,
            "\n---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: \
             k{place}.bench.example.org}}\nspec: {{group: bench.example.org, scope: Namespaced, names: {{kind: \
             K{place}, plural: k{place}}}, versions: [{{name: v1, served: true, storage: true}}]}}\n"
        )?;
    }
    for place in 0..500 {
        write!(
            manifest,
            "\n---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: app-{place}, \
             namespace: apps}}\nspec: {{chart: {{spec: {{chart: app, version: 1.2.3}}}}}}\n"
        )?;
    }
    let facts = Facts::of(read(&manifest, Reading::default()).context("reading the cluster")?);
    let (policy, now, thread) = (Policy::default(), Timestamp::now(), thread()?);
    let start = cpu(&thread)?;
    let audited = audit(&facts, &policy, now);
    let took = cpu(&thread)?.saturating_sub(start);
    ensure!(!audited.upgrades.is_empty(), "the audit judged no upgrade");
    table.row(
        "An audit over 1,000 CRDs and 500 HelmReleases: CPU",
        &text(took),
        "nothing",
        "≤ 50 ms",
    );
    Ok(())
}
