//! `fluxkeep migrate`: stores all objects of CRDs in their storage version, then takes the other
//! versions off `status.storedVersions`.
//!
//! The order loses no object: storage flag → rewrite → verify → prune. Nothing is remembered
//! between runs. A run that is cut off leaves at most the storage flag moved, which loses nothing,
//! and the next run goes on.

mod definition;
mod pace;
mod progress;
mod rbac;
mod rewrite;
mod select;

use std::io::{IsTerminal, stderr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use anyhow::Context;
use fluxkeep::crd::migration::MigrationPlan;
use fluxkeep_cluster::write::Writer;
use tokio::time::{Instant, sleep_until};

use crate::access::Access;
use crate::{Found, Output};
use definition::{Live, move_storage, prune};
use pace::Pace;
use progress::Progress;
use rewrite::{Objects, Pass};
use select::{Choice, Chosen};

/// Time after which every apiserver stores objects in the CRD's storage version: one was seen to
/// take 70 ms after the flag had moved.
const SETTLED: Duration = Duration::from_secs(2);

/// The flags of `fluxkeep migrate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    choice: Choice,
    /// Shows the plan with the number of objects, and writes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Prints the ClusterRole that the migration needs, and writes nothing.
    #[arg(long)]
    print_rbac: bool,
    /// Requests at the same time.
    #[arg(long, value_name = "N", default_value = "8")]
    concurrency: NonZeroUsize,
    /// Most requests a second; without it, as many as the apiserver answers.
    #[arg(long, value_name = "N")]
    qps: Option<NonZeroU32>,
}

/// Migrates the chosen CRDs one after the other. A CRD that cannot be migrated is named, and the
/// others go on.
///
/// # Errors
/// If the cluster cannot be reached, or the choice names a CRD or file that does not exist.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(migrated(args, output))
}

async fn migrated(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    let (client, cluster) = args.access.named_client().await?;
    output.note(&format!("migrating in {cluster}"));
    let writer = Writer::new(client, "fluxkeep-migrate").hinting(hint);
    let chosen = args.choice.read(&writer).await?;
    let read = Instant::now();
    if args.print_rbac {
        let role = rbac::role(&chosen, args.choice.lists());
        let role = serde_json::to_string_pretty(&role)?;
        output
            .data(&format!("{role}\n"))
            .context("writing to stdout")?;
        return Ok(Found::Nothing);
    }
    let run = Run {
        writer,
        args,
        pace: Pace::of(args.qps),
        progress: Progress::on(stderr().is_terminal(), output.is_quiet()),
    };
    let mut left = 0;
    for Chosen { live, plan } in &chosen {
        let said = match plan {
            Ok(Some(plan)) => run.one(live, plan, read).await,
            Ok(None) => Ok(unchanged(live)),
            Err(obstacle) => Err(anyhow::anyhow!("{obstacle}")),
        };
        match said {
            Ok(line) => output
                .text(&format!("{}: {line}\n", live.name))
                .context("writing to stdout")?,
            Err(error) => {
                left += 1;
                output.error(&format!("{}: {error:#}", live.name));
            }
        }
    }
    if left == 0 {
        return Ok(Found::Nothing);
    }
    output.note(&format!(
        "{left} of {} CRDs are not migrated; the command can be repeated",
        chosen.len()
    ));
    Ok(Found::Refusal)
}

fn unchanged(live: &Live) -> String {
    format!(
        "nothing to do, storedVersions is [{}]",
        live.definition.stored.join(", ")
    )
}

/// The parts of a run that all its CRDs share.
struct Run<'a> {
    writer: Writer,
    args: &'a Args,
    pace: Pace,
    progress: Progress,
}

impl Run<'_> {
    /// Migrates a CRD, or shows what would be done.
    async fn one(
        &self,
        live: &Live,
        plan: &MigrationPlan,
        read: Instant,
    ) -> anyhow::Result<String> {
        let leaves = plan.leaves.join(", ");
        if self.args.dry_run {
            let objects = self.objects(live, plan).count().await?;
            let first = match &plan.moves_from {
                Some(from) => format!("move the storage flag from {from} to {}, ", plan.storage),
                None => String::new(),
            };
            return Ok(format!(
                "would {first}rewrite {objects} objects as {}, and take {leaves} off storedVersions",
                plan.storage
            ));
        }
        let Some(from) = &plan.moves_from else {
            return self.stored(live, plan, read).await;
        };
        let moved = move_storage(&self.writer, &live.name, &plan.storage).await;
        let moved = moved.context("moving the storage flag")?;
        let stored = self.stored(&moved, plan, Instant::now()).await;
        if let Err(error) = stored {
            let back = move_storage(&self.writer, &live.name, from).await;
            return Err(match back {
                Ok(_) => error.context(format!("the storage flag is back at {from}")),
                Err(also) => error.context(format!(
                    "the storage flag stays at {}, since moving it back failed too ({also:#})",
                    plan.storage
                )),
            });
        }
        stored
    }

    /// Rewrites, verifies and prunes. `read` is the time at which `live` had its storage version.
    async fn stored(
        &self,
        live: &Live,
        plan: &MigrationPlan,
        read: Instant,
    ) -> anyhow::Result<String> {
        let objects = self.objects(live, plan);
        let count = objects.count().await?;
        self.progress.begin(Pass::Rewrite, count);
        let rewritten = objects.pass(Pass::Rewrite).await;
        self.progress.end();
        let rewritten = rewritten.context("not pruned, because objects could not be rewritten")?;
        sleep_until(read + SETTLED).await;
        self.progress.begin(Pass::Verify, rewritten.objects);
        let verified = objects.pass(Pass::Verify).await;
        self.progress.end();
        let verified = verified.context("not pruned, because objects could not be verified")?;
        prune(&self.writer, live, &plan.storage)
            .await
            .context("not pruned")?;
        Ok(format!(
            "{} objects are stored as {} ({} were rewritten); {} is off storedVersions",
            verified.objects,
            plan.storage,
            rewritten.written,
            plan.leaves.join(", ")
        ))
    }

    fn objects(&self, live: &Live, plan: &MigrationPlan) -> Objects<'_> {
        Objects {
            writer: &self.writer,
            resource: live.resource(&plan.through),
            concurrency: self.args.concurrency.get(),
            pace: &self.pace,
            progress: &self.progress,
        }
    }
}

fn hint(code: u16) -> Option<&'static str> {
    (code == 403).then_some("; `fluxkeep migrate --print-rbac` prints the rights that it needs")
}
