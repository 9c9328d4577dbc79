//! The admission server as a program.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use fluxkeep_cluster::Snapshot;
use fluxkeep_webhook::{Args, Bound};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let args = Args::parse();
    let filter = EnvFilter::try_from_env("FLUXKEEP_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "fluxkeep-webhook: {error:#}");
            ExitCode::from(2)
        }
    }
}

#[tokio::main]
async fn run(args: Args) -> anyhow::Result<()> {
    let snapshot = match &args.snapshot {
        Some(path) => Snapshot::load(path),
        None => Snapshot::built_in(),
    };
    let source = Arc::new(snapshot.context("loading the snapshot")?);
    let bound = Bound::bind(args.into(), source).await.context("starting")?;
    let (admission, observe) = (bound.admission_address()?, bound.observe_address()?);
    tracing::info!(%admission, %observe, "serving");
    bound.serve(told_to_stop()?).await.context("serving")
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
