//! The Helm post-renderer. Its edits let the engine survive an uninstall of the release.
//!
//! Edits are made in place: every byte outside an edit stays as it was rendered. The whole manifest
//! is judged before output begins, because Helm would apply a part of it. Exit codes: 0 rendered,
//! 1 refused, 2 failed. Output on stdout comes only with exit code 0. With `--refusal document`, a
//! refusal or a failure is also a document on stdout, with exit code 0.

pub mod facts;
pub mod hook;
pub mod input;
pub mod plugin;
pub mod refusal;
pub mod render;
pub mod report;
pub mod rewrite;

use std::io::{self, ErrorKind, Write, stderr, stdout};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fluxkeep::flux::catalogue::Catalogue;

/// Helm post-renderer that protects a cluster's Flux: edits labels and annotations of the rendered
/// manifest, and refuses changes that would break Flux. Reads the manifest on stdin, and writes the
/// manifest to stdout.
#[derive(Debug, Parser)]
#[command(
    name = "fluxkeep-postrenderer",
    version,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    render: render::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints the equivalent for helm-controller: `spec.postRenderers` of a HelmRelease.
    Hook(hook::Args),
    /// Writes the Helm 4 plugin into a folder, for `helm plugin install DIR`.
    Plugin(plugin::Args),
}

/// The result of a run without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// The run succeeded: exit code 0.
    Well,
    /// The judge refused the manifest: exit code 1.
    Refused,
}

impl Cli {
    /// Runs the subcommand, or the post-renderer without one, and reports an error on stderr.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let done = match self.command {
            None => render::run(&self.render),
            Some(Command::Hook(args)) => hook::run(&args),
            Some(Command::Plugin(args)) => plugin::run(&args),
        };
        match done {
            Ok(RunOutcome::Well) => ExitCode::SUCCESS,
            Ok(RunOutcome::Refused) => ExitCode::from(1),
            Err(error) => {
                note(&format!("{error:#}"));
                ExitCode::from(2)
            }
        }
    }
}

/// Returns one line: the program's name, version and commit, and the newest Flux in the catalogue.
#[must_use]
pub fn version() -> String {
    let newest = Catalogue::built_in()
        .newest()
        .map(|release| release.version.to_string());
    let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("FLUXKEEP_COMMIT"));
    format!(
        "fluxkeep-postrenderer {version} (commit {commit}, knows Flux up to {})",
        newest.unwrap_or_default()
    )
}

/// Writes to stdout. A broken pipe is not an error.
fn print(text: &str) -> io::Result<()> {
    let mut out = stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes to stderr, with a prefix before each line. Ignores errors: no other channel is left.
fn note(text: &str) {
    let lines: Vec<_> = text
        .lines()
        .map(|line| format!("fluxkeep: {line}\n"))
        .collect();
    let _ = stderr().write_all(lines.concat().as_bytes());
}
