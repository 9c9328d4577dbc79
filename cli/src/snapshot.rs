//! `fluxkeep snapshot`: writes a cluster's snapshot to a file.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use clap::builder::FalseyValueParser;
use fluxkeep_cluster::gather::gather;

use crate::access::{Access, engine};
use crate::{Found, Output};

/// The flags of `fluxkeep snapshot`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    access: Access,
    /// A namespace of Flux; repeat the flag, or use commas.
    #[arg(
        long,
        short,
        env = "FLUXKEEP_NAMESPACE",
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "flux-system"
    )]
    namespace: Vec<String>,
    /// The format of the snapshot.
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value = "json")]
    output: Written,
    /// The file to write; without it, stdout.
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Also fails if an object cannot be read.
    #[arg(long, env = "FLUXKEEP_STRICT", value_parser = FalseyValueParser::new())]
    strict: bool,
}

/// The format of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Written {
    /// As `kubectl get --output json` prints it.
    Json,
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
        anyhow::Ok(gather(&client, &engine(&args.namespace)).await?)
    });
    let gathered = snapshot.context("taking the snapshot")?;
    for unread in &gathered.unread {
        output.note(&format!("only the head of {unread}"));
    }
    let text = serde_json::to_string_pretty(&gathered.list())? + "\n";
    let Written::Json = args.output;
    match &args.output_file {
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
