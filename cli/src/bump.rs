//! `fluxkeep bump`: moves every pin of Flux to one release, in one step.

use std::fmt::Write;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use fluxkeep::flux::catalogue::Catalogue;
use fluxkeep::helm::range::version;
use fluxkeep::repository::plan::{Plan, RefusedPlan, Step};
use fluxkeep::repository::{File, Repository, read};
use fluxkeep_cluster::policy;
use jiff::Timestamp;
use semver::Version;
use tempfile::NamedTempFile;

use crate::check::walk::Tree;
use crate::check::{self, walk};
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
    /// Shows the plan and writes nothing.
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
    let policy = policy::load(None, args.catalogue.as_deref(), now).map_err(anyhow::Error::msg)?;
    let catalogue = &policy.engine.catalogue;
    let tree =
        walk::walk(&args.path).with_context(|| format!("reading {}", args.path.display()))?;
    let repository = read(tree.files.clone(), catalogue);
    let Some(text) = &args.version else {
        output
            .text(&possible(&repository, catalogue))
            .context("writing to stdout")?;
        return Ok(Found::Nothing);
    };
    let Some(to) = version(text) else {
        bail!("{text:?} is no version of Flux; write for example 2.9.4");
    };
    let plan = match repository.plan(&to, args.group.as_deref(), catalogue) {
        Ok(plan) => plan,
        Err(refused @ RefusedPlan::NoGroup(..)) => bail!("{refused}"),
        Err(refused) => {
            output
                .text(&format!("refused: {refused}\n"))
                .context("writing to stdout")?;
            return Ok(Found::Refusal);
        }
    };
    output.text(&told(&plan)).context("writing to stdout")?;
    let changed = repository.changed(&plan);
    if !args.dry_run {
        write(&tree, &changed)?;
    }
    let after = read(replaced(tree.files, changed), catalogue);
    let found = check::after(after, &policy, now, output)?;
    Ok(if plan.left.is_empty() {
        found
    } else {
        Found::Refusal
    })
}

fn replaced(files: Vec<File>, changed: Vec<File>) -> Vec<File> {
    let is_changed = |file: &File| changed.iter().any(|new| new.path == file.path);
    let kept: Vec<File> = files.into_iter().filter(|file| !is_changed(file)).collect();
    kept.into_iter().chain(changed).collect()
}

fn told(plan: &Plan) -> String {
    let mut text = String::new();
    let mut part = |title: &str, steps: &[Step]| {
        if !steps.is_empty() {
            let _ = writeln!(text, "{title}");
        }
        for step in steps {
            let _ = writeln!(text, "  {}:{}  {}", step.file, step.line, step.what);
        }
    };
    part("edited", &plan.edited);
    part("left to you", &plan.left);
    if text.is_empty() {
        text.push_str("nothing to move\n");
    }
    text
}

/// Writes all files: each to a temporary file beside it, then all renames. A failure before the
/// first rename leaves every file as it was; a failure between renames puts the old ones back.
///
/// # Errors
/// If a file cannot be written, or another program changed it since it was read.
fn write(tree: &Tree, files: &[File]) -> anyhow::Result<()> {
    let mut ready = Vec::new();
    for file in files {
        let staged = staged(tree, file);
        ready.push(staged.with_context(|| format!("{}: no file was changed", file.path))?);
    }
    let mut done: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for (path, old, new) in ready {
        if let Err(error) = new.persist(&path) {
            let lost = put_back(&done);
            let error = anyhow::Error::new(error).context(format!("replacing {}", path.display()));
            if lost.is_empty() {
                return Err(error.context("no file was changed"));
            }
            return Err(error.context(format!("these files are changed: {}", lost.join(", "))));
        }
        done.push((path, old));
    }
    Ok(())
}

/// The path of a file, its bytes, and its successor in a temporary file beside it.
fn staged(tree: &Tree, file: &File) -> anyhow::Result<(PathBuf, Vec<u8>, NamedTempFile)> {
    let path = tree.top.join(&file.path);
    let old = std::fs::read(&path)?;
    let mut read = tree.files.iter();
    let is_same = read.any(|read| read.path == file.path && read.bytes == old);
    ensure!(is_same, "another program changed it; run the command again");
    let mut new = NamedTempFile::new_in(path.parent().unwrap_or(&tree.top))?;
    new.write_all(&file.bytes)?;
    new.as_file()
        .set_permissions(std::fs::metadata(&path)?.permissions())?;
    new.as_file().sync_all()?;
    Ok((path, old, new))
}

/// Restores files. The paths of those that cannot be restored.
fn put_back(files: &[(PathBuf, Vec<u8>)]) -> Vec<String> {
    let failed = files
        .iter()
        .filter(|(path, old)| std::fs::write(path, old).is_err());
    failed.map(|(path, _)| path.display().to_string()).collect()
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
