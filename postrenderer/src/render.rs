//! What the program does when Helm calls it.

use std::io::{IsTerminal, stderr, stdin};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::ValueEnum;
use clap::builder::FalseyValueParser;
use fluxkeep::adoption::Adopter;
use fluxkeep::facts::Facts;
use fluxkeep::helm::{Owner, name};
use fluxkeep::policy::Policy;
use fluxkeep::render::{Format, render};
use fluxkeep::verdict::Decision;
use fluxkeep_cluster::policy;
use jiff::Timestamp;

use crate::rewrite::{Rewritten, Unfit, is_comment, rewrite};
use crate::{Done, facts, input, note, print, refusal, report};

/// What the post-renderer is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The name of the release: Helm does not tell it. Without it no ownership is written.
    #[arg(long, env = "FLUXKEEP_RELEASE_NAME", value_name = "NAME", requires = "release_namespace", value_parser = name)]
    release_name: Option<String>,
    /// Its namespace: objects without one go there, and the engine is looked for there, too.
    #[arg(long, env = "FLUXKEEP_RELEASE_NAMESPACE", value_name = "NAME", value_parser = name)]
    release_namespace: Option<String>,
    /// The cluster's snapshot: a file or a folder. Without it and --kubeconfig nothing is known of the cluster.
    #[arg(
        long,
        env = "FLUXKEEP_SNAPSHOT",
        value_name = "PATH",
        conflicts_with = "kubeconfig"
    )]
    snapshot: Option<PathBuf>,
    /// A kubeconfig whose current cluster is asked.
    #[arg(long, env = "FLUXKEEP_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Levels, overrides, the engine's namespaces.
    #[arg(long, env = "FLUXKEEP_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A catalogue of Flux releases, instead of the one that fluxkeep was built with.
    #[arg(long, env = "FLUXKEEP_CATALOGUE", value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// Where the report goes as JSON, beside the text on stderr.
    #[arg(long, env = "FLUXKEEP_REPORT", value_name = "FILE")]
    report: Option<PathBuf>,
    /// How a refusal reaches the user: as text on stderr, or as a document that Helm 4 cannot apply.
    #[arg(
        long,
        env = "FLUXKEEP_REFUSAL",
        value_name = "HOW",
        default_value = "text"
    )]
    refusal: How,
    /// Reports nothing on stderr but refusals and errors.
    #[arg(long, short, env = "FLUXKEEP_QUIET", value_parser = FalseyValueParser::new())]
    quiet: bool,
}

/// How a refusal reaches the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum How {
    /// On stderr, with exit code 1: Helm 3 shows it.
    Text,
    /// As one document of an unknown kind, with exit code 0: Helm 4 shows its name and hides stderr.
    Document,
}

/// Reads the manifest, and writes it with what Helm must know.
///
/// # Errors
/// When a file, the cluster or the manifest cannot be read, or the output not written.
pub fn run(args: &Args) -> anyhow::Result<Done> {
    let tried = tried(args);
    match tried {
        Err(error) if args.refusal == How::Document => told(&format!("{error:#}")),
        tried => tried,
    }
}

fn tried(args: &Args) -> anyhow::Result<Done> {
    let now = Timestamp::now();
    let mut policy = policy::load(args.policy.as_deref(), args.catalogue.as_deref(), now)
        .map_err(anyhow::Error::msg)?;
    policy.engine = policy.engine.also_in(args.release_namespace.as_deref());
    let facts = known(args, &policy)?;
    let owner = args
        .release_name
        .clone()
        .zip(args.release_namespace.clone());
    let owner = owner.map(|(name, namespace)| Owner { name, namespace });
    let adopter = Adopter {
        facts: facts.as_deref(),
        engine: &policy.engine,
        owner: owner.as_ref(),
    };
    let manifest = input::read(stdin().lock())?;
    let rewritten = match rewrite(&manifest, &adopter, &policy, now) {
        Err(Unfit::Empty) if is_comment(&manifest) => Rewritten {
            text: manifest.clone(),
            ..Rewritten::default()
        },
        Err(empty @ Unfit::Empty) => {
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
        note(&report::text(&rewritten, &adopter));
    }
    Ok(Done::Well)
}

/// The refusal to whoever reads it: all of it, or one line in a document's name.
fn refused(how: How, text: &str, line: &str) -> anyhow::Result<Done> {
    if how == How::Document {
        return told(line);
    }
    note(text);
    Ok(Done::Refused)
}

fn told(line: &str) -> anyhow::Result<Done> {
    note(line);
    print(&refusal::document(line)).context("writing the refusal to stdout")?;
    Ok(Done::Well)
}

fn known(args: &Args, policy: &Policy) -> anyhow::Result<Option<Arc<Facts>>> {
    match (&args.snapshot, &args.kubeconfig) {
        (Some(path), _) => facts::stored(path).map(Some),
        (None, Some(path)) => facts::live(path, &policy.engine).map(Some),
        (None, None) => Ok(None),
    }
}
