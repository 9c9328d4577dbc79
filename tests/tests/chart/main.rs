//! The Helm chart: generated from the tables, rendered by Helm 3 and 4, and installed in a real
//! apiserver.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod alerts;
mod dashboard;
mod generated;
mod installed;
mod monitored;
mod orders;
mod readme;
mod rendered;
mod schema;

use std::path::{Path, PathBuf};
use std::process::Output;

use fluxkeep_tests::control_plane::{Helm, folder, said};
use serde_json::Value;

const HELMS: [Helm; 2] = [Helm::Three, Helm::Four];
/// The version of the real apiserver. Helm's own default is older than the chart allows.
const KUBERNETES: &str = "1.34.4";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn chart() -> String {
    root().join("charts/fluxkeep").display().to_string()
}

/// The path of a file with these values.
fn values(values: &Value) -> String {
    let path = folder("values").join("values.yaml");
    std::fs::write(&path, values.to_string()).unwrap();
    path.display().to_string()
}

/// Renders the chart as release `fluxkeep` in the namespace of the same name.
fn template(helm: Helm, given: &Value, more: &[&str]) -> Output {
    let (chart, values) = (chart(), values(given));
    let fixed = ["template", "fluxkeep", &chart, "--namespace", "fluxkeep"];
    let given = ["--kube-version", KUBERNETES, "--values", &values];
    helm.offline(&[&fixed[..], &given, more].concat())
}

/// The rendered objects, hooks included.
fn objects(helm: Helm, given: &Value, more: &[&str]) -> Vec<Value> {
    let output = template(helm, given, more);
    assert!(output.status.success(), "{given}: {}", said(&output));
    read(&String::from_utf8(output.stdout).unwrap())
}

fn read(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|one| one["kind"] == kind).collect()
}
