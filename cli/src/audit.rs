//! `fluxkeep audit`: judges a cluster as it lives, without a request.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use fluxkeep::audit::{Audit, audit};
use fluxkeep::case::policy::Policy;
use fluxkeep::case::verdict::Decision;
use fluxkeep::helm::name;
use fluxkeep::render::{Format, render};
use fluxkeep_cluster::policy;
use futures_util::future::join_all;
use jiff::Timestamp;

use crate::clusters::{self, Clusters, Known, Place};
use crate::output::formats;
use crate::{Found, Output, access};

/// The flags of `fluxkeep audit`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    clusters: Clusters,
    /// Namespace that is also searched for Flux.
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
}

/// Judges what lives in each cluster. The result is a refusal if the judge would refuse it today.
///
/// # Errors
/// If a file or a cluster cannot be read, or a file cannot be written.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    let now = Timestamp::now();
    let mut policy = policy::load(args.policy.as_deref(), args.catalogue.as_deref(), now)
        .map_err(anyhow::Error::msg)?;
    policy.engine = policy.engine.also_in(args.namespace.as_deref());
    let place = Place::of(&args.clusters)?;
    if let Place::Contexts(contexts) = &place
        && contexts.len() > 1
    {
        return many(args, contexts, &policy, output);
    }
    ensure!(
        !matches!(place, Place::BuiltIn { is_asked: false }),
        "reading the command line: no kubeconfig and no --snapshot; name the cluster to audit"
    );
    let known = clusters::load(&args.clusters, &place, &policy)?;
    for note in lost(&known, &policy)? {
        output.note(&note);
    }
    let audited = audit(&known.facts, &policy, now);
    one(args, &known, &policy, &audited, output)?;
    Ok(found(&audited))
}

/// The core controllers that do not run. A Flux without some may be on purpose, so they are notes.
///
/// # Errors
/// If none runs.
fn lost(known: &Known, policy: &Policy) -> anyhow::Result<Vec<String>> {
    let (running, missing) = known.facts.controllers(&policy.engine);
    let homes = policy.engine.namespaces.join(", ");
    ensure!(
        !running.is_empty(),
        "auditing: no controller of Flux in {homes}; name its namespace with --namespace, or bring a lost Flux back with \
         fluxkeep rescue"
    );
    let told = |name| format!("not running: {name}; if that is not on purpose: fluxkeep rescue");
    Ok(missing.into_iter().map(told).collect())
}

fn found(audited: &Audit) -> Found {
    if audited.verdict.decision() == Decision::Refuse {
        Found::Refusal
    } else {
        Found::Nothing
    }
}

/// Writes the findings about a cluster, then the upgrades and the age of the facts.
fn one(
    args: &Args,
    known: &Known,
    policy: &Policy,
    audited: &Audit,
    output: &mut Output,
) -> anyhow::Result<()> {
    let colour = args.output_file.is_none() && output.colour();
    let mut text = render(&audited.verdict, args.output, colour);
    let last = format!("{}\naudited {}\n", upgrades(audited), known.told(policy));
    if args.output == Format::Text {
        text += &last;
    } else {
        output.note(last.trim_end());
    }
    match &args.output_file {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
        }
        None => output.text(&text).context("writing to stdout"),
    }
}

/// A line for each of several clusters; the worst decides the result.
fn many(
    args: &Args,
    contexts: &[String],
    policy: &Policy,
    output: &mut Output,
) -> anyhow::Result<Found> {
    ensure!(
        args.output == Format::Text && args.output_file.is_none(),
        "reading the command line: several contexts are written as text to stdout; give one context for another format"
    );
    let path = args.clusters.kubeconfig.as_deref();
    let reading = contexts
        .iter()
        .map(|context| clusters::live(path, context, &policy.engine));
    let read = access::runtime()?.block_on(join_all(reading));
    let (mut worst, mut failed) = (Found::Nothing, 0);
    for (context, known) in contexts.iter().zip(read) {
        let known = known.and_then(|known| lost(&known, policy).map(|_| known));
        let line = match known {
            Ok(known) => {
                let audited = audit(&known.facts, policy, Timestamp::now());
                if found(&audited) == Found::Refusal {
                    worst = Found::Refusal;
                }
                let told = clusters::rules(&audited.verdict);
                let flux = known.flux_and_age(policy);
                format!("{told}; {}; {flux}", upgrades(&audited))
            }
            Err(error) => {
                failed += 1;
                format!("error: {error:#}")
            }
        };
        output.text(&format!("{context}: {line}\n"))?;
    }
    let all = contexts.len();
    ensure!(
        failed == 0,
        "auditing {all} contexts: {failed} could not be read"
    );
    Ok(worst)
}

/// The newer releases, and how many CRDs block each.
fn upgrades(audited: &Audit) -> String {
    if audited.upgrades.is_empty() {
        return "no newer Flux is known".to_owned();
    }
    let mut parts = Vec::new();
    for (release, crds) in &audited.upgrades {
        parts.push(match crds.len() {
            0 => format!("{release} is free"),
            1 => format!("{release} is blocked by 1 CRD"),
            count => format!("{release} is blocked by {count} CRDs"),
        });
    }
    format!("upgrades: {}", parts.join(", "))
}
