//! The `fluxkeep` command.
//!
//! Each subcommand gathers the judge's input, asks the judge, and prints the result. Exit codes: 0
//! nothing to refuse, 1 refused, 2 the work could not be done.

pub mod access;
pub mod adopt;
pub mod audit;
pub mod bump;
pub mod check;
pub mod client;
pub mod clusters;
pub mod completion;
mod edits;
pub mod explain;
mod file;
pub mod migrate;
mod output;
pub mod plan;
pub mod preflight;
pub mod replay;
pub mod rescue;
pub mod snapshot;
pub mod version;

pub use output::Output;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// Keeps a Kubernetes cluster's Flux alive through its own installs, upgrades and removals.
#[derive(Debug, Parser)]
#[command(name = "fluxkeep", version = fluxkeep_webhook::version::line())]
pub struct Cli {
    /// Prints only errors. The exit code shows the result.
    #[arg(long, short, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replays an incident against the real admission server. Needs no cluster.
    Replay(replay::Args),
    /// Judges a Git repository before the merge: do its pins of Flux agree?
    Check(check::Args),
    /// Moves every pin of Flux in a Git repository to one release.
    Bump(bump::Args),
    /// Judges manifests against a cluster or a snapshot before anything is applied.
    Preflight(preflight::Args),
    /// Judges a cluster as it lives: what would break, and which upgrades are blocked.
    Audit(audit::Args),
    /// Plans an upgrade of Flux: the steps in order, each with its reason.
    Plan(plan::Args),
    /// Writes a snapshot of a cluster, without Secrets, schemas and values.
    Snapshot(snapshot::Args),
    /// Adds Helm's ownership metadata to a running Flux. Shows the plan; --yes performs it.
    Adopt(adopt::Args),
    /// Stores all objects of CRDs in their storage version, and prunes storedVersions.
    Migrate(migrate::Args),
    /// Brings a lost Flux back in place. Shows the plan; --yes performs it.
    Rescue(rescue::Args),
    /// Shows a rule: the pattern that it catches, the damage without it, and where it is asked.
    Explain(explain::Args),
    /// Lists the rules with their default levels.
    Rules,
    /// Prints the version, the commit and the newest known Flux.
    Version(version::Args),
    /// Prints a shell's completion script.
    Completion(completion::Args),
}

/// The result of a subcommand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing to refuse.
    Nothing,
    /// A refusal.
    Refusal,
}

impl Cli {
    /// Parses the command line, including the program's own name.
    ///
    /// # Errors
    /// If the command line is invalid. Requests for help or version also come as an error.
    pub fn read(arguments: Vec<OsString>) -> Result<Self, clap::Error> {
        let called = arguments.first().map_or(Path::new(""), Path::new);
        // kubectl finds its plugins by this name; people never type it.
        let plugin = called
            .file_stem()
            .is_some_and(|name| name == "kubectl-fluxkeep");
        let name = if plugin {
            "kubectl fluxkeep"
        } else {
            "fluxkeep"
        };
        let matches = Self::command()
            .bin_name(name)
            .try_get_matches_from(arguments)?;
        Self::from_arg_matches(&matches)
    }

    /// Runs the subcommand and returns its exit code.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let mut output = Output::new(self.quiet);
        let found = match self.command {
            Command::Replay(args) => replay::run(&args, &mut output),
            Command::Check(args) => check::run(&args, &mut output),
            Command::Bump(args) => bump::run(&args, &mut output),
            Command::Preflight(args) => preflight::run(&args, &mut output),
            Command::Audit(args) => audit::run(&args, &mut output),
            Command::Plan(args) => plan::run(&args, &mut output),
            Command::Snapshot(args) => snapshot::run(&args, &mut output),
            Command::Adopt(args) => adopt::run(&args, &mut output),
            Command::Migrate(args) => migrate::run(&args, &mut output),
            Command::Rescue(args) => rescue::run(&args, &mut output),
            Command::Explain(args) => explain::run(&args, &mut output),
            Command::Rules => explain::list(&mut output),
            Command::Version(args) => version::run(&args, &mut output),
            Command::Completion(args) => completion::run(&args, &mut output),
        };
        match found {
            Ok(Found::Nothing) => ExitCode::SUCCESS,
            Ok(Found::Refusal) => ExitCode::from(1),
            Err(error) => {
                output.error(&format!("{error:#}"));
                ExitCode::from(2)
            }
        }
    }
}
