//! The post-rendering itself: the program's work when Helm calls it.

use std::io::{IsTerminal, stderr, stdin};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::ValueEnum;
use fluxkeep::adoption::Adopter;
use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::verdict::Decision;
use fluxkeep::helm::{Owner, name, record};
use fluxkeep::render::{Format, render};
use fluxkeep_cluster::policy;
use jiff::Timestamp;

use crate::rewrite::{RewriteError, Rewritten, is_comment, rewrite};
use crate::{RunOutcome, facts, input, note, print, refusal, report};

/// The arguments of the post-renderer.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Release name, which Helm does not pass on. Without this flag, no ownership is written.
    #[arg(long, env = "FLUXKEEP_RELEASE_NAME", value_name = "NAME", requires = "namespace", value_parser = name)]
    release_name: Option<String>,
    /// Release namespace: the namespace of objects without one, and also searched for Flux.
    #[arg(long, short, env = "FLUXKEEP_NAMESPACE", value_name = "NAME", value_parser = name)]
    namespace: Option<String>,
    /// Snapshot of the cluster: a file or a folder. Without this flag, --kubeconfig or --context,
    /// nothing is compared with a cluster.
    #[arg(
        long,
        env = "FLUXKEEP_SNAPSHOT",
        value_name = "PATH",
        conflicts_with_all = ["kubeconfig", "context"]
    )]
    snapshot: Option<PathBuf>,
    /// Kubeconfig file of the cluster to read. Default with --context: KUBECONFIG, else
    /// ~/.kube/config.
    #[arg(long, env = "FLUXKEEP_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Kubeconfig context. Default with --kubeconfig: the current context.
    #[arg(long, env = "FLUXKEEP_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// Policy file: levels, overrides, Flux's namespaces.
    #[arg(long, env = "FLUXKEEP_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Catalogue of Flux releases, instead of the built-in one.
    #[arg(long, env = "FLUXKEEP_CATALOGUE", value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// File for a JSON report, in addition to the text on stderr.
    #[arg(long, env = "FLUXKEEP_REPORT", value_name = "FILE")]
    report: Option<PathBuf>,
    /// Form of a refusal: text on stderr, or a document that Helm 4 cannot apply.
    #[arg(
        long,
        env = "FLUXKEEP_REFUSAL",
        value_name = "HOW",
        default_value = "text"
    )]
    refusal: RefusalForm,
    /// Writes only refusals and errors to stderr.
    #[arg(long, short)]
    quiet: bool,
}

/// The form of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RefusalForm {
    /// Text on stderr, with exit code 1. Helm 3 shows stderr.
    Text,
    /// One document of an unknown kind, with exit code 0. Helm 4 shows its name, but hides stderr.
    Document,
}

/// Reads the manifest, and writes it with the labels and annotations that Helm must know.
///
/// # Errors
/// When a file, the cluster or the manifest cannot be read, or the output cannot be written. With
/// `--refusal document`, only when the document with the error cannot be written.
pub fn run(args: &Args) -> anyhow::Result<RunOutcome> {
    let tried = tried(args);
    match tried {
        Err(error) if args.refusal == RefusalForm::Document => told(&format!("{error:#}")),
        tried => tried,
    }
}

fn tried(args: &Args) -> anyhow::Result<RunOutcome> {
    let now = Timestamp::now();
    let mut policy = policy::load(args.policy.as_deref(), args.catalogue.as_deref(), now)
        .map_err(anyhow::Error::msg)?;
    policy.engine = policy.engine.also_in(args.namespace.as_deref());
    let facts = known(args, &policy)?;
    let owner = args.release_name.clone().zip(args.namespace.clone());
    let owner = owner.map(|(name, namespace)| Owner { name, namespace });
    let adopter = Adopter {
        facts: facts.as_deref(),
        engine: &policy.engine,
        owner: owner.as_ref(),
    };
    let manifest = input::read(stdin().lock())?;
    let rewritten = match rewrite(&manifest, &adopter, &policy, now) {
        Err(RewriteError::Empty) if is_comment(&manifest) => Rewritten {
            text: manifest.clone(),
            ..Rewritten::default()
        },
        Err(empty @ RewriteError::Empty) => {
            return refused(args.refusal, &empty.to_string(), &empty.to_string());
        }
        rewritten => rewritten?,
    };
    if let Some(path) = &args.report {
        let json = report::json(&rewritten, &adopter);
        std::fs::write(path, json)
            .with_context(|| format!("writing the report {}", path.display()))?;
    }
    if rewritten.verdict.decision() == Decision::Refuse {
        let colour = stderr().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let short = refusal::line(&rewritten.verdict);
        return refused(
            args.refusal,
            &render(&rewritten.verdict, Format::Text, colour),
            &short,
        );
    }
    print(&rewritten.text).context("writing the manifest to stdout")?;
    if !args.quiet {
        if let Some(warning) = record::warning(&rewritten.text) {
            note(&format!("warning: {warning}"));
        }
        note(&report::text(&rewritten, &adopter));
    }
    Ok(RunOutcome::Well)
}

/// Reports a refusal: the whole text on stderr, or one line as a document's name.
fn refused(how: RefusalForm, text: &str, line: &str) -> anyhow::Result<RunOutcome> {
    if how == RefusalForm::Document {
        return told(line);
    }
    note(text);
    Ok(RunOutcome::Refused)
}

fn told(line: &str) -> anyhow::Result<RunOutcome> {
    note(line);
    print(&refusal::document(line)).context("writing the refusal to stdout")?;
    Ok(RunOutcome::Well)
}

fn known(args: &Args, policy: &Policy) -> anyhow::Result<Option<Arc<Facts>>> {
    if let Some(path) = &args.snapshot {
        return facts::stored(path).map(Some);
    }
    let (kubeconfig, context) = (args.kubeconfig.as_deref(), args.context.as_deref());
    // KUBECONFIG alone means no cluster: Helm always passes it on, also to `helm template`.
    if kubeconfig.is_none() && context.is_none() {
        return Ok(None);
    }
    facts::live(kubeconfig, context, &policy.engine).map(Some)
}
