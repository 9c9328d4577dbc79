//! The clusters and snapshots that a command judges against: their place, the Flux in them, their age.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, ensure};
use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::verdict::Verdict;
use fluxkeep::flux::catalogue::{Catalogue, FluxRelease};
use fluxkeep::flux::engine::Engine;
use fluxkeep_cluster::{FactSource, Snapshot, connect};
use kube::Client;

use crate::access;

/// The value that selects the built-in snapshot, as in the server.
const BUILT_IN: &str = "built-in";

/// The flags that select a snapshot, or contexts of a kubeconfig.
#[derive(Debug, Clone, clap::Args)]
pub struct Clusters {
    /// Snapshot of the cluster: a file, a folder, - for stdin, or built-in for Flux 2.4.0 as
    /// installed. Default: the cluster of the kubeconfig.
    #[arg(long, env = "FLUXKEEP_SNAPSHOT", value_name = "PATH", conflicts_with_all = ["kubeconfig", "context", "contexts_all"])]
    pub(crate) snapshot: Option<PathBuf>,
    /// Kubeconfig file. Default: KUBECONFIG, else ~/.kube/config.
    #[arg(long, env = "FLUXKEEP_KUBECONFIG", value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Kubeconfig contexts, separated by commas. Default: the current context.
    #[arg(
        long,
        env = "FLUXKEEP_CONTEXT",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub(crate) context: Vec<String>,
    /// Uses every context of the kubeconfig.
    #[arg(long, conflicts_with = "context")]
    pub(crate) contexts_all: bool,
}

impl Clusters {
    /// The flags with which another command reaches a context's cluster, each after a space.
    pub(crate) fn flags(&self, context: Option<&str>) -> String {
        let mut flags = String::new();
        if let Some(path) = &self.kubeconfig {
            flags += " --kubeconfig ";
            flags += &quoted(&path.to_string_lossy());
        }
        if let Some(context) = context {
            flags += " --context ";
            flags += &quoted(context);
        }
        flags
    }
}

/// The place of the facts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file, a folder or stdin.
    Snapshot(PathBuf),
    /// The built-in snapshot.
    BuiltIn {
        /// False if there is nothing else to judge against.
        is_asked: bool,
    },
    /// Contexts of the kubeconfig, at least one.
    Contexts(Vec<String>),
}

/// The facts, and how the report names them.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) facts: Arc<Facts>,
    pub(crate) name: String,
    age: String,
}

impl Place {
    /// The place that the flags name; without one, the current context, if there is a kubeconfig.
    pub(crate) fn of(args: &Clusters) -> anyhow::Result<Self> {
        if let Some(path) = &args.snapshot {
            return Ok(if path.as_os_str() == BUILT_IN {
                Self::BuiltIn { is_asked: true }
            } else {
                Self::Snapshot(path.clone())
            });
        }
        let is_named = args.kubeconfig.is_some() || args.contexts_all || !args.context.is_empty();
        if !is_named && !connect::has_kubeconfig() {
            return Ok(Self::BuiltIn { is_asked: false });
        }
        if !args.context.is_empty() {
            return Ok(Self::Contexts(args.context.clone()));
        }
        let kubeconfig =
            connect::read(args.kubeconfig.as_deref()).context("connecting to the cluster")?;
        let contexts = if args.contexts_all {
            connect::contexts(&kubeconfig)
        } else {
            kubeconfig.current_context.into_iter().collect()
        };
        ensure!(
            !contexts.is_empty(),
            "connecting to the cluster: the kubeconfig has no current context; choose one with --context, or a \
             snapshot with --snapshot"
        );
        Ok(Self::Contexts(contexts))
    }
}

/// Loads the facts of a place. Of several contexts, the first counts.
pub(crate) fn load(args: &Clusters, place: &Place, policy: &Policy) -> anyhow::Result<Known> {
    match place {
        Place::Snapshot(path) => snapshot(path),
        Place::BuiltIn { .. } => {
            let facts = Snapshot::built_in().context("loading the snapshot")?;
            Ok(Known {
                facts: facts.facts(),
                name: "the built-in snapshot".to_owned(),
                age: "as install.yaml leaves it".to_owned(),
            })
        }
        Place::Contexts(contexts) => {
            let context = contexts.first().map(String::as_str).unwrap_or_default();
            let runtime = access::runtime()?;
            runtime.block_on(live(args.kubeconfig.as_deref(), context, &policy.engine))
        }
    }
}

