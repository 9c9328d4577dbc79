//! `fluxkeep plan`: the way from the running Flux to another release, for one cluster or many.

mod resources;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::flux::catalogue::FluxRelease;
use fluxkeep::helm::name;
use fluxkeep::upgrade::{
    CustomResources, Outlook, PlanFormat, Planned, UpgradePlan, newest, plan as planned, render,
};
use fluxkeep_cluster::policy;
use futures_util::future::join_all;
use jiff::Timestamp;

use crate::clusters::{self, Clusters, Place, named};
use crate::{Found, Output, access};

/// The flags of `fluxkeep plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    clusters: Clusters,
    /// Flux version to reach, for example 2.9 or 2.9.4. Default: the newest known release.
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
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
    output: PlanFormat,
    /// Output file. Default: stdout.
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
}

fn formats() -> impl TypedValueParser<Value = PlanFormat> {
    let named = |name: String| {
        let mut known = PlanFormat::ALL.into_iter();
        let format = known.find(|format| format.name() == name);
        // The parser lets only known names through.
        format.unwrap_or(PlanFormat::Text)
    };
    PossibleValuesParser::new(PlanFormat::ALL.map(PlanFormat::name)).map(named)
}

/// Plans for each cluster and writes the plans. The result is a refusal if a step of any plan is
/// refused.
///
/// # Errors
/// If the version is unknown, a file or a cluster cannot be read, or no Flux runs there.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    let now = Timestamp::now();
    let mut policy = policy::load(args.policy.as_deref(), args.catalogue.as_deref(), now)
        .map_err(anyhow::Error::msg)?;
    policy.engine = policy.engine.also_in(args.namespace.as_deref());
    let to = args
        .to
        .as_deref()
        .map(|version| named(&policy.engine.catalogue, version))
        .transpose()?;
    let asked = Asked {
        policy: &policy,
        to,
        now,
    };
    let place = Place::of(&args.clusters)?;
    let plans = match &place {
        Place::Contexts(contexts) => {
            access::runtime()?.block_on(asked.all(&args.clusters, contexts, output))
        }
        place => {
            if matches!(place, Place::BuiltIn { is_asked: false }) {
                output.note("no kubeconfig and no --snapshot; planning for the built-in snapshot");
            }
            let known = clusters::load(&args.clusters, place, &policy)?;
            vec![Planned {
                plan: asked.plan(&known.facts, None),
                name: known.name,
                flags: String::new(),
            }]
        }
    };
    if let [only] = plans.as_slice()
        && let Err(why) = &only.plan
    {
        bail!("planning for {}: {why}", only.name);
    }
    let text = render(&plans, args.output);
    match &args.output_file {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        None => output.text(&text).context("writing to stdout")?,
    }
    found(&plans)
}

/// The result of all plans.
fn found(plans: &[Planned]) -> anyhow::Result<Found> {
    let failed = plans.iter().filter(|one| one.plan.is_err()).count();
    ensure!(
        failed == 0,
        "planning for {} clusters: {failed} have no plan",
        plans.len()
    );
    let is_blocked = |one: &Planned| {
        let plan = one.plan.as_ref();
        plan.is_ok_and(|plan| plan.outlook() == Outlook::Blocked)
    };
    if plans.iter().any(is_blocked) {
        Ok(Found::Refusal)
    } else {
        Ok(Found::Nothing)
    }
}

/// The question to each cluster.
struct Asked<'a> {
    policy: &'a Policy,
    /// `None` for the newest release.
    to: Option<&'a FluxRelease>,
    now: Timestamp,
}

impl Asked<'_> {
    fn plan(
        &self,
        facts: &Facts,
        resources: Option<&CustomResources>,
    ) -> Result<UpgradePlan, String> {
        let engine = &self.policy.engine;
        let target = self.to.or_else(|| newest(facts, engine));
        let target = target.ok_or("the catalogue names no release")?;
        planned(facts, self.policy, resources, target, self.now).map_err(|error| error.to_string())
    }

    /// The plan for each context, in the contexts' order.
    async fn all(
        &self,
        clusters: &Clusters,
        contexts: &[String],
        output: &mut Output,
    ) -> Vec<Planned> {
        let kubeconfig = clusters.kubeconfig.as_deref();
        let asking = contexts.iter().map(|context| self.one(kubeconfig, context));
        let mut plans = Vec::new();
        for (context, asked) in contexts.iter().zip(join_all(asking).await) {
            let name = format!("context {context}");
            let plan = match asked {
                Ok((plan, note)) => {
                    if let Some(note) = note {
                        output.note(&format!("{name}: {note}"));
                    }
                    plan
                }
                Err(error) => Err(format!("{error:#}")),
            };
            // The context is named even if it is the current one, which may change.
            let flags = clusters.flags(Some(context));
            plans.push(Planned { name, flags, plan });
        }
        plans
    }

    /// The plan for a context, and a note if its custom resources cannot be listed.
    async fn one(
        &self,
        kubeconfig: Option<&Path>,
        context: &str,
    ) -> anyhow::Result<(Result<UpgradePlan, String>, Option<String>)> {
        let client = clusters::client(kubeconfig, context).await?;
        let known = clusters::read(&client, context, &self.policy.engine).await?;
        let (resources, note) = match resources::read(&client, &known.facts).await {
            Ok(resources) => (Some(resources), None),
            Err(error) => (
                None,
                Some(format!(
                    "Flux's custom resources cannot be listed, so the plan names neither their number nor their \
                     manifests: {error:#}"
                )),
            ),
        };
        Ok((self.plan(&known.facts, resources.as_ref()), note))
    }
}
