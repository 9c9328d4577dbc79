//! The flags that select the cluster.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use fluxkeep::case::facts::Facts;
use fluxkeep::flux::engine::Engine;
use fluxkeep::manifest::{self, Reading};
use fluxkeep_cluster::connect::{self, Unconnected};
use fluxkeep_cluster::gather::{Gathered, gather};
use kube::Client;
use tokio::runtime::Runtime;

/// A person's kubeconfig and its context, as kubectl's flags.
#[derive(Debug, Clone, clap::Args)]
pub struct Access {
    /// Kubeconfig file. Default: KUBECONFIG, else the cluster of this pod, else ~/.kube/config.
    #[arg(long, env = "FLUXKEEP_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Kubeconfig context. Default: the current context.
    #[arg(long, env = "FLUXKEEP_CONTEXT", value_name = "NAME")]
    context: Option<String>,
}

impl Access {
    /// A client, before its first request.
    ///
    /// # Errors
    /// If there is no kubeconfig and no pod, or the kubeconfig is unusable.
    pub async fn client(&self) -> anyhow::Result<Client> {
        Ok(self.named_client().await?.0)
    }

    /// Like [`Access::client`], with the cluster in words.
    ///
    /// # Errors
    /// As [`Access::client`].
    pub async fn named_client(&self) -> anyhow::Result<(Client, String)> {
        let path = self.kubeconfig.as_deref();
        let context = self.context.as_deref();
        let connected = match connect::named_for_server(path, context).await {
            // A person expects a kubeconfig, not a pod: the error names the missing file.
            Err(Unconnected::NoPod(_)) => {
                let client = connect::by_kubeconfig(path, context).await;
                client.map(|client| (client, String::new()))
            }
            connected => connected,
        };
        connected.context("connecting to the cluster")
    }
}

impl Access {
    /// The context and the address of its cluster, for a message before the first write.
    ///
    /// # Errors
    /// If the kubeconfig is missing or unreadable.
    pub fn place(&self) -> anyhow::Result<String> {
        let kubeconfig =
            connect::read(self.kubeconfig.as_deref()).context("connecting to the cluster")?;
        let current = self
            .context
            .as_ref()
            .or(kubeconfig.current_context.as_ref());
        let context = current.cloned().unwrap_or_default();
        let named = kubeconfig.contexts.iter().find(|one| one.name == context);
        let cluster = named.and_then(|named| Some(&named.context.as_ref()?.cluster));
        let clusters = kubeconfig.clusters.iter();
        let mut same = clusters.filter(|one| cluster.is_some_and(|name| one.name == *name));
        let server = same.find_map(|one| one.cluster.as_ref()?.server.clone());
        Ok(format!("context {context}, {}", server.unwrap_or_default()))
    }
}

/// A runtime on this thread.
///
/// # Errors
/// If the system refuses what it needs.
pub fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// The facts of a cluster, read at once.
///
/// # Errors
/// If the cluster is unreachable, or refuses a list.
pub async fn facts(client: &Client, engine: &Engine) -> anyhow::Result<Facts> {
    let gathered = gather(client, engine)
        .await
        .context("reading the cluster")?;
    read(&gathered)
}

/// The facts of a snapshot.
///
/// # Errors
/// If an object of the snapshot is unreadable.
pub fn read(gathered: &Gathered) -> anyhow::Result<Facts> {
    let objects = manifest::read(&gathered.list().to_string(), Reading::default());
    let objects = objects.map_err(|unread| anyhow!("reading what the cluster said: {unread}"))?;
    Ok(Facts::of(objects))
}

/// The engine in these namespaces.
#[must_use]
pub fn engine(namespaces: &[String]) -> Engine {
    Engine {
        namespaces: namespaces.to_vec(),
        ..Engine::default()
    }
}
