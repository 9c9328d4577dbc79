//! `fluxkeep bump`: moves every pin of Flux to one release, in one step.

use std::path::PathBuf;

use anyhow::{Context, bail};
use fluxkeep::flux::catalogue::Catalogue;
use fluxkeep::helm::range::version;
use fluxkeep::repository::plan::{Plan, RefusedPlan, Target};
use fluxkeep::repository::{File, Repository, read_with};
use fluxkeep_cluster::{FactSource, Snapshot, policy};
use jiff::Timestamp;
use semver::Version;

use crate::check::{self, walk};
use crate::edits::{diff, told, write};
use crate::{Found, Output};

/// The flags of `fluxkeep bump`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The Flux release, for example 2.9.4. Without it, the possible ones are shown.
    #[arg(value_name = "VERSION")]
    version: Option<String>,
    /// A folder of the repository.
    #[arg(long, default_value = ".", value_name = "PATH")]
    path: PathBuf,
    /// Moves the pins of this group alone; `fluxkeep check --list` shows the groups.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// The version of the chart flux2 that brings the release, if the catalogue lacks it.
    #[arg(long, value_name = "VERSION")]
    chart: Option<Version>,
    /// A snapshot of the cluster (`fluxkeep snapshot`): what it stores decides if the release is
    /// refused.
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// Shows the plan and the changed lines, and writes nothing.
    #[arg(long)]
    dry_run: bool,
    /// A catalogue of Flux releases that replaces the built-in one.
    #[arg(long, env = "FLUXKEEP_CATALOGUE", value_name = "FILE")]
    catalogue: Option<PathBuf>,
}

/// Shows the plan, writes the files, and judges the result.
///
/// # Errors
/// If the repository cannot be read or written, or the version is no release.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    let now = Timestamp::now();
    let mut policy =
        policy::load(None, args.catalogue.as_deref(), now).map_err(anyhow::Error::msg)?;
    let tree =
        walk::walk(&args.path).with_context(|| format!("reading {}", args.path.display()))?;
    let settings = tree.settings(&mut policy)?;
    let catalogue = &policy.engine.catalogue.with_charts(&settings.charts);
    let repository = read_with(tree.files.clone(), catalogue, &settings);
    let Some(text) = &args.version else {
        output
            .text(&possible(&repository, catalogue))
            .context("writing to stdout")?;
        return Ok(Found::Nothing);
    };
    let Some(to) = version(text) else {
        bail!("{text:?} is no version of Flux; write for example 2.9.4");
    };
    let snapshot = match &args.snapshot {
        Some(path) => Some(Snapshot::load(path).context("loading the snapshot")?),
        None => None,
    };
    let facts = snapshot.as_ref().map(FactSource::facts);
    let target = Target {
        release: &to,
        chart: args.chart.as_ref(),
        facts: facts.as_deref(),
    };
    let plan = match repository.plan(&target, args.group.as_deref(), catalogue) {
        Ok(plan) => plan,
        Err(refused @ RefusedPlan::NoGroup(..)) => bail!("{refused}"),
        Err(refused) => {
            let text = format!("refused: {refused}\n");
            output.text(&text).context("writing to stdout")?;
            return Ok(Found::Refusal);
        }
    };
    let changed = repository.changed(&plan);
    let grown = target.lost_if_grown(&repository.pins, catalogue);
    let mut text = told(&plan.edited, &plan.left) + &warning(&to, &plan, &grown);
    if args.dry_run {
        text += &diff(&tree, &changed);
    }
    output.text(&text).context("writing to stdout")?;
    if !args.dry_run {
        write(&tree, &changed)?;
    }
    let after = read_with(replaced(tree.files, changed), catalogue, &settings);
    let found = check::after(after, &policy, now, output)?;
    Ok(if plan.left.is_empty() {
        found
    } else {
        Found::Refusal
    })
}

/// A warning about CRDs that only a cluster which began with an older Flux loses.
fn warning(to: &Version, plan: &Plan, grown: &[String]) -> String {
    if plan.edited.is_empty() || grown.is_empty() {
        return String::new();
    }
    let crds = grown.join(", ");
    format!(
        "warning: a cluster that began with an older Flux may store what {to} does not offer, of {crds}; --snapshot lets the cluster decide\n"
    )
}

fn replaced(files: Vec<File>, changed: Vec<File>) -> Vec<File> {
    let is_changed = |file: &File| changed.iter().any(|new| new.path == file.path);
    let kept: Vec<File> = files.into_iter().filter(|file| !is_changed(file)).collect();
    kept.into_iter().chain(changed).collect()
}

/// The releases to which the repository can move.
fn possible(repository: &Repository, catalogue: &Catalogue) -> String {
    let present = repository
        .pins
        .iter()
        .filter(|pin| pin.installs_flux())
        .filter_map(|pin| pin.comes.only());
    let Some(present) = present.max() else {
        return "no pin of Flux\n".to_owned();
    };
    let releases = catalogue
        .releases()
        .iter()
        .filter(|release| release.version > *present);
    let newest = |versions: Vec<&Version>| {
        versions
            .last()
            .map_or("none newer".to_owned(), ToString::to_string)
    };
    let all = releases.clone().map(|release| &release.version).collect();
    let is_safe = |version: &&Version| catalogue.lost(present, version).is_empty();
    let safe = releases
        .clone()
        .map(|release| &release.version)
        .filter(is_safe)
        .collect();
    let charted = releases
        .filter(|release| !release.charts.is_empty())
        .map(|release| &release.version)
        .collect();
    format!(
        "newest here                        {present}\nnewest release                     {}\n\
         newest without a storage migration {}\nnewest with a community chart      {}\n",
        newest(all),
        newest(safe),
        newest(charted),
    )
}
