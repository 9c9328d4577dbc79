//! The admission server as a program.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use fluxkeep_webhook::{Args, Bound, Settings};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let args = Args::parse();
    let filter = EnvFilter::try_from_env("FLUXKEEP_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(args.into()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "fluxkeep-webhook: {error:#}");
            ExitCode::from(2)
        }
    }
}

#[tokio::main]
async fn run(settings: Settings) -> anyhow::Result<()> {
    let bound = Bound::bind(settings).await.context("starting")?;
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
