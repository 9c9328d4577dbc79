//! The guarded cluster, and the source of the facts: a snapshot if one is given, else the cluster.

use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::value_parser;
use fluxkeep_cluster::{FactSource, Live, Snapshot, connect};
use kube::Client;
use tokio::runtime::{self, Handle};

/// The value that selects the built-in snapshot. It is never a default: judging a real cluster by
/// another cluster's facts is worse than not judging.
const BUILT_IN: &str = "built-in";

/// The flags for reaching the cluster.
#[derive(Debug, Clone, clap::Args)]
pub struct ClusterArgs {
    /// Kubeconfig file. Default: KUBECONFIG, else the cluster of this pod, else ~/.kube/config.
    #[arg(long, env = "FLUXKEEP_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Kubeconfig context. Default: the current context.
    #[arg(long, env = "FLUXKEEP_CONTEXT", value_name = "NAME")]
    context: Option<String>,
}

impl ClusterArgs {
    /// A client, before its first request.
    ///
    /// # Errors
    /// If the kubeconfig is unusable, or if there is no kubeconfig and no pod.
    pub async fn client(&self) -> anyhow::Result<Client> {
        let path = self.kubeconfig.as_deref();
        let client = connect::for_server(path, self.context.as_deref()).await;
        client.context("connecting to the cluster")
    }
}

/// The flags of the facts.
#[derive(Debug, Clone, clap::Args)]
pub struct FactArgs {
    /// Judges against a snapshot instead of the cluster: a file, a folder, or `built-in` for a
    /// freshly installed Flux 2.4.0.
    #[arg(long, env = "FLUXKEEP_SNAPSHOT", value_name = "PATH")]
    snapshot: Option<PathBuf>,
    /// Seconds without contact to the apiserver after which the facts are stale. Releases of Flux
    /// are then refused, and other releases pass with a warning.
    // A watch is renewed each minute. Four failures in a row are no hiccup, and a restarting
    // apiserver is back sooner.
    #[arg(
        long,
        env = "FLUXKEEP_STALE_AFTER",
        value_name = "SECONDS",
        default_value_t = 300
    )]
    #[arg(value_parser = value_parser!(u64).range(120..=86_400))]
    stale_after: u64,
}

impl FactArgs {
    /// Opens the source. A cluster is followed only once the engine's namespaces are known.
    ///
    /// # Errors
    /// If the snapshot is unreadable or the cluster cannot be reached.
    pub async fn open(&self, cluster: &ClusterArgs) -> anyhow::Result<Arc<dyn FactSource>> {
        let Some(path) = &self.snapshot else {
            let client = cluster.client().await?;
            let runtime = one_thread().context("starting the thread that watches the cluster")?;
            return Ok(Arc::new(Live::new(
                client,
                runtime,
                Duration::from_secs(self.stale_after),
            )));
        };
        let is_built_in = path.as_os_str() == BUILT_IN;
        let snapshot = if is_built_in {
            Snapshot::built_in()
        } else {
            Snapshot::load(path)
        };
        Ok(Arc::new(snapshot.context("loading the snapshot")?))
    }
}

/// A runtime on its own thread, which ends with the program. Each allocating thread keeps memory:
/// on the server's threads, lists of megabytes would leave memory behind on each.
fn one_thread() -> io::Result<Handle> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("following".to_owned())
        .spawn(move || runtime.block_on(pending::<()>()))?;
    Ok(handle)
}
