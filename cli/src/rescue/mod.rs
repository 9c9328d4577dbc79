//! `fluxkeep rescue`: brings a lost Flux back in place, or gets a release out of an operation that
//! did not end.
//!
//! Without `--yes`, the command only shows the plan. The plan follows from the cluster alone
//! ([`fluxkeep::rescue`]), so a run that was cut off is repeated with the same command.

mod carry_out;
mod find;
mod look;
mod resume;
mod rights;
mod table;
mod undo;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use fluxkeep::case::facts::Facts;
use fluxkeep::flux::engine::Engine;
use fluxkeep::helm::{Owner, name};
use fluxkeep::recovery::{Point, difference};
use fluxkeep::rescue::{Action, Left, Plan, mend, plan};
use fluxkeep_cluster::gather::GatherError;
use fluxkeep_cluster::recovery::cluster_id;
use fluxkeep_cluster::write::Writer;
use jiff::Timestamp;

use crate::access::{self, Access};
use crate::{Found, Output};
use carry_out::Work;
use find::{Choice, Chosen, fits};
use look::Look;

/// The field manager of all writes.
const MANAGER: &str = "fluxkeep-rescue";
/// The remedy for a missing right.
const RIGHTS: &str = "; `fluxkeep rescue --print-rbac` prints the rights that it needs";

/// The flags of `fluxkeep rescue`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    choice: Choice,
    /// Namespace of Flux; with --release, the namespace of the release.
    #[arg(long, short, env = "FLUXKEEP_NAMESPACE", value_name = "NAME", default_value = "flux-system", value_parser = name)]
    namespace: String,
    /// Mends only this Helm release, whose uninstall, install or upgrade did not end. Needs no
    /// recovery point.
    #[arg(long, value_name = "NAME", value_parser = name, conflicts_with_all = ["point", "from", "digest"])]
    release: Option<String>,
    /// Shows the plan and changes nothing. This is the default.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Performs the plan.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    resumption: Resumption,
    /// File for deleted release records. Default: fluxkeep-rescue-NAMESPACE.json.
    #[arg(long, value_name = "FILE")]
    undo_file: Option<PathBuf>,
    /// Longest wait for the controllers, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "300")]
    timeout: u64,
    /// Prints the ClusterRole that the rescue needs, and writes nothing.
    #[arg(long)]
    print_rbac: bool,
}

/// The flags of the last step.
#[derive(Debug, Clone, clap::Args)]
struct Resumption {
    /// Also resumes the HelmRelease, if its chart would not be refused.
    #[arg(long, requires = "yes")]
    resume: bool,
    /// Rendered chart that the HelmRelease installs next, to judge before --resume. Default: the
    /// newest release record, if it is of the same chart version.
    #[arg(long, value_name = "FILE", requires = "resume")]
    chart_manifest: Option<PathBuf>,
}

/// Shows or performs the plan.
///
/// # Errors
/// If the point, a file or the cluster cannot be read or written.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    access::runtime()?.block_on(rescued(args, output))
}

async fn rescued(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    let engine = args.engine();
    // A spoilt file needs no cluster.
    let chosen = args.choice.read(&engine)?;
    if args.print_rbac && (chosen.is_some() || args.release.is_some()) {
        return printed(chosen.as_ref(), false, output);
    }
    let writer = Writer::new(args.access.client().await?, MANAGER).hinting(hint);
    let chosen = match (&args.release, chosen) {
        (Some(_), _) => None,
        (None, Some(chosen)) => Some(chosen),
        (None, None) => Some(args.choice.ask(&writer, &engine).await?),
    };
    if args.print_rbac {
        return printed(chosen.as_ref(), true, output);
    }
    if let Some(chosen) = &chosen {
        fits(&chosen.point, &engine, &cluster_id(&writer).await?)?;
    }
    output.note(&format!("Cluster: {}", args.access.place()?));
    for note in chosen.iter().flat_map(|chosen| &chosen.notes) {
        output.note(note);
    }
    let facts = facts(&writer, &engine).await?;
    let look = Look {
        writer: &writer,
        facts: &facts,
        engine: &engine,
    };
    let point = chosen.as_ref().map(|chosen| &chosen.point);
    let (plan, left) = args.planned(&look, point).await?;
    output.text(&table::plan(&plan))?;
    if !plan.obstacles.is_empty() {
        output.text(&table::obstacles(&plan.obstacles))?;
        output.note("nothing was written");
        return Ok(Found::Refusal);
    }
    told(&look, &plan, output).await?;
    if !args.yes {
        output.note(&args.next(&plan, &left));
        return Ok(Found::Nothing);
    }
    rights::check(&writer, &plan, point).await?;
    let default = PathBuf::from(format!("fluxkeep-rescue-{}.json", args.namespace));
    let work = Work {
        look: &look,
        plan: &plan,
        point,
        records: &left.records,
        undo_file: args.undo_file.as_deref().unwrap_or(&default),
        timeout: Duration::from_secs(args.timeout),
    };
    work.all(output).await?;
    args.ended(&work, output).await
}

