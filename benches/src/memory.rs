//! Measures the memory that a server uses above the memory of an idle server.

use bytes::Bytes;
use fluxkeep_cluster::{FactSource, Snapshot};
use serde_json::{Value, json};
use tokio::runtime;

use crate::input::Inputs;
use crate::process::{Memory, forget_peak, mib};
use crate::served::Served;
use crate::table::Table;

const CRDS: usize = 1_000;
const RECORDS: usize = 20;

pub(crate) fn measure(table: &mut Table, inputs: &Inputs) -> anyhow::Result<()> {
    let idle = Served::start(None)?;
    let rest = mib(&idle.process(), Memory::Now)?;
    let beside = format!("idle: {rest:.1} MiB");
    table.row(
        &format!("{RECORDS} such records, one after another: memory"),
        &record(&idle, inputs)?,
        &beside,
        "≤ 12 MiB above",
    );
    table.row(
        &format!("{CRDS} CRDs in the snapshot: memory"),
        &crds(rest)?,
        &beside,
        "≤ 4 MiB above",
    );
    Ok(())
}

/// Measures the peak memory while records are judged.
fn record(served: &Served, inputs: &Inputs) -> anyhow::Result<String> {
    let process = served.process();
    let idle = mib(&process, Memory::Now)?;
    forget_peak(&process)?;
    let review = Bytes::from(inputs.record.clone());
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let client = served.client()?;
            for _ in 0..RECORDS {
                served.ask(&client, &review).await?;
            }
            anyhow::Ok(())
        })?;
    Ok(format!(
        "{:.1} MiB above at most",
        mib(&process, Memory::Peak)? - idle
    ))
}

/// Measures the memory of a snapshot's facts.
fn crds(idle: f64) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("snapshot.json");
    let items: Vec<Value> = (0..CRDS).map(crd).collect();
    std::fs::write(
        &path,
        json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string(),
    )?;
    anyhow::ensure!(
        Snapshot::load(&path)?.facts().objects().count() == CRDS,
        "all CRDs are read"
    );
    let served = Served::start(Some(&path))?;
    let process = served.process();
    let (now, peak) = (
        mib(&process, Memory::Now)? - idle,
        mib(&process, Memory::Peak)? - idle,
    );
    Ok(format!("{now:.1} MiB above, {peak:.1} while loading"))
}

/// Returns a CRD as `fluxkeep snapshot` writes it.
fn crd(number: usize) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things{number}.example.org"), "labels": {"app.kubernetes.io/name": "thing"}},
        "spec": {"group": "example.org", "scope": "Namespaced",
            "names": {"kind": format!("Thing{number}"), "plural": format!("things{number}")},
            "versions": [{"name": "v1beta1", "served": true, "storage": false},
                {"name": "v1", "served": true, "storage": true}]},
        "status": {"storedVersions": ["v1beta1", "v1"]},
    })
}
