//! The `fluxkeep` command as a program; also works as `kubectl fluxkeep`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    fluxkeep_cli::Cli::parse().run()
}
