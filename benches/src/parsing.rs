//! Measures the time of an answer beside the time of parsing alone, in this process.

use std::hint::black_box;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use fluxkeep::admission::{ReviewOutcome, answer};
use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::manifest::{self, Reading};
use fluxkeep_cluster::{FactSource, Snapshot};
use fluxkeep_tests::control_plane::program;
use fluxkeep_tests::now;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::input::Inputs;
use crate::table::Table;

const ROUNDS: usize = 200;

/// Only the fields of a CRD's review that the judge reads.
#[derive(Deserialize)]
pub(crate) struct Review<T> {
    request: Asked<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Asked<T> {
    object: T,
    old_object: T,
}

#[derive(Deserialize)]
struct Partial<'a> {
    #[serde(borrow)]
    spec: Spec<'a>,
    #[serde(borrow)]
    status: Status<'a>,
}

#[derive(Deserialize)]
struct Spec<'a> {
    group: &'a str,
    scope: &'a str,
    #[serde(borrow)]
    versions: Vec<Version<'a>>,
}

#[derive(Deserialize)]
struct Version<'a> {
    name: &'a str,
    served: bool,
    storage: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    #[serde(borrow)]
    stored_versions: Vec<&'a str>,
}

/// A piece of work to time. The result keeps the compiler from removing the work.
type Work<'a> = &'a dyn Fn() -> anyhow::Result<usize>;

/// Returns the shortest run of each work. The works take turns, so other load on the machine
/// affects all of them.
fn fastest<const N: usize>(works: [Work<'_>; N]) -> anyhow::Result<[Duration; N]> {
    let mut shortest = [Duration::MAX; N];
    for _ in 0..ROUNDS {
        for (work, shortest) in works.iter().zip(&mut shortest) {
            let start = Instant::now();
            black_box(work()?);
            *shortest = start.elapsed().min(*shortest);
        }
    }
    Ok(shortest)
}

pub(crate) fn update(table: &mut Table, body: &[u8]) -> anyhow::Result<()> {
    let facts = Snapshot::built_in()?.facts();
    let [ours, bare, value, typed] = fastest([
        &|| answered(body, &facts),
        &|| partial(body),
        &|| {
            Ok(serde_json::from_slice::<Value>(body)?
                .as_object()
                .map_or(0, Map::len))
        },
        &|| {
            Ok(size_of_val(&serde_json::from_slice::<
                Review<CustomResourceDefinition>,
            >(body)?))
        },
    ])?;
    let title = format!("UPDATE review of a CRD, {} kB: answer", body.len() / 1000);
    table.time(&title, ours, "bare partial parse", bare, "≤ 1.3 ×");
    table.time(&title, ours, "serde_json::Value", value, "≤ 0.2 ×");
    table.time(&title, ours, "typed CRDs", typed, "");
    Ok(())
}

pub(crate) fn record(table: &mut Table, inputs: &Inputs) -> anyhow::Result<()> {
    let Inputs {
        manifest, record, ..
    } = inputs;
    let facts = Snapshot::built_in()?.facts();
    let [ours, read] = fastest([&|| answered(record, &facts), &|| {
        Ok(manifest::read(manifest, Reading::default())?.len())
    }])?;
    let go = read_by_go(manifest)?;
    let title = format!(
        "CREATE review of a release record, {} kB of manifest: answer",
        manifest.len() / 1000
    );
    let baseline = "its manifest alone read with sigs.k8s.io/yaml";
    table.faster(&title, ours, baseline, go, "≤ 6 ms");
    let title = "its manifest alone: read";
    table.faster(title, read, "sigs.k8s.io/yaml", go, "≥ 30");
    Ok(())
}

/// Returns the shortest time in which sigs.k8s.io/yaml, Helm's and kubectl's reader, reads a
/// manifest.
fn read_by_go(manifest: &str) -> anyhow::Result<Duration> {
    let mut child = Command::new(program("go-yaml"))
        .arg("time")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting go-yaml")?;
    let mut input = child.stdin.take().context("its input")?;
    input.write_all(&u32::try_from(manifest.len())?.to_le_bytes())?;
    input.write_all(manifest.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    let told: Value = serde_json::from_slice(&output.stdout).context("reading go-yaml's answer")?;
    let time = told.get("nanoseconds").and_then(Value::as_u64);
    let time = time.with_context(|| format!("go-yaml does not read the manifest: {told}"))?;
    Ok(Duration::from_nanos(time))
}

/// Answers a review by the server's own function.
fn answered(body: &[u8], facts: &Facts) -> anyhow::Result<usize> {
    let answer = answer(body, facts, &Policy::default(), now());
    anyhow::ensure!(
        matches!(answer.outcome, ReviewOutcome::Judged(_)),
        "a review that is judged, not {:?}",
        answer.outcome
    );
    Ok(answer.body.len())
}

/// Parses a review, and reads every field so that the compiler removes none.
fn partial(body: &[u8]) -> anyhow::Result<usize> {
    let size = |one: &Partial<'_>| {
        let version = |version: &Version<'_>| {
            version.name.len() + usize::from(version.served != version.storage)
        };
        let versions: usize = one.spec.versions.iter().map(version).sum();
        one.spec.group.len() + one.spec.scope.len() + versions + one.status.stored_versions.len()
    };
    let Asked { object, old_object } = serde_json::from_slice::<Review<Partial<'_>>>(body)?.request;
    Ok(size(&object) + size(&old_object))
}
