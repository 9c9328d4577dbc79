//! `fluxkeep snapshot`: from a cluster to a file.

use std::path::PathBuf;

use anyhow::Context;
use fluxkeep::engine::Engine;
use fluxkeep_cluster::connect;
use fluxkeep_cluster::gather::gather;

use crate::{Found, Output};

/// The flags of `fluxkeep snapshot`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kubeconfig; without it, KUBECONFIG or ~/.kube/config.
    #[arg(long, env = "FLUXKEEP_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context in it; without it, the current one.
    #[arg(long, env = "FLUXKEEP_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// A namespace of the engine; may be given more than once.
    #[arg(long, env = "FLUXKEEP_ENGINE_NAMESPACE", value_name = "NAME", default_value = "flux-system")]
    engine_namespace: Vec<String>,
    /// Where to write; without it, stdout.
    #[arg(long, short, env = "FLUXKEEP_OUTPUT", value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Takes the whole snapshot, then writes it.
///
/// # Errors
/// When the cluster cannot be reached or refuses a list, or the file cannot be written.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    let engine = Engine { namespaces: args.engine_namespace.clone(), ..Engine::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let snapshot = runtime.block_on(async {
        let client = connect::by_kubeconfig(args.kubeconfig.as_deref(), args.context.as_deref()).await?;
        anyhow::Ok(gather(&client, &engine).await?)
    });
    let text = serde_json::to_string_pretty(&snapshot.context("taking the snapshot")?)? + "\n";
    match &args.output {
        Some(path) => std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?,
        None => output.data(&text).context("writing to stdout")?,
    }
    Ok(Found::Nothing)
}
