//! The post-renderer as a program: for Helm 3 an executable, for Helm 4 a plugin.

use std::io::{Write, stderr};
use std::process::ExitCode;

use clap::Parser;
use fluxkeep_postrenderer::Cli;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => cli.run(),
        Err(asked) if !asked.use_stderr() => asked.print().map_or(ExitCode::from(2), |()| ExitCode::SUCCESS),
        Err(error) => {
            let text = error.to_string();
            let lines: Vec<_> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
            // Nowhere to complain when even that cannot be written.
            let _ = writeln!(stderr(), "fluxkeep-postrenderer: {}", lines.join(" "));
            ExitCode::from(2)
        }
    }
}
