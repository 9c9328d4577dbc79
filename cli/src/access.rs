//! The flags that select the cluster and the engine's namespaces.

use std::path::PathBuf;

use anyhow::Context;
use fluxkeep::flux::engine::Engine;
use fluxkeep_cluster::connect;
use kube::Client;

/// A person's kubeconfig, and the namespaces of the engine.
#[derive(Debug, clap::Args)]
pub struct Access {
    /// The kubeconfig; without it, KUBECONFIG or ~/.kube/config.
    #[arg(long, env = "FLUXKEEP_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context; without it, the current one.
    #[arg(long, env = "FLUXKEEP_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// A namespace of the engine; repeatable.
    #[arg(
        long,
        env = "FLUXKEEP_ENGINE_NAMESPACE",
        value_name = "NAME",
        default_value = "flux-system"
    )]
    engine_namespace: Vec<String>,
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

    /// The engine in the given namespaces.
    #[must_use]
    pub fn engine(&self) -> Engine {
        Engine {
            namespaces: self.engine_namespace.clone(),
            ..Engine::default()
        }
    }
}
