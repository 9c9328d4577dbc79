//! `fluxkeep snapshot --recovery`: writes a recovery point to a file.

use std::path::Path;

use anyhow::{Context, ensure};
use fluxkeep::flux::engine::Engine;
use fluxkeep::recovery::Reading;
use fluxkeep_cluster::recovery::{Taken, cluster_id, keys, take};
use fluxkeep_cluster::write::Writer;
use jiff::Timestamp;
use kube::Client;

use crate::access::{Access, facts, runtime};
use crate::{Found, Output, file};

/// The field manager, which reads need not have and never use.
const MANAGER: &str = "fluxkeep-recovery";

/// Takes the point, then writes the file in one step, so an older point there stays until then.
///
/// # Errors
/// If the cluster is unreachable, an object cannot be read, or no controller of Flux is found.
pub(super) fn run(
    access: &Access,
    engine: &Engine,
    path: &Path,
    strict: bool,
    output: &mut Output,
) -> anyhow::Result<Found> {
    ensure!(
        engine.namespaces.len() == 1,
        "a recovery point is of one Flux: name one namespace with --namespace"
    );
    let taken = runtime()?.block_on(async { taken(&access.client().await?, engine).await });
    let taken = taken.context("taking the recovery point")?;
    for trouble in &taken.troubles {
        output.note(trouble);
    }
    if strict && !taken.troubles.is_empty() {
        output.note("no recovery point is written, because of --strict");
        return Ok(Found::Refusal);
    }
    let context = || format!("writing the recovery point {}", path.display());
    file::replace(path, &taken.bytes).with_context(context)?;
    output.note(&format!("{}: {}", path.display(), taken.head));
    Ok(Found::Nothing)
}

async fn taken(client: &Client, engine: &Engine) -> anyhow::Result<Taken> {
    let facts = facts(client, engine).await?;
    let writer = Writer::new(client.clone(), MANAGER);
    let reading = Reading {
        cluster: cluster_id(&writer).await?,
        taken: Timestamp::now(),
    };
    Ok(take(&writer, &keys(&facts, engine), engine, reading).await??)
}
