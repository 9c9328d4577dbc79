//! Asks the judge and a real kube-apiserver whether a CRD may replace another.
//!
//! A history is a list of definitions of a CRD, written one after another. `cargo test` tries a
//! sample of the histories of Flux's releases, `make oracle` all of them. `CRDS=folder` makes it
//! try those of a folder of manifests.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod histories;

use std::path::Path;

use fluxkeep::case::facts::Facts;
use fluxkeep::rules::stored_version_dropped;
use fluxkeep_tests::control_plane::{Cluster, ControlPlane};
use fluxkeep_tests::redefined;
use futures::{StreamExt, stream};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::histories::{History, flux, found_in, histories, offer};

/// Concurrent histories; the apiserver has more work than the test.
const AT_ONCE: usize = 8;

/// A question with different answers.
struct Disagreement {
    crd: String,
    from: String,
    to: String,
    apiserver: String,
    judge: String,
}

#[tokio::test]
async fn the_apiserver_and_the_judge_agree_on_a_sample_of_fluxs_histories() {
    // A prime step makes the sample cover all kinds and lengths.
    let sample = histories(&flux()).into_iter().step_by(11).collect();
    let refused = agreement(sample).await;
    assert!(refused > 0, "nothing was refused: this asks nothing");
}

#[tokio::test]
#[ignore = "asks thousands of questions: `make oracle` runs it"]
async fn the_apiserver_and_the_judge_agree_on_every_history() {
    let folder = std::env::var_os("FLUXKEEP_ORACLE_CRDS").filter(|folder| !folder.is_empty());
    let shapes = folder.map_or_else(flux, |folder| found_in(Path::new(&folder)));
    let histories = histories(&shapes);
    if histories.is_empty() {
        println!("nothing to ask: each CRD has one definition, which offers one version");
        return;
    }
    if agreement(histories).await == 0 {
        println!("nothing was refused: this says little about the judge");
    }
}

#[test]
fn definitions_with_one_version_leave_nothing_to_ask() {
    let folder = tempfile::tempdir().expect("a folder");
    let crd = fluxkeep_tests::definition(&[("v1", true, true)], &["v1"]);
    std::fs::write(folder.path().join("crd.yaml"), crd.to_string()).expect("a writable folder");
    assert_eq!(histories(&found_in(folder.path())).len(), 0);
}

/// Plays all histories and returns the number of refusals. Panics on a disagreement.
async fn agreement(histories: Vec<History>) -> usize {
    let cluster = ControlPlane::shared().await.cluster("oracle").await;
    let count = histories.len();
    let plays = histories
        .into_iter()
        .enumerate()
        .map(|(number, history)| play(&cluster, number, history));
    let played: Vec<_> = stream::iter(plays)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let asked: usize = played.iter().map(|(asked, _, _)| asked).sum();
    let refused: usize = played.iter().map(|(_, refused, _)| refused).sum();
    let differ: Vec<_> = played
        .into_iter()
        .flat_map(|(_, _, differ)| differ)
        .collect();
    println!(
        "{count} histories, {asked} questions, {refused} refused by the apiserver, {} disagreements",
        differ.len()
    );
    assert!(differ.is_empty(), "{}", table(&differ));
    refused
}

/// Plays a history on a CRD of its own. Returns the numbers of questions and refusals, and the
/// disagreements.
async fn play(
    cluster: &Cluster,
    number: usize,
    history: History,
) -> (usize, usize, Vec<Disagreement>) {
    let mut steps = history.iter().map(|shape| renamed(shape, number));
    let first = steps.next().expect("a history has a beginning");
    let api = cluster.api(&first).await;
    let mut live = serde_json::to_value(
        cluster
            .create(&first)
            .await
            .expect("a definition that can be created"),
    )
    .expect("an object");
    let (mut asked, mut refused, mut differ) = (0, 0, Vec::new());
    for shape in steps {
        let judge = judged(&live, &shape);
        let apiserver = written(&api, &shape).await;
        asked += 1;
        refused += usize::from(apiserver.is_err());
        if judge.is_empty() != apiserver.is_ok() {
            differ.push(disagreement(&live, &shape, &apiserver, &judge));
        }
        live = apiserver.unwrap_or(live);
    }
    cluster.delete(&first).await.expect("what was created");
    (asked, refused, differ)
}

/// The definition in a group of its own, so that histories stay apart.
fn renamed(shape: &Value, number: usize) -> Value {
    let mut shape = shape.clone();
    let group = format!(
        "h{number}.{}",
        shape["spec"]["group"].as_str().expect("a CRD has a group")
    );
    let plural = shape["spec"]["names"]["plural"]
        .as_str()
        .expect("a CRD has a plural");
    shape["metadata"]["name"] = format!("{plural}.{group}").into();
    shape["spec"]["group"] = group.into();
    shape.as_object_mut().expect("an object").remove("status");
    shape
}

/// The judge's findings for a replacement.
fn judged(live: &Value, shape: &Value) -> Vec<String> {
    let mut new = live.clone();
    new["spec"]["versions"] = shape["spec"]["versions"].clone();
    let answer = redefined(live.clone(), new).answer(&Facts::default());
    let found = answer
        .verdict
        .findings
        .iter()
        .filter(|finding| finding.rule == stored_version_dropped::RULE.id);
    found.map(|finding| finding.message.clone()).collect()
}

/// The definition after a write, or the refusal.
async fn written(api: &Api<DynamicObject>, shape: &Value) -> Result<Value, String> {
    let name = shape["metadata"]["name"]
        .as_str()
        .expect("a CRD has a name");
    let patch = Patch::Merge(json!({"spec": {"versions": shape["spec"]["versions"]}}));
    match api.patch(name, &PatchParams::default(), &patch).await {
        Ok(object) => Ok(serde_json::to_value(object).expect("an object")),
        Err(kube::Error::Api(status)) if status.message.contains("storedVersions") => {
            Err(status.message.clone())
        }
        Err(other) => panic!("{name} was refused for another reason: {other}"),
    }
}

fn disagreement(
    live: &Value,
    shape: &Value,
    apiserver: &Result<Value, String>,
    judge: &[String],
) -> Disagreement {
    Disagreement {
        crd: live["metadata"]["name"].to_string(),
        from: format!(
            "{} stored {}",
            offer(live),
            live["status"]["storedVersions"]
        ),
        to: offer(shape),
        apiserver: apiserver
            .as_ref()
            .err()
            .cloned()
            .unwrap_or_else(|| "accepts".to_owned()),
        judge: if judge.is_empty() {
            "accepts".to_owned()
        } else {
            judge.join("; ")
        },
    }
}

fn table(rows: &[Disagreement]) -> String {
    let line = |row: &Disagreement| {
        format!(
            "| {} | {} | {} | {} | {} |\n",
            row.crd, row.from, row.to, row.apiserver, row.judge
        )
    };
    "\n| crd | lives | is written | apiserver | judge |\n|---|---|---|---|---|\n".to_owned()
        + &rows.iter().map(line).collect::<String>()
}