impl Args {
    fn engine(&self) -> Engine {
        if self.release.is_some() {
            return Engine::default().also_in(Some(&self.namespace));
        }
        access::engine(std::slice::from_ref(&self.namespace))
    }

    /// The plan, and what it was made from.
    async fn planned(
        &self,
        look: &Look<'_>,
        point: Option<&Point>,
    ) -> anyhow::Result<(Plan, Left)> {
        if let Some(point) = point {
            let left = look.engine(point).await?;
            return Ok((plan(point, &left, look.engine), left));
        }
        let release = Owner {
            name: self.release.clone().unwrap_or_default(),
            namespace: self.namespace.clone(),
        };
        let left = look.release(&release).await?;
        Ok((mend(&release, &left, Timestamp::now()), left))
    }

    fn next(&self, plan: &Plan, left: &Left) -> String {
        if !plan.steps.is_empty() {
            return "nothing was written; add --yes to do this".to_owned();
        }
        let Some(release) = &self.release else {
            return "nothing to do: all objects are as the recovery point says".to_owned();
        };
        let namespace = &self.namespace;
        if left
            .records
            .iter()
            .any(|record| record.release.name == *release)
        {
            return "nothing to do: no operation of this release is stuck".to_owned();
        }
        format!(
            "nothing to do: namespace {namespace} has no record of release {release}; helm list --all -A shows every \
             release"
        )
    }

    /// Resumes, and compares the engine with the point.
    async fn ended(&self, work: &Work<'_>, output: &mut Output) -> anyhow::Result<Found> {
        let look = work.look;
        let facts = facts(look.writer, look.engine).await?;
        let look = Look {
            facts: &facts,
            ..*look
        };
        let mut found = Found::Nothing;
        if let Some(point) = work.point
            && !proven(&look, point, output).await?
        {
            return Ok(Found::Refusal);
        }
        if self.resumption.resume {
            let chart = self.resumption.chart_manifest.as_deref();
            if !resume::all(work, &facts, chart, output).await? {
                found = Found::Refusal;
            }
            return Ok(found);
        }
        for release in work.suspended() {
            output.note(&format!(
                "{} is suspended. Correct its chart, then run the command again with --yes --resume",
                release.key
            ));
        }
        Ok(found)
    }
}

/// Compares the engine with the point, object by object.
async fn proven(look: &Look<'_>, point: &Point, output: &mut Output) -> anyhow::Result<bool> {
    let live = look.objects(point).await?;
    let differences = difference(point, &live);
    for difference in &differences {
        output.text(&format!("{difference}\n"))?;
    }
    for additional in look.additional(point) {
        output.note(&format!("{additional}: not in the recovery point"));
    }
    let equal = differences.is_empty();
    if equal {
        output.text(&format!(
            "all {} objects are as the recovery point says\n",
            point.objects().len()
        ))?;
    } else {
        output.note("these objects are not as the recovery point says");
    }
    Ok(equal)
}

/// Notes on the plan: who sets a suspension back, and what does not come back.
async fn told(look: &Look<'_>, plan: &Plan, output: &mut Output) -> anyhow::Result<()> {
    for release in &plan.releases {
        if let Some(applier) = look.applier(release).await? {
            output.note(&applier);
        }
    }
    let deletes_records = plan.of(&[Action::DeleteRecord]).next().is_some();
    if plan.releases.is_empty() && deletes_records {
        output.note(
            "No HelmRelease makes the release of these records: if Git holds one, correct its chart there before \
             Git brings it back",
        );
    }
    if let Some(lost) = plan.lost() {
        output.note(&lost);
    }
    Ok(())
}

async fn facts(writer: &Writer, engine: &Engine) -> anyhow::Result<Facts> {
    let facts = access::facts(writer.client(), engine).await;
    facts.map_err(|error| {
        let is_right = |failed: &GatherError| failed.hint.contains("right");
        if error.downcast_ref().is_some_and(is_right) {
            anyhow!("{error:#}{RIGHTS}")
        } else {
            error
        }
    })
}

fn printed(
    chosen: Option<&Chosen>,
    asks_for_points: bool,
    output: &mut Output,
) -> anyhow::Result<Found> {
    let point = chosen.map(|chosen| &chosen.point);
    let role = rights::role(point, asks_for_points);
    let role = serde_json::to_string_pretty(&role)?;
    output
        .data(&format!("{role}\n"))
        .context("writing to stdout")?;
    Ok(Found::Nothing)
}

fn hint(code: u16) -> Option<&'static str> {
    match code {
        403 => Some(RIGHTS),
        500 => Some(
            "; if a webhook cannot be reached, start its server, or set its failurePolicy to Ignore",
        ),
        _ => None,
    }
}
