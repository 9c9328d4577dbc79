//! The `fluxkeep` command as a program; also works as `kubectl fluxkeep`.

use std::process::ExitCode;

use clap::error::ErrorKind;
use fluxkeep_cli::{Cli, Output};
use fluxkeep_cluster::usage;

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
            let mut line = usage::one_line(&error.to_string());
            if is_for_the_post_renderer() {
                line += "; the Helm post-renderer is another program: fluxkeep-postrenderer";
            }
            Output::new(false).error(&line);
            ExitCode::from(2)
        }
    }
}

/// True if the program is called with the post-renderer's first flag.
fn is_for_the_post_renderer() -> bool {
    let first = std::env::args().nth(1).unwrap_or_default();
    first.starts_with("--release-name")
}
