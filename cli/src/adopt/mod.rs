//! `fluxkeep adopt`: hands the live engine to a Helm release. A Helm without `--take-ownership` can
//! then install over the engine.
//!
//! Without `--yes`, the command only shows the plan. The former state is on disk before the first
//! write; after an interruption, another run does the rest.
//!
//! Facts → the objects to take over → their live metadata → the plan of [`fluxkeep::adoption`] → a
//! stamp per object. The stamps are the table, the undo file and the work; undo applies the same
//! stamps in the other direction. After an undo, only a Deployment's `generation` differs: it also
//! counts writes of annotations.

pub mod cluster;
pub mod holds;
pub mod plan;
pub mod stamp;
pub mod table;
pub mod undo;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use fluxkeep::adoption::owners::Custom;
use fluxkeep::case::facts::Facts;
use fluxkeep::flux::engine::Engine;
use fluxkeep::helm::{Owner, name};
use fluxkeep::object::{Key, Object};
use fluxkeep_cluster::collections::served;
use fluxkeep_cluster::documents;
use kube::Client;

use crate::access::{self, Access};
use crate::{Found, Output};
use cluster::{Cluster, Done, Moved};
use holds::{Hold, Holds, strangers};
use plan::{Planner, Row, SeenObject, taken};
use stamp::{Stamp, Way};
use undo::Undo;

/// The flags of `fluxkeep adopt`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the Helm release that takes over.
    #[arg(long, env = "FLUXKEEP_RELEASE_NAME", value_name = "NAME", required_unless_present = "undo", value_parser = name)]
    release_name: Option<String>,
    /// Release namespace, also searched for Flux.
    #[arg(long, short, env = "FLUXKEEP_NAMESPACE", value_name = "NAME", required_unless_present = "undo", value_parser = name)]
    namespace: Option<String>,
    #[command(flatten)]
    access: Access,
    /// Namespace of Flux, besides the release namespace. Repeat the flag for several.
    #[arg(
        long,
        env = "FLUXKEEP_ENGINE_NAMESPACE",
        value_name = "NAME",
        default_value = "flux-system"
    )]
    engine_namespace: Vec<String>,
    /// Shows the plan and changes nothing. This is the default.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Performs the plan.
    #[arg(long)]
    yes: bool,
    /// File for the former state. Default: fluxkeep-adopt-NAMESPACE-NAME.json.
    #[arg(
        long,
        env = "FLUXKEEP_UNDO_FILE",
        value_name = "FILE",
        conflicts_with = "undo"
    )]
    undo_file: Option<PathBuf>,
    /// Restores the former state from this file. Without --yes, only shows it.
    #[arg(long, value_name = "FILE", conflicts_with = "manifests")]
    undo: Option<PathBuf>,
    /// Owner that is gone or no longer applies these objects: a Helm release, an Argo CD application
    /// or a kapp app, as the refusal names it.
    #[arg(long, value_name = "OWNER", conflicts_with = "undo")]
    take_over: Vec<String>,
    /// Rendered manifests of the release: files, folders, or - for stdin. Other objects stay as they
    /// are. Default: all of Flux.
    #[arg(value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,
}

/// Shows or performs the plan, forward or back.
///
/// # Errors
/// If a file or the cluster cannot be read or written. The message says how far the work came.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    access::runtime()?.block_on(async {
        match (
            &args.undo,
            args.release_name.clone().zip(args.namespace.clone()),
        ) {
            (Some(path), _) => restore(args, path, output).await,
            (None, Some((name, namespace))) => {
                adopt(args, &Owner { name, namespace }, output).await
            }
            (None, None) => {
                bail!("reading the command line: --release-name and --namespace are required")
            }
        }
    })
}

