//! The facts about the cluster, from a snapshot or from the live cluster.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use fluxkeep::case::facts::Facts;
use fluxkeep::flux::engine::Engine;
use fluxkeep::manifest::{self, Reading};
use fluxkeep_cluster::gather::gather;
use fluxkeep_cluster::{FactSource, Snapshot, connect};

/// Loads the facts of a snapshot: a file or a folder.
///
/// # Errors
/// When the snapshot cannot be read.
pub fn stored(path: &Path) -> anyhow::Result<Arc<Facts>> {
    Ok(Snapshot::load(path)
        .context("loading the snapshot")?
        .facts())
}

/// Gathers the facts from the cluster of a kubeconfig's context.
///
/// # Errors
/// When the cluster cannot be reached, or refuses a list.
pub fn live(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
    engine: &Engine,
) -> anyhow::Result<Arc<Facts>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let gathered = runtime.block_on(async {
        let client = connect::by_kubeconfig(kubeconfig, context).await?;
        anyhow::Ok(gather(&client, engine).await?)
    });
    let gathered = gathered.with_context(|| match kubeconfig {
        Some(path) => format!("reading the cluster of {}", path.display()),
        None => "reading the cluster".to_owned(),
    })?;
    let objects = manifest::read(&gathered.list().to_string(), Reading::default());
    Ok(Arc::new(Facts::of(objects.map_err(|unread| {
        anyhow!("reading the cluster's objects: {unread}")
    })?)))
}
