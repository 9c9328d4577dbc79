//! The cluster that is guarded, and where the facts come from: a snapshot if one is given, else that
//! cluster.

use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::value_parser;
use fluxkeep_cluster::{Live, Snapshot, Source, connect};
use kube::Client;
use tokio::runtime::{self, Handle};

/// The word for the snapshot that fluxkeep brings along. It is never taken unasked: a server that
/// judges a real cluster by another one's facts is worse than none.
const BUILT_IN: &str = "built-in";

/// How the cluster is reached.
#[derive(Debug, Clone, clap::Args)]
pub struct Access {
    /// The kubeconfig of the cluster; without it, the cluster that this runs in.
    #[arg(long, env = "FLUXKEEP_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig; without it, the current one.
    #[arg(
        long,
        env = "FLUXKEEP_CONTEXT",
        value_name = "NAME",
        requires = "kubeconfig"
    )]
    context: Option<String>,
}

impl Access {
    /// A client, which has asked for nothing yet.
    ///
    /// # Errors
    /// When the kubeconfig is not usable, or there is none and this runs in no cluster.
    pub async fn client(&self) -> anyhow::Result<Client> {
        let client = match &self.kubeconfig {
            Some(path) => connect::by_kubeconfig(Some(path), self.context.as_deref()).await,
            None => connect::in_cluster(),
        };
        client.context("connecting to the cluster")
    }
}

/// The flags of the facts.
#[derive(Debug, Clone, clap::Args)]
pub struct From {
    /// Judges by a snapshot (file, folder, or `built-in` for Flux 2.4.0 as it was installed) instead of
    /// the cluster.
    #[arg(long, env = "FLUXKEEP_SNAPSHOT", value_name = "PATH")]
    snapshot: Option<PathBuf>,
    /// After this long without a word of the cluster, in seconds, what is known of it counts as stale:
    /// releases of the engine are refused, others warned of.
    // A watch is renewed each minute; when four in a row fail it is no hiccup, and an apiserver that
    // restarts is back before.
    #[arg(
        long,
        env = "FLUXKEEP_STALE_AFTER",
        value_name = "SECONDS",
        default_value_t = 300
    )]
    #[arg(value_parser = value_parser!(u64).range(120..=86_400))]
    stale_after: u64,
}

impl From {
    /// Opens the source. A cluster is followed later, once the engine's place is known.
    ///
    /// # Errors
    /// When the snapshot is not readable, or there is no way to the cluster.
    pub async fn open(&self, cluster: &Access) -> anyhow::Result<Arc<dyn Source>> {
        let Some(path) = &self.snapshot else {
            let client = cluster.client().await?;
            let runtime = one_thread().context("starting the thread that follows the cluster")?;
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

/// A runtime on one thread, which ends with the program. Each thread that allocates keeps memory of its
/// own: megabytes of a list, were it read by whichever of the server's threads is free.
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
