//! The inputs: a thinned rendering of the chart flux2, reviews made in code, or real files.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use fluxkeep::helm::record::{Driver, write};
use fluxkeep::yaml::{Paths, documents};
use fluxkeep_tests::{redefined, secret, stored};
use serde_json::{Map, Value, json};

/// A thinned rendering of the chart flux2. The file's first lines describe the thinning.
const RENDERED: &str = include_str!("../data/flux2.yaml");
/// Length in bytes of the full rendering of the chart flux2 2.18.3.
const CHART: usize = 382_000;
const HELM_RELEASES: &str = "helmreleases.helm.toolkit.fluxcd.io";

/// Real files to measure instead of the built-in inputs.
#[derive(Args, Default)]
pub(crate) struct Files {
    /// The CRDs of two Flux releases, as YAML. The update of the HelmRelease CRD is measured.
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    crds: Vec<PathBuf>,
    /// A chart's rendering, as YAML.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
}

/// The two reviews to measure with, and the parts of the second.
pub(crate) struct Inputs {
    /// The review of the HelmRelease CRD's update.
    pub(crate) update: Vec<u8>,
    /// The release's manifest.
    pub(crate) manifest: String,
    /// The release record's `data.release`.
    pub(crate) packed: String,
    /// The review of the record's creation.
    pub(crate) record: Vec<u8>,
}

impl Inputs {
    pub(crate) fn read(files: &Files) -> anyhow::Result<Self> {
        let [old, new] = match files.crds.as_slice() {
            [old, new] => [helm_releases(old)?, helm_releases(new)?],
            _ => ["before", "after"].map(crd),
        };
        let manifest = match &files.manifest {
            Some(path) => text(path)?,
            None => repeated(RENDERED, CHART),
        };
        let packed = packed(&manifest)?;
        let record = stored(secret(&packed)).bytes();
        Ok(Self {
            update: redefined(old, new).bytes(),
            manifest,
            packed,
            record,
        })
    }
}

/// Returns the HelmRelease CRD of a file, with the status that a cluster adds.
fn helm_releases(path: &Path) -> anyhow::Result<Value> {
    let text = text(path)?;
    let objects: Result<Vec<_>, _> = documents(&text)
        .map(|document| document.read_paths(&Paths::Whole))
        .collect();
    let named = |object: &Value| {
        object
            .pointer("/metadata/name")
            .is_some_and(|name| name == HELM_RELEASES)
    };
    let mut crd = objects?
        .into_iter()
        .find(named)
        .with_context(|| format!("{} has no {HELM_RELEASES}", path.display()))?;
    if let Some(crd) = crd.as_object_mut() {
        crd.insert("status".to_owned(), json!({"storedVersions": ["v2"]}));
    }
    Ok(crd)
}

fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// Returns a CRD like Flux 2.4's HelmRelease: three versions, about 120 kB of JSON. An update that
/// changes `word` changes every schema.
pub(crate) fn crd(word: &str) -> Value {
    let version = |name: &str| {
        let schema = schema(&format!("{name} {word}"), 40, 1);
        json!({"name": name, "served": true, "storage": name == "v2", "schema": {"openAPIV3Schema": schema},
            "subresources": {"status": {}}})
    };
    let versions = ["v2", "v2beta1", "v2beta2"].map(version);
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": HELM_RELEASES, "labels": {"app.kubernetes.io/part-of": "flux"}},
        "spec": {"group": "helm.toolkit.fluxcd.io", "scope": "Namespaced",
            "names": {"kind": "HelmRelease", "listKind": "HelmReleaseList", "plural": "helmreleases"},
            "versions": versions},
        "status": {"storedVersions": ["v2"]},
    })
}

/// Returns a schema. In the real schema 95 of 100 bytes are strings, on average 31 bytes long. Most
/// strings are short keys, and most bytes belong to long descriptions.
fn schema(word: &str, fields: usize, depth: usize) -> Value {
    let field = |index: usize| {
        let about = format!(
            "Names what \"this\" is about in {word}; it's [one] of {{many}} fields: see the reference.\n"
        );
        let value = if depth > 0 && index.is_multiple_of(6) {
            schema(word, fields / 2, depth - 1)
        } else {
            json!({"description": about.repeat(1 + index % 2), "type": "string", "maxLength": 253,
                "pattern": "^[a-z0-9.-]+$"})
        };
        (format!("field{index}"), value)
    };
    let properties: Map<String, Value> = (0..fields).map(field).collect();
    json!({"description": "An object.", "properties": properties, "required": ["field1"], "type": "object"})
}

/// Repeats the documents of a manifest until the text is at least `size` bytes long. Each
/// repetition has other names.
pub(crate) fn repeated(manifest: &str, size: usize) -> String {
    let mut all = String::with_capacity(size + size / 4);
    let documents: Vec<_> = documents(manifest).collect();
    for (index, document) in documents.iter().cycle().enumerate() {
        if all.len() >= size {
            break;
        }
        if !document.text.starts_with("---") {
            all.push_str("---\n");
        }
        all.push_str(&renamed(document.text, index / documents.len()));
        if !all.ends_with('\n') {
            all.push('\n');
        }
    }
    all
}

/// Returns a document under another name, or unchanged if the number is 0.
fn renamed(document: &str, number: usize) -> String {
    // The name of a CRD is its plural and its group.
    if number > 0 && document.contains("\nkind: CustomResourceDefinition") {
        return document.replace("fluxcd.io", &format!("copy{number}.example.org"));
    }
    let key = "\n  name: ";
    let Some((head, rest)) = document.split_once(key).filter(|_| number > 0) else {
        return document.to_owned();
    };
    match rest.strip_prefix('"') {
        Some(name) => format!("{head}{key}\"copy{number}-{name}"),
        None => format!("{head}{key}copy{number}-{rest}"),
    }
}

fn packed(manifest: &str) -> anyhow::Result<String> {
    let release = json!({"name": "flux", "namespace": "flux-system", "version": 1, "manifest": manifest, "hooks": []});
    write(&release, Driver::Secret).context("packing the record")
}
