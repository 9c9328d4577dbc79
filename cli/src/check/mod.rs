//! `fluxkeep check`: judges a Git repository before the merge.
//!
//! Everything here is gathering and printing: the core reads the bytes and judges them.

mod base;
pub(crate) mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::builder::FalseyValueParser;
use fluxkeep::case::facts::Facts;
use fluxkeep::case::finding::Finding;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::request::{Door, Operation, Request, Subject, Writer};
use fluxkeep::case::verdict::{Decision, Verdict};
use fluxkeep::judge::judge;
use fluxkeep::render::{Format, Shown, check};
use fluxkeep::repository::{Repository, read};
use fluxkeep_cluster::policy;
use jiff::Timestamp;

use crate::output::formats;
use crate::{Found, Output};

/// The flags of `fluxkeep check`.
#[derive(Debug, clap::Args)]
// Each is a flag of the command line.
#[allow(clippy::struct_excessive_bools)]
pub struct Args {
    /// A folder of the repository. The whole repository is read; findings outside the folder are
    /// not shown.
    #[arg(default_value = ".", value_name = "PATH")]
    path: PathBuf,
    /// The format of the findings.
    #[arg(long, short, visible_alias = "format", value_name = "FORMAT", default_value = "text", value_parser = formats())]
    output: Format,
    /// The file to write; without it, stdout.
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// The policy file: levels and overrides.
    #[arg(long, env = "FLUXKEEP_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A catalogue of Flux releases that replaces the built-in one.
    #[arg(long, env = "FLUXKEEP_CATALOGUE", value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// A revision of Git, for example origin/main. Findings that stood there are shown as known and
    /// do not fail; moves of Flux since then are judged.
    #[arg(long, value_name = "REVISION")]
    base: Option<String>,
    /// Also fails on warnings, on rules that lack a fact, and on files that could not be read.
    #[arg(long, env = "FLUXKEEP_STRICT", value_parser = FalseyValueParser::new())]
    strict: bool,
    /// Lists every pin with its place and the Flux that it comes to, a table per group.
    #[arg(long)]
    list: bool,
    /// With --list: also the pins in examples, which are not judged.
    #[arg(long, requires = "list")]
    all: bool,
    /// Shows findings at level audit, and the files that could not be read.
    #[arg(long, short)]
    verbose: bool,
}

/// Reads the repository, judges it, and writes the findings.
///
/// # Errors
/// If the path is not there or holds no work tree, or if a file cannot be written.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    let now = Timestamp::now();
    let policy = policy::load(args.policy.as_deref(), args.catalogue.as_deref(), now)
        .map_err(anyhow::Error::msg)?;
    let tree =
        walk::walk(&args.path).with_context(|| format!("reading {}", args.path.display()))?;
    let catalogue = &policy.engine.catalogue;
    let base = args
        .base
        .as_ref()
        .map(|revision| base::files(&tree, revision));
    let mut repository = read(tree.files, catalogue);
    repository.skipped.extend(tree.skipped);
    repository.skipped.sort();
    repository.base = base
        .transpose()?
        .map(|files| Arc::new(read(files, catalogue)));
    let request = request(repository);
    let mut verdict = judge(&request, &Facts::default(), &policy, now);
    verdict
        .findings
        .retain(|finding| is_shown(finding, &tree.shown));
    let Subject::Repository(repository) = &request.subject else {
        return Ok(Found::Nothing);
    };
    let shown = Shown {
        list: args.list,
        all: args.all,
        details: args.verbose,
    };
    write(args, output, &verdict, repository, shown)?;
    Ok(found(&verdict, repository, args.strict))
}

/// Judges a repository after its pins moved, and writes the findings as text.
pub(crate) fn after(
    repository: Repository,
    policy: &Policy,
    now: Timestamp,
    output: &mut Output,
) -> anyhow::Result<Found> {
    let request = request(repository);
    let verdict = judge(&request, &Facts::default(), policy, now);
    let Subject::Repository(repository) = &request.subject else {
        return Ok(Found::Nothing);
    };
    let text = check(
        &verdict,
        repository,
        Format::Text,
        Shown::default(),
        output.colour(),
    );
    output.text(&text).context("writing to stdout")?;
    Ok(found(&verdict, repository, false))
}

fn request(repository: Repository) -> Request {
    Request {
        door: Door::Check,
        operation: Operation::Update,
        writer: Writer::default(),
        dry_run: false,
        subject: Subject::Repository(Arc::new(repository)),
        gaps: Vec::new(),
    }
}

fn write(
    args: &Args,
    output: &mut Output,
    verdict: &Verdict,
    repository: &Repository,
    shown: Shown,
) -> anyhow::Result<()> {
    match &args.output_file {
        Some(path) => std::fs::write(path, check(verdict, repository, args.output, shown, false))
            .with_context(|| format!("writing {}", path.display())),
        None => output
            .text(&check(
                verdict,
                repository,
                args.output,
                shown,
                output.colour(),
            ))
            .context("writing to stdout"),
    }
}

/// True if a place of the finding lies in the folder that was asked about.
fn is_shown(finding: &Finding, folder: &str) -> bool {
    let related = finding.related.iter().map(|related| &related.source);
    let mut places = finding.source.iter().chain(related);
    folder.is_empty() || places.any(|place| Path::new(&place.file).starts_with(folder))
}

fn found(verdict: &Verdict, repository: &Repository, strict: bool) -> Found {
    let is_incomplete = !verdict.abstained.is_empty() || !repository.skipped.is_empty();
    match verdict.decision() {
        Decision::Refuse => Found::Refusal,
        Decision::Warn if strict => Found::Refusal,
        _ if strict && is_incomplete => Found::Refusal,
        _ => Found::Nothing,
    }
}
