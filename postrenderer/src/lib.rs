//! The post-renderer: manifest in, manifest out. The engine survives an uninstall of the release.
//!
//! The text is edited in place: every byte without a reason to change comes out as it came in.
//! Nothing is written before the whole manifest is judged: Helm would apply a part. Exit codes:
//! 0 rendered, 1 refused, 2 the work could not be done. Only exit code 0 comes with text on stdout;
//! with `--refusal document`, a refusal is such a text.

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
use fluxkeep::catalogue::Catalogue;

/// Keeps a Kubernetes cluster's Flux alive through Helm: writes what Helm must know into the rendered
/// manifest, and refuses what would break. Reads the manifest on stdin, writes it to stdout.
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
    /// Prints what does the same for helm-controller: `spec.postRenderers` of a HelmRelease.
    Hook(hook::Args),
    /// Writes the folder of the Helm 4 plugin, for `helm plugin install DIR`.
    Plugin(plugin::Args),
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// What was asked for.
    Well,
    /// A refusal.
    Refused,
}

impl Cli {
    /// Does what was asked.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let done = match self.command {
            None => render::run(&self.render),
            Some(Command::Hook(args)) => hook::run(&args),
            Some(Command::Plugin(args)) => plugin::run(&args),
        };
        match done {
            Ok(Done::Well) => ExitCode::SUCCESS,
            Ok(Done::Refused) => ExitCode::from(1),
            Err(error) => {
                note(&format!("{error:#}"));
                ExitCode::from(2)
            }
        }
    }
}

/// One line: the program's name, its version and commit, the newest Flux release in the catalogue.
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

/// Writes to stdout. A reader that went away is no error.
fn print(text: &str) -> io::Result<()> {
    let mut out = stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes to stderr, a prefix before each line. There is nowhere to complain when that fails.
fn note(text: &str) {
    let lines: Vec<_> = text
        .lines()
        .map(|line| format!("fluxkeep: {line}\n"))
        .collect();
    let _ = stderr().write_all(lines.concat().as_bytes());
}