fn snapshot(path: &Path) -> anyhow::Result<Known> {
    let facts = Snapshot::load(path).context("loading the snapshot")?;
    let written = std::fs::metadata(path).and_then(|file| file.modified());
    let is_file = path.is_file();
    let age = match written {
        Ok(written) if is_file => format!("written {}", ago(written)),
        _ => "of unknown age".to_owned(),
    };
    let name = if path.as_os_str() == "-" {
        "the snapshot on stdin".to_owned()
    } else {
        format!("snapshot {}", path.display())
    };
    Ok(Known {
        facts: facts.facts(),
        name,
        age,
    })
}

/// Reads the facts of a context's cluster.
pub(crate) async fn live(
    kubeconfig: Option<&Path>,
    context: &str,
    engine: &Engine,
) -> anyhow::Result<Known> {
    let client = client(kubeconfig, context).await?;
    read(&client, context, engine).await
}

/// A client for a context, before its first request.
pub(crate) async fn client(kubeconfig: Option<&Path>, context: &str) -> anyhow::Result<Client> {
    let client = connect::by_kubeconfig(kubeconfig, Some(context)).await;
    client.context("connecting to the cluster")
}

/// Reads the facts with a client of a context.
pub(crate) async fn read(client: &Client, context: &str, engine: &Engine) -> anyhow::Result<Known> {
    let facts = access::facts(client, engine).await;
    let facts = facts.with_context(|| format!("asking the cluster of context {context}"))?;
    Ok(Known {
        facts: Arc::new(facts),
        name: format!("context {context}"),
        age: "read just now".to_owned(),
    })
}

impl Known {
    /// The name, the Flux and the age.
    pub(crate) fn told(&self, policy: &Policy) -> String {
        format!("{}: {}, {}", self.name, self.flux(policy), self.age)
    }

    /// The Flux and the age.
    pub(crate) fn flux_and_age(&self, policy: &Policy) -> String {
        format!("{}, {}", self.flux(policy), self.age)
    }

    fn flux(&self, policy: &Policy) -> String {
        match self.facts.running(&policy.engine) {
            Some(flux) => flux.to_string(),
            None => format!("no Flux found in {}", policy.engine.namespaces.join(", ")),
        }
    }
}

/// The release that `--to` names.
pub(crate) fn named<'a>(
    catalogue: &'a Catalogue,
    version: &str,
) -> anyhow::Result<&'a FluxRelease> {
    catalogue.named(version).with_context(|| {
        let newest = catalogue.newest();
        let newest = newest.map(|release| release.version.to_string());
        let newest = newest.unwrap_or_default();
        format!("--to {version}: the catalogue has no such Flux; its newest is {newest}")
    })
}

/// The decision and the rules behind it.
pub(crate) fn rules(verdict: &Verdict) -> String {
    let mut rules: Vec<_> = verdict.standing().map(|finding| finding.rule).collect();
    rules.dedup();
    let mut parts = vec![if rules.is_empty() {
        "nothing found".to_owned()
    } else {
        rules.join(", ")
    }];
    if !verdict.abstained.is_empty() {
        parts.push(format!("{} abstained", verdict.abstained.len()));
    }
    format!("{}: {}", verdict.decision().name(), parts.join(", "))
}

/// A word for sh, bash and zsh.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// A past time in words, in its largest unit.
fn ago(time: SystemTime) -> String {
    let seconds = time.elapsed().map_or(0, |past| past.as_secs());
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    for (length, unit) in units {
        match seconds / length {
            0 => {}
            1 => return format!("1 {unit} ago"),
            count => return format!("{count} {unit}s ago"),
        }
    }
    "just now".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_past_time_is_told_in_its_largest_unit() {
        let past = |seconds| ago(SystemTime::now() - Duration::from_secs(seconds));
        assert_eq!(past(5), "just now");
        assert_eq!(past(61), "1 minute ago");
        assert_eq!(past(7_205), "2 hours ago");
        assert_eq!(past(3 * 86_400), "3 days ago");
    }
}
