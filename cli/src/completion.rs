//! `fluxkeep completion`: scripts that complete the command's words in a shell.

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::{Cli, Found, Output};

/// The arguments of `fluxkeep completion`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Shell. For bash: source <(fluxkeep completion bash)
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// If stdout cannot be written.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "fluxkeep", &mut script);
    let script = String::from_utf8(script).context("writing the script")?;
    output.data(&script).context("writing to stdout")?;
    Ok(Found::Nothing)
}