async fn adopt(args: &Args, owner: &Owner, output: &mut Output) -> anyhow::Result<Found> {
    let engine = access::engine(&args.engine_namespace).also_in(Some(&owner.namespace));
    let held = held(&args.manifests, owner)?;
    let client = args.access.client().await?;
    let (cluster, facts) = (Cluster::new(client.clone()), facts(&client, &engine).await?);
    let seen = see(&cluster, taken(&facts, &engine, held.as_deref())).await?;
    let holds = holds(&cluster, &facts, &seen, owner, &args.take_over).await?;
    let rows = Planner {
        engine: &engine,
        owner,
        holds: &holds,
        held: held.as_deref(),
    }
    .plan(&seen);
    let orphans: Vec<_> = facts
        .engine(&engine)
        .filter(|live| seen.iter().all(|seen| seen.object.key() != live.key()))
        .collect();
    let advice = table::advice(&holds, &orphans, &seen);
    if rows.iter().any(|row| row.refusal.is_some()) {
        output.text(&table::plan(&rows, owner))?;
        output.text(&format!(
            "\n{}Nothing was touched.\n",
            table::refusals(&rows)
        ))?;
        return Ok(Found::Refusal);
    }
    let default = undo::default_path(owner);
    let file = args.undo_file.as_deref().unwrap_or(&default);
    if !args.yes {
        output.text(&format!(
            "{}\n{advice}{}",
            table::plan(&rows, owner),
            table::sum(&rows, owner, file)
        ))?;
        return Ok(Found::Nothing);
    }
    carry_out(&cluster, &rows, owner, file, output).await?;
    output.text(&advice)?;
    Ok(Found::Nothing)
}

/// Writes the undo file, then the objects one by one.
async fn carry_out(
    cluster: &Cluster,
    rows: &[Row],
    owner: &Owner,
    file: &Path,
    output: &mut Output,
) -> anyhow::Result<()> {
    let todo: Vec<_> = rows
        .iter()
        .map(|row| &row.stamp)
        .filter(|stamp| stamp.real().next().is_some())
        .collect();
    if !todo.is_empty() {
        let objects = todo.iter().map(|stamp| (*stamp).clone()).collect();
        Undo {
            release: owner.to_string(),
            objects,
        }
        .keep(file)?;
        output.text(&format!(
            "to undo this: fluxkeep adopt --yes --undo {}\n",
            file.display()
        ))?;
    }
    for (count, stamp) in todo.iter().enumerate() {
        let context = || {
            format!(
                "adopting {stamp}, after {count} of {} objects (run it again to go on, or undo it with --yes --undo {})",
                todo.len(),
                file.display()
            )
        };
        let moved = cluster
            .bring(stamp, Way::Adopt)
            .await
            .with_context(context)?;
        ensure!(
            moved.strange.is_empty(),
            "{}: another writer changed {} after the plan was made",
            context(),
            moved.strange.join(", ")
        );
        output.text(&format!("{stamp}: {}\n", adoption_result(&moved.done)))?;
    }
    let (changed, all) = (todo.len(), rows.len());
    output.text(&format!(
        "{all} objects belong to release {owner}; {} already did\n",
        all - changed
    ))?;
    Ok(())
}

fn adoption_result(done: &Done) -> &'static str {
    match done {
        Done::Changed => "adopted",
        Done::Unchanged => "already adopted",
        Done::Gone => "deleted since the plan; Helm creates it again",
    }
}

async fn restore(args: &Args, path: &Path, output: &mut Output) -> anyhow::Result<Found> {
    let undo = Undo::read(path)?;
    if !args.yes {
        let (count, release) = (undo.objects.len(), &undo.release);
        output.text(&table::undo(&undo.objects))?;
        output.text(&format!(
            "\nwould restore {count} objects to their state before release {release}; nothing was changed; add --yes\n"
        ))?;
        return Ok(Found::Nothing);
    }
    let cluster = Cluster::new(args.access.client().await?);
    let mut all_back = true;
    for (count, stamp) in undo.objects.iter().enumerate() {
        let context = || {
            format!(
                "putting back {stamp}, after {count} of {} objects (run it again to go on)",
                undo.objects.len()
            )
        };
        let moved = cluster
            .bring(stamp, Way::Undo)
            .await
            .with_context(context)?;
        all_back &= moved.strange.is_empty() && moved.done != Done::Gone;
        output.text(&format!("{stamp}: {}\n", put_back(stamp, &moved)))?;
    }
    Ok(if all_back {
        Found::Nothing
    } else {
        Found::Refusal
    })
}

