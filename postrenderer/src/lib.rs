//! The post-renderer: manifest in, manifest out, and the engine stays whatever becomes of the release.
//!
//! It edits the text in place and writes nothing anew: what it has no reason to touch comes out byte
//! for byte. Exit codes: 0 rendered, 1 refused, 2 the work could not be done; only with 0 is there
//! anything on stdout, but for `--refusal document`.

pub mod facts;
pub mod hook;
pub mod input;
pub mod plugin;
pub mod refusal;
pub mod render;
pub mod report;
pub mod rewrite;

use std::fs::File;
use std::io::{ErrorKind, IoSlice, Write, stderr, stdout};
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fluxkeep::catalogue::Catalogue;

/// Keeps a Kubernetes cluster's Flux alive through Helm: writes what Helm must know into the rendered
/// manifest, and refuses what would break. Reads the manifest on stdin, writes it to stdout.
#[derive(Debug, Parser)]
#[command(name = "fluxkeep-postrenderer", version, args_conflicts_with_subcommands = true)]
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
    let newest = Catalogue::built_in().newest().map(|release| release.version.to_string());
    let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("FLUXKEEP_COMMIT"));
    format!("fluxkeep-postrenderer {version} (commit {commit}, knows Flux up to {})", newest.unwrap_or_default())
}

/// Writes to stderr, a prefix before each line. There is nowhere to complain when that fails.
fn note(text: &str) {
    let lines: Vec<_> = text.lines().map(|line| format!("fluxkeep: {line}\n")).collect();
    let _ = stderr().write_all(lines.concat().as_bytes());
}

/// What Linux lets anybody have.
const PIPE: usize = 1 << 20;

/// Writes pieces of text to stdout, one after another and as many at once as the system takes. A reader
/// that went away is no error.
fn write<'a>(pieces: impl Iterator<Item = &'a str>) -> std::io::Result<()> {
    // The less fits into the pipe, the more often whoever reads has to be waited for.
    let _ = rustix::pipe::fcntl_setpipe_size(stdout(), PIPE);
    // Stdout itself would look for the last line end in each piece, and write up to there.
    let written = stdout().as_fd().try_clone_to_owned().map(File::from).and_then(|out| write_to(out, pieces));
    written.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

fn write_to<'a>(mut out: impl Write, pieces: impl Iterator<Item = &'a str>) -> std::io::Result<()> {
    let pieces = pieces.filter(|piece| !piece.is_empty());
    let mut pieces: Vec<_> = pieces.map(|piece| IoSlice::new(piece.as_bytes())).collect();
    let mut left = pieces.as_mut_slice();
    while !left.is_empty() {
        match out.write_vectored(left) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut left, count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes three bytes at a time, and is interrupted each second time.
    #[derive(Default)]
    struct Slow {
        text: Vec<u8>,
        calls: usize,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.calls += 1;
            if self.calls.is_multiple_of(2) {
                return Err(ErrorKind::Interrupted.into());
            }
            let taken = bytes.get(..3).unwrap_or(bytes);
            self.text.extend(taken);
            Ok(taken.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_written_bit_by_bit_is_whole() {
        let mut slow = Slow::default();
        assert!(write_to(&mut slow, ["one", "", "two and ", "three"].into_iter()).is_ok());
        assert_eq!(slow.text, b"onetwo and three");
        assert!(write_to([0; 3].as_mut_slice(), ["long"].into_iter()).is_err());
    }
}
