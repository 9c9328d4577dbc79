//! `fluxkeep snapshot`: from a cluster to a file.

use std::path::PathBuf;

use anyhow::Context;
use fluxkeep_cluster::gather::gather;

use crate::access::Access;
use crate::{Found, Output};

/// The flags of `fluxkeep snapshot`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    access: Access,
    /// Where to write; without it, stdout.
    #[arg(long, short, env = "FLUXKEEP_OUTPUT", value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Takes the whole snapshot, then writes it.
///
/// # Errors
/// When the cluster cannot be reached or refuses a list, or the file cannot be written.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let snapshot = runtime.block_on(async {
        let client = args.access.client().await?;
        anyhow::Ok(gather(&client, &args.access.engine()).await?)
    });
    let text = serde_json::to_string_pretty(&snapshot.context("taking the snapshot")?)? + "\n";
    match &args.output {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        None => output.data(&text).context("writing to stdout")?,
    }
    Ok(Found::Nothing)
}