fn put_back(stamp: &Stamp, moved: &Moved) -> String {
    let done = match moved.done {
        Done::Changed => "put back",
        Done::Unchanged => "as it was",
        Done::Gone => "gone: nothing to put back on",
    };
    if moved.strange.is_empty() {
        return done.to_owned();
    }
    let left = moved.strange.join(", ");
    format!(
        "{done}, except {left}: another writer changed it since. The undo file has the former value: {}",
        by_hand(stamp)
    )
}

fn by_hand(stamp: &Stamp) -> String {
    let space = stamp
        .namespace
        .as_ref()
        .map(|space| format!("-n {space} "))
        .unwrap_or_default();
    format!(
        "kubectl edit {} {space}{}",
        stamp.kind.to_lowercase(),
        stamp.name
    )
}

/// The keys of the manifests' objects without hooks; `None` without manifests.
fn held(manifests: &[PathBuf], owner: &Owner) -> anyhow::Result<Option<Vec<Key>>> {
    if manifests.is_empty() {
        return Ok(None);
    }
    let mut keys = Vec::new();
    for path in manifests {
        let objects = documents(path, Some(&owner.namespace)).context("loading the manifests")?;
        keys.extend(
            objects
                .iter()
                .filter(|object| !object.is_hook())
                .map(Object::key),
        );
    }
    Ok(Some(keys))
}

async fn facts(client: &Client, engine: &Engine) -> anyhow::Result<Facts> {
    let facts = access::facts(client, engine).await?;
    let homes = engine.namespaces.join(", ");
    ensure!(
        facts.engine(engine).next().is_some(),
        "looking for Flux in {homes}: not found; set its namespace with --engine-namespace"
    );
    Ok(facts)
}

/// Reads each object's metadata; objects that are gone are left out.
async fn see(
    cluster: &Cluster,
    objects: impl Iterator<Item = &Object>,
) -> anyhow::Result<Vec<SeenObject>> {
    let mut seen = Vec::new();
    for object in objects {
        seen.extend(cluster.see(object).await?);
    }
    Ok(seen)
}

/// The other owners of these objects, each with its hold.
async fn holds(
    cluster: &Cluster,
    facts: &Facts,
    seen: &[SeenObject],
    owner: &Owner,
    take_over: &[String],
) -> anyhow::Result<Holds> {
    let mut others = BTreeMap::new();
    for holder in seen.iter().flat_map(|seen| strangers(&seen.object, owner)) {
        others.insert(holder.to_string(), holder);
    }
    let mut holds = Vec::new();
    for holder in others.into_values() {
        let hold = match holder.tool.lives_as {
            Some(custom) => {
                let version = version(facts, custom);
                cluster.hold(version, custom, &holder).await?
            }
            None if take_over.contains(&holder.id()) => Hold::TakenOver,
            None => Hold::Applies,
        };
        holds.push((holder, hold));
    }
    Ok(holds.into_iter().collect())
}

/// The version in which the cluster serves a custom resource; `None` if it does not.
fn version(facts: &Facts, custom: Custom) -> Option<&str> {
    let key = Key {
        group: "apiextensions.k8s.io".to_owned(),
        kind: "CustomResourceDefinition".to_owned(),
        namespace: None,
        name: format!("{}.{}", custom.resource, custom.group),
    };
    let definition = facts.live(&key)?.definition()?;
    served(definition)
}
