//! `fluxkeep version`: the version for people and for programs.

use anyhow::Context;
use clap::ValueEnum;
use fluxkeep::flux::catalogue::Catalogue;
use fluxkeep_webhook::version::{COMMIT, VERSION, line};
use serde_json::json;

use crate::{Found, Output};

/// The flags of `fluxkeep version`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Output format.
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Written,
}

/// The format of the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Written {
    /// The line of `--version`.
    Text,
    /// A JSON object with `version`, `commit` and `newestFlux`.
    Json,
}

/// Prints the version.
///
/// # Errors
/// If stdout cannot be written.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    let text = match args.output {
        Written::Text => format!("fluxkeep {}\n", line()),
        Written::Json => {
            let newest = Catalogue::built_in().newest();
            let flux = newest.map(|release| release.version.to_string());
            let version = json!({"version": VERSION, "commit": COMMIT, "newestFlux": flux});
            serde_json::to_string_pretty(&version)? + "\n"
        }
    };
    output.data(&text).context("writing to stdout")?;
    Ok(Found::Nothing)
}
