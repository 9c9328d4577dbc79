//! The `fluxkeep` command as a program; also works as `kubectl fluxkeep`.

use std::process::ExitCode;

use clap::error::ErrorKind;
use fluxkeep_cli::{Cli, Output};
use fluxkeep_webhook::usage;

fn main() -> ExitCode {
    match Cli::read(std::env::args_os().collect()) {
        Ok(cli) => cli.run(),
        Err(asked) if !asked.use_stderr() => asked
            .print()
            .map_or(ExitCode::from(2), |()| ExitCode::SUCCESS),
        Err(asked) if asked.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Ignores a failed write, since the error could not be printed either.
            let _ = asked.print();
            ExitCode::from(2)
        }
        Err(error) => {
            Output::new(false).error(&usage::one_line(&error));
            ExitCode::from(2)
        }
    }
}
