//! The flags that select the cluster.

use std::path::PathBuf;

use anyhow::Context;
use fluxkeep::flux::engine::Engine;
use fluxkeep_cluster::connect;
use kube::Client;

/// A person's kubeconfig and its context, as kubectl's flags.
#[derive(Debug, Clone, clap::Args)]
pub struct Access {
    /// The kubeconfig; without it, KUBECONFIG or ~/.kube/config.
    #[arg(long, env = "FLUXKEEP_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context; without it, the current one.
    #[arg(long, env = "FLUXKEEP_CONTEXT", value_name = "NAME")]
    context: Option<String>,
}

impl Access {
    /// A client, before its first request.
    ///
    /// # Errors
    /// If there is no kubeconfig, or it is unusable.
    pub async fn client(&self) -> anyhow::Result<Client> {
        let client =
            connect::by_kubeconfig(self.kubeconfig.as_deref(), self.context.as_deref()).await;
        client.context("connecting to the cluster")
    }
}

/// The engine in these namespaces.
#[must_use]
pub fn engine(namespaces: &[String]) -> Engine {
    Engine {
        namespaces: namespaces.to_vec(),
        ..Engine::default()
    }
}
