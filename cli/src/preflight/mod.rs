//! `fluxkeep preflight`: judges manifests against a snapshot, a cluster, or several clusters.
//!
//! Rendered manifests are judged as a release. HelmReleases and FluxInstances among them are judged
//! as the server would judge them. With `--to`, the catalogue stands in for the manifests. Helm's
//! own refusals and kinds that are not judged are named on stderr.

mod fleet;
mod import;
mod input;
mod upgrade;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::builder::FalseyValueParser;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::verdict::{Decision, Verdict};
use fluxkeep::helm::{Owner, name};
use fluxkeep::manifest::place::place;
use fluxkeep::render::{Format, render};
use fluxkeep_cluster::policy;
use jiff::Timestamp;

use crate::clusters::{self, Clusters, Known, Place};
use crate::output::formats;
use crate::{Found, Output};
use input::Input;

/// The flags of `fluxkeep preflight`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    clusters: Clusters,
    /// Name of the manifests' Helm release.
    #[arg(long, env = "FLUXKEEP_RELEASE_NAME", value_name = "NAME", requires = "namespace", value_parser = name)]
    release_name: Option<String>,
    /// Release namespace: used for objects without one, and also searched for Flux.
    #[arg(long, short, env = "FLUXKEEP_NAMESPACE", value_name = "NAME", value_parser = name)]
    namespace: Option<String>,
    /// Policy file: levels, overrides, Flux's namespaces.
    #[arg(long, env = "FLUXKEEP_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Catalogue of Flux releases. Default: the built-in catalogue.
    #[arg(long, env = "FLUXKEEP_CATALOGUE", value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// Output format.
    #[arg(long, short, value_name = "FORMAT", default_value = "text", value_parser = formats())]
    output: Format,
    /// Output file. Default: stdout.
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// File name for stdin in findings.
    #[arg(long, value_name = "FILE")]
    stdin_name: Option<String>,
    /// Also exits with 1 if a rule abstains.
    #[arg(long, env = "FLUXKEEP_STRICT", value_parser = FalseyValueParser::new())]
    strict: bool,
    /// Judges an upgrade to this Flux version, for example 2.9, without manifests.
    #[arg(long, value_name = "VERSION", conflicts_with = "manifests")]
    to: Option<String>,
    /// Manifests: files, folders, or - for stdin.
    #[arg(required_unless_present = "to", value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,
}

/// Judges the manifests and writes the findings.
///
/// # Errors
/// If a file or the cluster cannot be read, or a file cannot be written.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    ensure!(
        stdins(args) <= 1,
        "reading -: stdin can be read only once; give the other one as a file"
    );
    let now = Timestamp::now();
    let mut policy = policy::load(args.policy.as_deref(), args.catalogue.as_deref(), now)
        .map_err(anyhow::Error::msg)?;
    policy.engine = policy.engine.also_in(args.namespace.as_deref());
    let place = Place::of(&args.clusters)?;
    // Stdin may hold the snapshot, so the manifests come second.
    let known = match &place {
        Place::Contexts(contexts) if contexts.len() > 1 => None,
        place => Some(clusters::load(&args.clusters, place, &policy)?),
    };
    let input = match &args.to {
        Some(version) => upgrade::input(version, owner(args), &policy, output)?,
        None => Input::read(args, &policy)?,
    };
    for ended in policy.overrides.iter().filter(|one| one.until < now) {
        output.note(&format!(
            "the policy's override of {} for {} ended at {} and excuses nothing",
            ended.rule, ended.object, ended.until
        ));
    }
    for note in input.notes() {
        output.note(&note);
    }
    match (known, &place) {
        (None, Place::Contexts(contexts)) => fleet::run(args, contexts, &input, &policy, output),
        (Some(known), place) => one(args, place, &known, &input, &policy, output),
        (None, _) => Ok(Found::Nothing),
    }
}

/// Judges against one cluster or snapshot.
fn one(
    args: &Args,
    place: &Place,
    known: &Known,
    input: &Input,
    policy: &Policy,
    output: &mut Output,
) -> anyhow::Result<Found> {
    if matches!(place, Place::BuiltIn { is_asked: false }) {
        output.note("no kubeconfig and no --snapshot; judging against the built-in snapshot");
    }
    let mut verdict = input.judge(&known.facts, policy, Timestamp::now());
    if args.output != Format::Text {
        locate(&mut verdict, args.stdin_name.as_deref());
    }
    for note in import::notes(args, &known.facts, input, &verdict) {
        output.note(&note);
    }
    let last = format!("judged against {}\n", known.told(policy));
    let is_text = args.output == Format::Text;
    let colour = args.output_file.is_none() && output.colour();
    let mut text = render(&verdict, args.output, colour);
    if is_text {
        text += &last;
    } else {
        output.note(last.trim_end());
    }
    match &args.output_file {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        None => output.text(&text).context("writing to stdout")?,
    }
    Ok(found(&verdict, args.strict))
}

/// Gives findings in files the places of their values. A file that cannot be read again keeps the
/// place of the object.
fn locate(verdict: &mut Verdict, stdin: Option<&str>) {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for finding in &mut verdict.findings {
        let Some(source) = &mut finding.source else {
            continue;
        };
        if stdin == Some(source.file.as_str()) {
            continue;
        }
        let text = texts
            .entry(source.file.clone())
            .or_insert_with(|| std::fs::read_to_string(&source.file).unwrap_or_default());
        if let Some(found) = place(text, source, &finding.path) {
            *source = found;
        }
    }
}

fn stdins(args: &Args) -> usize {
    args.clusters
        .snapshot
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

/// The release that the flags name.
fn owner(args: &Args) -> Option<Owner> {
    let owner = args.release_name.clone().zip(args.namespace.clone());
    owner.map(|(name, namespace)| Owner { name, namespace })
}
