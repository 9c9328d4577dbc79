//! `fluxkeep preflight`: judges rendered manifests against a snapshot.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::builder::FalseyValueParser;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::request::{Door, Operation, Release, Request, Subject, Writer};
use fluxkeep::case::verdict::{Decision, Verdict};
use fluxkeep::helm::{Owner, name};
use fluxkeep::judge::judge;
use fluxkeep::render::{Format, render};
use fluxkeep_cluster::{FactSource, Snapshot, documents, policy};
use jiff::Timestamp;

use crate::output::formats;
use crate::{Found, Output};

/// The flags of `fluxkeep preflight`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cluster's snapshot: a file, a folder, or - for stdin; without it, the built-in one.
    #[arg(long, env = "FLUXKEEP_SNAPSHOT", value_name = "PATH")]
    snapshot: Option<PathBuf>,
    /// The name of the release that the manifests belong to.
    #[arg(long, env = "FLUXKEEP_RELEASE_NAME", value_name = "NAME", requires = "namespace", value_parser = name)]
    release_name: Option<String>,
    /// The release's namespace: for objects without one, and also searched for the engine.
    #[arg(long, short, env = "FLUXKEEP_NAMESPACE", value_name = "NAME", value_parser = name)]
    namespace: Option<String>,
    /// The policy file: levels, overrides, the engine's namespaces.
    #[arg(long, env = "FLUXKEEP_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A catalogue of Flux releases that replaces the built-in one.
    #[arg(long, env = "FLUXKEEP_CATALOGUE", value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// The format of the findings.
    #[arg(long, short, value_name = "FORMAT", default_value = "text", value_parser = formats())]
    output: Format,
    /// The file to write; without it, stdout.
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Also fails if a rule lacks a fact.
    #[arg(long, env = "FLUXKEEP_STRICT", value_parser = FalseyValueParser::new())]
    strict: bool,
    /// Rendered manifests: files, folders, or - for stdin.
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,
}

/// Judges the manifests and writes the findings.
///
/// # Errors
/// If a file cannot be read or written.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    ensure!(
        stdins(args) <= 1,
        "reading -: stdin can be read only once; give the other one as a file"
    );
    let now = Timestamp::now();
    let mut policy = policy::load(args.policy.as_deref(), args.catalogue.as_deref(), now)
        .map_err(anyhow::Error::msg)?;
    policy.engine = policy.engine.also_in(args.namespace.as_deref());
    let snapshot = snapshot(args, output)?;
    let request = request(args, &policy)?;
    let verdict = judge(&request, &snapshot.facts(), &policy, now);
    match &args.output_file {
        Some(path) => std::fs::write(path, render(&verdict, args.output, false))
            .with_context(|| format!("writing {}", path.display()))?,
        None => output
            .text(&render(&verdict, args.output, output.colour()))
            .context("writing to stdout")?,
    }
    Ok(found(&verdict, args.strict))
}

fn stdins(args: &Args) -> usize {
    args.snapshot
        .iter()
        .chain(&args.manifests)
        .filter(|path| path.as_os_str() == "-")
        .count()
}

fn found(verdict: &Verdict, strict: bool) -> Found {
    let blind = strict && !verdict.abstained.is_empty();
    if verdict.decision() == Decision::Refuse || blind {
        Found::Refusal
    } else {
        Found::Nothing
    }
}

fn snapshot(args: &Args, output: &mut Output) -> anyhow::Result<Snapshot> {
    if args.snapshot.is_none() {
        output.note(
            "no --snapshot given; judging against the built-in one, Flux 2.4.0 by install.yaml",
        );
    }
    let snapshot = args
        .snapshot
        .as_deref()
        .map_or_else(Snapshot::built_in, Snapshot::load);
    snapshot.context("loading the snapshot")
}

fn request(args: &Args, policy: &Policy) -> anyhow::Result<Request> {
    let home = policy.engine.namespaces.first();
    let namespace = args.namespace.as_ref().or(home).map(String::as_str);
    let mut objects = Vec::new();
    for path in &args.manifests {
        objects.extend(documents(path, namespace).context("loading the manifests")?);
    }
    let owner = args.release_name.clone().zip(args.namespace.clone());
    let owner = owner.map(|(name, namespace)| Owner { name, namespace });
    let subject = Subject::Release(Release {
        owner,
        revision: None,
        stored_in: None,
        objects,
    });
    Ok(Request {
        door: Door::Preflight,
        operation: Operation::Create,
        writer: Writer::default(),
        dry_run: false,
        subject,
        gaps: Vec::new(),
    })
}
