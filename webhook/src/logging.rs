//! The program's log: filter, format and panic hook.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// The flags of the log, which goes to stderr.
#[derive(Debug, Clone, clap::Args)]
pub struct Logging {
    /// Log filter: a level, or a level per module, such as `info,fluxkeep_webhook=debug`.
    // kube logs each failed request; fluxkeep logs once that the cluster is unreachable.
    #[arg(
        long = "log",
        env = "FLUXKEEP_LOG",
        value_name = "FILTER",
        default_value = "info,kube_client=off"
    )]
    filter: String,
    /// Log format.
    #[arg(long = "log-format", env = "FLUXKEEP_LOG_FORMAT", value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Json,
    Text,
}

impl Logging {
    /// Starts logging, panics included.
    ///
    /// # Errors
    /// If the filter is invalid.
    pub fn start(&self) -> Result<(), ParseError> {
        let filter = EnvFilter::builder().parse(&self.filter)?;
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr);
        // Ignores write errors, as on a full disk: reporting them on stderr would end the server.
        let log = log
            .with_ansi(std::io::stderr().is_terminal())
            .log_internal_errors(false);
        match self.format {
            Format::Json => log.json().init(),
            Format::Text => log.init(),
        }
        std::panic::set_hook(Box::new(panicked));
        Ok(())
    }
}

/// Logs a panic's location. A panic's message is left out, since it may quote an object.
fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    tracing::error!(place, "a thread panicked");
}
