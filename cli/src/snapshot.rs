//! `fluxkeep snapshot`: writes a cluster's snapshot to a file.

use std::path::PathBuf;

use anyhow::Context;
use clap::builder::FalseyValueParser;
use fluxkeep_cluster::gather::gather;

use crate::access::Access;
use crate::{Found, Output};

/// The flags of `fluxkeep snapshot`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    access: Access,
    /// The file to write; without it, stdout.
    #[arg(long, short, env = "FLUXKEEP_OUTPUT", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also fails if an object cannot be read.
    #[arg(long, env = "FLUXKEEP_STRICT", value_parser = FalseyValueParser::new())]
    strict: bool,
}

/// Takes the whole snapshot, then writes it. An unreadable object is reduced to its head and named
/// on stderr.
///
/// # Errors
/// If the cluster is unreachable or refuses a list, or the file cannot be written.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let snapshot = runtime.block_on(async {
        let client = args.access.client().await?;
        anyhow::Ok(gather(&client, &args.access.engine()).await?)
    });
    let gathered = snapshot.context("taking the snapshot")?;
    for unread in &gathered.unread {
        output.note(&format!("only the head of {unread}"));
    }
    let text = serde_json::to_string_pretty(&gathered.list())? + "\n";
    match &args.output {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        None => output.data(&text).context("writing to stdout")?,
    }
    Ok(if args.strict && !gathered.unread.is_empty() {
        Found::Refusal
    } else {
        Found::Nothing
    })
}
