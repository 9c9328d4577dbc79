//! The admission server as a program.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use fluxkeep_cluster::Snapshot;
use fluxkeep_webhook::{Args, Bound, Settings, usage};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(asked) if !asked.use_stderr() => return asked.print().map_or(ExitCode::from(2), |()| ExitCode::SUCCESS),
        Err(error) => return failed(&usage::one_line(&error)),
    };
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&format!("{error:#}")),
    }
}

/// What was attempted, on what, and why it failed.
fn failed(why: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "fluxkeep-webhook: {why}");
    ExitCode::from(2)
}

fn run(args: Args) -> anyhow::Result<()> {
    args.logging.start().context("reading --log")?;
    let snapshot = args.snapshot.as_deref().map_or_else(Snapshot::built_in, Snapshot::load);
    let source = Arc::new(snapshot.context("loading the snapshot")?);
    serve(args.into(), source)
}

#[tokio::main]
async fn serve(settings: Settings, source: Arc<Snapshot>) -> anyhow::Result<()> {
    let stop = told_to_stop()?;
    let bound = Bound::bind(settings, source).await.context("starting")?;
    let (admission, observe) = (bound.admission_address()?, bound.observe_address()?);
    tracing::info!(%admission, %observe, "serving");
    bound.serve(stop).await.context("serving")
}

/// SIGTERM, as kubelet sends it, or SIGINT.
fn told_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
