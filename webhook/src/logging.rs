//! Where the program's log goes and what is in it.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// The flags of the log, which goes to stderr.
#[derive(Debug, Clone, clap::Args)]
pub struct Logging {
    /// What is logged: a level, or one per part, like `info,fluxkeep_webhook=debug`.
    // kube tells of each request that fails; fluxkeep tells once that the cluster is not heard.
    #[arg(
        long = "log",
        env = "FLUXKEEP_LOG",
        value_name = "FILTER",
        default_value = "info,kube_client=off"
    )]
    filter: String,
    /// How a line is written.
    #[arg(long = "log-format", env = "FLUXKEEP_LOG_FORMAT", value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Json,
    Text,
}

impl Logging {
    /// Logs from here on, panics included.
    ///
    /// # Errors
    /// When the filter is none.
    pub fn start(&self) -> Result<(), ParseError> {
        let filter = EnvFilter::builder().parse(&self.filter)?;
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr);
        // What cannot be written, as on a full disk, is lost: telling of that on stderr would end the server.
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

/// A panic's text may quote the object that it happened on; its place does not.
fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    tracing::error!(place, "panicked");
}
