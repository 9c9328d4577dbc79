//! The admission server as a program.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use fluxkeep_cluster::usage;
use fluxkeep_webhook::registration::{Compared, Kept, RegistrationClient, What};
use fluxkeep_webhook::source::ClusterArgs;
use fluxkeep_webhook::{
    Args, AuthorityStore, Bound, Command, Events, REGISTRATION, RecoveryPoints, SecretName,
    Settings, open_files, stop,
};
use mimalloc::MiMalloc;

/// A release record briefly needs buffers of a megabyte. glibc maps and unmaps them for each
/// review, which costs a third of its time. Huge pages are off: an idle server has a megabyte, and
/// each thread's first page would take two.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(asked) if !asked.use_stderr() => {
            return asked
                .print()
                .map_or(ExitCode::from(2), |()| ExitCode::SUCCESS);
        }
        Err(error) => return failed(&usage::one_line(&error.to_string())),
    };
    let done = match args.command {
        Some(command) => beside(command),
        None => run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&format!("{error:#}")),
    }
}

/// Prints the error in one line and returns exit code 2.
fn failed(why: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "fluxkeep-webhook: {why}");
    ExitCode::from(2)
}

/// Runs a subcommand instead of serving, and prints its results to stdout.
#[tokio::main(flavor = "current_thread")]
async fn beside(command: Command) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    match command {
        Command::Register(register) => register.run(&mut out).await,
        Command::Unregister(unregister) => unregister.run(&mut out).await,
        Command::Probe(probe) => probe.run(&mut out).await,
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    args.logging.start().context("reading --log")?;
    if let Err(error) = open_files::raise() {
        tracing::warn!(%error, "raising the limit on open files failed; the limit caps the number of connections");
    }
    serve(args)
}

#[tokio::main]
async fn serve(args: Args) -> anyhow::Result<()> {
    let stop = told_to_stop()?;
    let source = args.facts.open(&args.cluster).await?;
    let place = place(args.tls_secret.clone(), &args.cluster).await?;
    let mut kept = kept(&args.registered, &args.cluster).await?;
    let mut compared = None;
    if args.compare_only {
        let failure_policy = args.failure_policy.clone();
        let kept = kept
            .take()
            .context("--compare-only needs --url or --service")?;
        compared = Some(Compared {
            kept,
            failure_policy,
        });
    }
    let events = if args.events {
        Some(Events(args.cluster.client().await?))
    } else {
        None
    };
    let recovery = recovery(&args).await?;
    let settings = Settings {
        recovery,
        place,
        kept,
        compared,
        events,
        ..args.into()
    };
    let bound = Bound::bind(settings, source).await.context("starting")?;
    let (admission, observe) = (bound.admission_address()?, bound.observe_address()?);
    tracing::info!(%admission, %observe, "serving");
    bound.serve(stop).await.context("serving")
}

/// The replicas' shared authority, if `--tls-secret` names one.
async fn place(
    secret: Option<SecretName>,
    cluster: &ClusterArgs,
) -> anyhow::Result<Option<AuthorityStore>> {
    let Some(secret) = secret else {
        return Ok(None);
    };
    Ok(Some(AuthorityStore::new(
        cluster.client().await?,
        secret,
        REGISTRATION,
    )))
}

/// The recovery points that this server keeps, if `--recovery-points` names their namespace.
async fn recovery(args: &Args) -> anyhow::Result<Option<RecoveryPoints>> {
    let Some(kept_in) = args.recovery_points.clone() else {
        return Ok(None);
    };
    Ok(Some(RecoveryPoints {
        client: args.cluster.client().await?,
        kept_in,
        quiet: Duration::from_secs(args.recovery_quiet),
    }))
}

/// The registration that this server keeps, if its address is given.
async fn kept(what: &What, cluster: &ClusterArgs) -> anyhow::Result<Option<Kept>> {
    let Some(registration) = what.registration()? else {
        return Ok(None);
    };
    Ok(Some(Kept {
        cluster: RegistrationClient::new(cluster.client().await?, false),
        registration,
    }))
}

/// Completes on SIGTERM, which kubelet sends, or SIGINT.
fn told_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let terminate = stop::terminate().context("listening for SIGTERM")?;
    let interrupt = stop::interrupt().context("listening for SIGINT")?;
    Ok(async move {
        tokio::select! {
            () = terminate => {}
            () = interrupt => {}
        }
    })
}
