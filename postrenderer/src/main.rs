//! The post-renderer as a program: for Helm 3 an executable, for Helm 4 a plugin.
//!
//! The program uses the system's allocator: mimalloc takes 0.2 of 1.4 ms to start, and a megabyte.

use std::ffi::OsString;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use fluxkeep_cluster::usage;
use fluxkeep_postrenderer::{Cli, refusal, version};

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => cli.run(),
        // The version line is built only on request, because it loads the catalogue.
        Err(asked) if asked.kind() == ErrorKind::DisplayVersion => {
            told(writeln!(stdout(), "{}", version()))
        }
        Err(asked) if !asked.use_stderr() => told(asked.print()),
        Err(error) => wrong(&error),
    }
}

fn told(written: std::io::Result<()>) -> ExitCode {
    written.map_or(ExitCode::from(2), |()| ExitCode::SUCCESS)
}

/// Reports a wrong call in one line. Ignores errors of writing: no other channel is left.
fn wrong(error: &clap::Error) -> ExitCode {
    let line = usage::one_line(&error.to_string());
    let _ = writeln!(stderr(), "fluxkeep-postrenderer: {line}");
    if !wants_document(&std::env::args_os().collect::<Vec<_>>()) {
        return ExitCode::from(2);
    }
    told(stdout().write_all(refusal::document(&line).as_bytes()))
}

/// True if the arguments contain `--refusal document`, as in the Helm 4 plugin. They are read here
/// because clap rejected the call, and Helm 4 would hide the reason on stderr.
fn wants_document(arguments: &[OsString]) -> bool {
    arguments
        .windows(2)
        .any(|pair| pair == ["--refusal", "document"])
}
