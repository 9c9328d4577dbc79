//! `fluxkeep check`: judges a Git repository before the merge.
//!
//! Everything here is gathering and printing: the core reads the bytes and judges them.

mod base;
pub(crate) mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::builder::FalseyValueParser;
use fluxkeep::case::finding::Finding;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::verdict::{Decision, Verdict};
use fluxkeep::render::{Format, Shown, check};
use fluxkeep::repository::fix::{judged, repair};
use fluxkeep::repository::settings::Settings;
use fluxkeep::repository::{File, Repository, read_with};
use fluxkeep_cluster::policy;
use jiff::Timestamp;

use crate::edits::{self, diff, told};
use crate::output::formats;
use crate::{Found, Output};
use walk::Tree;

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
    /// Repairs what is certain: pins move to the newest release that their cluster's pins name, and
    /// single values that a finding names are set. Then judges the result.
    #[arg(long, conflicts_with = "output")]
    fix: bool,
    /// With --fix: shows the changed lines and writes nothing.
    #[arg(long, requires = "fix")]
    dry_run: bool,
    /// Plants another release at each pin in memory, and tells which would not be found.
    #[arg(long, conflicts_with_all = ["fix", "base"])]
    self_test: bool,
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
    let mut policy = policy::load(args.policy.as_deref(), args.catalogue.as_deref(), now)
        .map_err(anyhow::Error::msg)?;
    let mut tree =
        walk::walk(&args.path).with_context(|| format!("reading {}", args.path.display()))?;
    let settings = tree.settings(&mut policy)?;
    let catalogue = &policy.engine.catalogue;
    let base = match &args.base {
        Some(revision) => {
            let files = base::files(&tree, revision)?;
            Some(Arc::new(read_with(files, catalogue, &settings)))
        }
        None => None,
    };
    let is_left = args.fix && fix(args, &mut tree, base.as_ref(), &policy, &settings, output)?;
    let mut repository = read_with(tree.files, catalogue, &settings);
    let skipped = tree.skipped.into_iter();
    repository
        .skipped
        .extend(skipped.filter(|one| !settings.ignore.hold(&one.path)));
    repository.skipped.sort();
    repository.base = base;
    if args.self_test {
        return self_test(&repository, &policy, output);
    }
    let repository = Arc::new(repository);
    let mut verdict = judged(repository.clone(), &policy, now);
    verdict
        .findings
        .retain(|finding| is_shown(finding, &tree.shown));
    let shown = Shown {
        list: args.list,
        all: args.all,
        details: args.verbose,
    };
    write(args, output, &verdict, &repository, shown)?;
    if is_left {
        return Ok(Found::Refusal);
    }
    Ok(found(&verdict, &repository, args.strict))
}

/// Repairs the files of a tree, and writes those that change. True if steps are left to a person.
fn fix(
    args: &Args,
    tree: &mut Tree,
    base: Option<&Arc<Repository>>,
    policy: &Policy,
    settings: &Settings,
    output: &mut Output,
) -> anyhow::Result<bool> {
    let repair = repair(tree.files.clone(), base, policy, settings, Timestamp::now());
    let is_changed = |file: &&File| repair.changed.contains(&file.path);
    let mut changed: Vec<File> = repair.files.iter().filter(is_changed).cloned().collect();
    changed.sort_by(|left, right| left.path.cmp(&right.path));
    let mut text = told(&repair.edited, &repair.left);
    if args.dry_run {
        text += &diff(tree, &changed);
    }
    output.text(&text).context("writing to stdout")?;
    if !args.dry_run {
        edits::write(tree, &changed)?;
    }
    tree.files = repair.files;
    Ok(!repair.left.is_empty())
}

/// Plants another release at each pin, and writes which were found.
fn self_test(
    repository: &Repository,
    policy: &Policy,
    output: &mut Output,
) -> anyhow::Result<Found> {
    let result = repository.self_test(policy, Timestamp::now());
    let planted = result.seen + result.missed.len();
    let mut lines = vec![format!(
        "{} of {planted} planted releases were found",
        result.seen
    )];
    let missed = result.missed.iter();
    lines.extend(missed.map(|pin| format!("missed     {pin}")));
    let unguarded = result.unguarded.iter();
    lines
        .extend(unguarded.map(|pin| format!("unguarded  {pin}: no other pin is compared with it")));
    output
        .text(&(lines.join("\n") + "\n"))
        .context("writing to stdout")?;
    Ok(if result.missed.is_empty() {
        Found::Nothing
    } else {
        Found::Refusal
    })
}

/// Judges a repository after its pins moved, and writes the findings as text.
pub(crate) fn after(
    repository: Repository,
    policy: &Policy,
    now: Timestamp,
    output: &mut Output,
) -> anyhow::Result<Found> {
    let repository = Arc::new(repository);
    let verdict = judged(repository.clone(), policy, now);
    let text = check(
        &verdict,
        &repository,
        Format::Text,
        Shown::default(),
        output.colour(),
    );
    output.text(&text).context("writing to stdout")?;
    Ok(found(&verdict, &repository, false))
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
