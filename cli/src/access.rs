//! The cluster that a command reads, and where its engine stands.

use std::path::PathBuf;

use anyhow::Context;
use fluxkeep::engine::Engine;
use fluxkeep_cluster::connect;
use kube::Client;

/// How a person's cluster is reached, and the namespaces of its engine.
#[derive(Debug, clap::Args)]
pub struct Access {
    /// The kubeconfig; without it, KUBECONFIG or ~/.kube/config.
    #[arg(long, env = "FLUXKEEP_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context in it; without it, the current one.
    #[arg(long, env = "FLUXKEEP_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// A namespace of the engine; may be given more than once.
    #[arg(
        long,
        env = "FLUXKEEP_ENGINE_NAMESPACE",
        value_name = "NAME",
        default_value = "flux-system"
    )]
    engine_namespace: Vec<String>,
}

impl Access {
    /// A client, which has asked for nothing yet.
    ///
    /// # Errors
    /// When there is no kubeconfig, or it is not usable.
    pub async fn client(&self) -> anyhow::Result<Client> {
        let client =
            connect::by_kubeconfig(self.kubeconfig.as_deref(), self.context.as_deref()).await;
        client.context("connecting to the cluster")
    }

    /// The engine, in the namespaces that were told.
    #[must_use]
    pub fn engine(&self) -> Engine {
        Engine {
            namespaces: self.engine_namespace.clone(),
            ..Engine::default()
        }
    }
}
