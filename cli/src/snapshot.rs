//! `fluxkeep snapshot`: writes a cluster's snapshot to a file, or a recovery point of its Flux.

mod recovery;

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use clap::builder::FalseyValueParser;
use fluxkeep::flux::engine::Engine;
use fluxkeep::object::PART_OF;
use fluxkeep_cluster::gather::{Gathered, gather};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use crate::access::{Access, engine, read, runtime};
use crate::{Found, Output};

/// The flags of `fluxkeep snapshot`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    access: Access,
    /// Namespaces of Flux. Repeat the flag, or use commas.
    #[arg(
        long,
        short,
        env = "FLUXKEEP_NAMESPACE",
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "flux-system"
    )]
    namespace: Vec<String>,
    /// Output format.
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value = "json")]
    output: Written,
    /// Output file. Default: stdout.
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Writes a recovery point of Flux to this file instead: all that brings Flux back.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "output_file"])]
    recovery: Option<PathBuf>,
    /// Exits with 1 if an object is unreadable, or, with --recovery, if a controller is not
    /// available; then no recovery point is written.
    #[arg(long, env = "FLUXKEEP_STRICT", value_parser = FalseyValueParser::new())]
    strict: bool,
}

/// The format of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Written {
    /// As `kubectl get --output json` prints it.
    Json,
}

/// Takes the whole snapshot, then writes it. An unreadable object is reduced to its head and named
/// on stderr.
///
/// # Errors
/// If the cluster is unreachable or refuses a list, or the file cannot be written.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    let engine = engine(&args.namespace);
    if let Some(path) = &args.recovery {
        return recovery::run(&args.access, &engine, path, args.strict, output);
    }
    let snapshot = runtime()?.block_on(async {
        let client = args.access.client().await?;
        let gathered = gather(&client, &engine).await?;
        let told = told(&client, &gathered, &engine).await?;
        anyhow::Ok((gathered, told))
    });
    let (gathered, told) = snapshot.context("taking the snapshot")?;
    output.note(&told);
    for unread in &gathered.unread {
        output.note(&format!("only the head of {unread}"));
    }
    let text = serde_json::to_string_pretty(&gathered.list())? + "\n";
    let Written::Json = args.output;
    match &args.output_file {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        None => output.data(&text).context("writing to stdout")?,
    }
    Ok(if args.strict && !gathered.unread.is_empty() {
        Found::Refusal
    } else {
        Found::Nothing
    })
}

/// Tells what the snapshot holds, or else where Flux is looked for and where it may be.
async fn told(client: &Client, gathered: &Gathered, engine: &Engine) -> anyhow::Result<String> {
    let facts = read(gathered)?;
    let homes = engine.namespaces.join(", ");
    if let Some(flux) = facts.running(engine) {
        let (objects, definitions) = (facts.objects().count(), facts.definitions().count());
        return Ok(format!(
            "{flux} in {homes}: {objects} objects, {definitions} of them CRDs"
        ));
    }
    let elsewhere = homes_of_flux(client).await;
    let advice = if elsewhere.is_empty() {
        "name its namespace with --namespace".to_owned()
    } else {
        format!("it looks like {}; add --namespace", elsewhere.join(", "))
    };
    Ok(format!("no Flux found in {homes}; {advice}"))
}

/// The namespaces with Deployments that are labelled as parts of Flux. Without the right to list
/// them, none.
async fn homes_of_flux(client: &Client) -> Vec<String> {
    let flux = ListParams::default()
        .labels(&format!("{PART_OF}=flux"))
        .limit(100);
    let listed = Api::<Deployment>::all(client.clone()).list(&flux).await;
    let objects = listed.map_or(Vec::new(), |list| list.items);
    let mut homes: Vec<_> = objects.iter().filter_map(ResourceExt::namespace).collect();
    homes.sort();
    homes.dedup();
    homes
}
