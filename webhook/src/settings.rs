//! Flags and environment variables, and the settings made from them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Parser, Subcommand};

use crate::authority::{AuthorityStore, SecretName};
use crate::events::Events;
use crate::logging::Logging;
use crate::probe::Probe;
use crate::recovery::RecoveryPoints;
use crate::registration::{Compared, Kept, Register, Unregister, What};
use crate::source;

/// The flags of `fluxkeep-webhook`; each can also be set in the environment.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "fluxkeep-webhook",
    about = "Admission server that protects a cluster's Flux"
)]
#[command(version = crate::version::line(), args_conflicts_with_subcommands = true)]
pub struct Args {
    /// The subcommand to run instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Address for AdmissionReviews, with TLS. [::] takes IPv4, too; without IPv6 it means 0.0.0.0.
    #[arg(long, env = "FLUXKEEP_LISTEN", value_name = "ADDRESS", default_value = "[::]:8443", value_parser = address)]
    listen: SocketAddr,
    /// Address of /livez, /readyz and /metrics, without TLS.
    #[arg(long, env = "FLUXKEEP_OBSERVE", value_name = "ADDRESS", default_value = "[::]:8080", value_parser = address)]
    observe: SocketAddr,
    /// Policy file with levels and overrides; reloaded when it changes.
    #[arg(long, env = "FLUXKEEP_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Catalogue of Flux releases; reloaded when it changes. Default: the catalogue that the policy
    /// names, else the built-in one.
    #[arg(long, env = "FLUXKEEP_CATALOGUE", value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// Directory with tls.crt and tls.key; reloaded when they change. Default: a generated
    /// certificate.
    #[arg(
        long,
        env = "FLUXKEEP_TLS_DIR",
        value_name = "DIR",
        conflicts_with = "tls_secret"
    )]
    tls_dir: Option<PathBuf>,
    /// Secret in which replicas share the CA of generated certificates, as NAMESPACE/NAME. Default:
    /// each process generates its own CA.
    #[arg(long, env = "FLUXKEEP_TLS_SECRET", value_name = "SECRET")]
    pub tls_secret: Option<SecretName>,
    /// CA certificates (PEM) for the client certificates of callers; reloaded when the file changes.
    /// Default: callers need no certificate.
    #[arg(long, env = "FLUXKEEP_CLIENT_CA", value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// Common name or DNS name that a caller's certificate must carry. Default: any name.
    #[arg(
        long,
        env = "FLUXKEEP_CLIENT_NAME",
        value_name = "NAME",
        requires = "client_ca"
    )]
    client_name: Option<String>,
    /// DNS names and IP addresses in the generated certificate.
    #[arg(
        long,
        env = "FLUXKEEP_TLS_NAMES",
        value_delimiter = ',',
        default_value = "localhost,127.0.0.1"
    )]
    tls_names: Vec<String>,
    /// The registration to keep; without an address, another program keeps it.
    #[command(flatten)]
    pub registered: What,
    /// Only compares the registration of --url or --service with what is there, for
    /// `fluxkeep_registration_differs`: a chart keeps it.
    #[arg(long, env = "FLUXKEEP_COMPARE_ONLY", value_parser = FalseyValueParser::new())]
    pub compare_only: bool,
    /// The failurePolicy that the chart gives to webhooks about Flux, if it is not Fail.
    #[arg(
        long,
        env = "FLUXKEEP_FAILURE_POLICY",
        value_name = "POLICY",
        requires = "compare_only"
    )]
    pub failure_policy: Option<String>,
    /// The guarded cluster.
    #[command(flatten)]
    pub cluster: source::ClusterArgs,
    /// The source of the facts.
    #[command(flatten)]
    pub facts: source::FactArgs,
    /// Reports refused deletions and releases as Events in the cluster.
    #[arg(long, env = "FLUXKEEP_EVENTS", value_parser = FalseyValueParser::new())]
    pub events: bool,
    /// Keeps recovery points of Flux in ConfigMaps of this namespace, the server's own.
    #[arg(
        long,
        env = "FLUXKEEP_RECOVERY_POINTS",
        value_name = "NAMESPACE",
        conflicts_with = "snapshot"
    )]
    pub recovery_points: Option<String>,
    /// Seconds for which Flux must stay as it is before it becomes a recovery point.
    #[arg(
        long,
        env = "FLUXKEEP_RECOVERY_QUIET",
        value_name = "SECONDS",
        default_value_t = 120
    )]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub recovery_quiet: u64,
    /// Seconds during which answers carry `Connection: close` after the stop signal.
    #[arg(
        long,
        env = "FLUXKEEP_LINGER",
        value_name = "SECONDS",
        default_value_t = 12
    )]
    #[arg(value_parser = clap::value_parser!(u64).range(..=600))]
    linger: u64,
    /// The log's filter and format.
    #[command(flatten)]
    pub logging: Logging,
}

/// The subcommands.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Registers the server: writes webhook configurations and ValidatingAdmissionPolicies.
    Register(Register),
    /// Deletes the registration. A running server with --url or --service writes it again.
    Unregister(Unregister),
    /// Checks that the apiserver asks this server; changes nothing.
    Probe(Probe),
}

/// The settings of a server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The TLS address for reviews; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address for health and metrics.
    pub observe: SocketAddr,
    /// The policy file.
    pub policy: Option<PathBuf>,
    /// The catalogue of Flux releases.
    pub catalogue: Option<PathBuf>,
    /// The directory with certificate and key.
    pub tls_dir: Option<PathBuf>,
    /// The file with the authorities of callers' certificates; `None` admits any caller.
    pub client_ca: Option<PathBuf>,
    /// The name that a caller's certificate must carry; `None` admits any name.
    pub client_name: Option<String>,
    /// The shared authority of self-made certificates; `None` if each process has its own.
    pub place: Option<AuthorityStore>,
    /// The names of the self-made certificate.
    pub tls_names: Vec<String>,
    /// The registration to keep; `None` if another program keeps it.
    pub kept: Option<Kept>,
    /// The registration to compare; `None` if nobody asks for differences.
    pub compared: Option<Compared>,
    /// The cluster that gets Events about refusals; `None` if Events are off.
    pub events: Option<Events>,
    /// The recovery points to keep; `None` keeps none.
    pub recovery: Option<RecoveryPoints>,
    /// Deadlines and bounds.
    pub limits: Limits,
}

/// Deadlines and bounds. Each frees resources that a slow or dead client would hold forever.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Concurrent TLS handshakes at most; at the cap the newest replaces the oldest. The apiservers
    /// of a cluster begin far fewer together.
    pub handshakes: usize,
    /// Open connections per port at most. At the cap the newest replaces the one whose last request
    /// is oldest. Each takes about 25 KiB. An apiserver keeps 25 idle connections and opens more
    /// for concurrent reviews.
    pub connections: usize,
    /// Concurrent requests per HTTP/2 connection at most.
    pub streams: u32,
    /// Bytes at most of all bodies being read or judged in a lane: two of the longest.
    pub bodies: usize,
    /// Large reviews that may wait in a lane.
    pub large: usize,
    /// Limit for the TLS handshake: the apiserver's own is 10 s.
    pub handshake: Duration,
    /// Limit for a large review about a stranger, since its body was read. After it the review passes
    /// with a warning; after three seconds the apiserver would let it pass silently.
    pub others: Duration,
    /// Limit for a request's headers, and in HTTP/1.1 for the pause between requests. The apiserver
    /// keeps idle connections for 90 s, and a cut within these fails a review.
    pub headers: Duration,
    /// Limit for a request's body: a webhook has at most 30 s in all, by default 10 s.
    pub body: Duration,
    /// Time in which clients are asked to close connections before the server does. The apiserver
    /// keeps idle connections and does not retry on one that is cut.
    pub linger: Duration,
    /// Time for running requests after that.
    pub drain: Duration,
    /// Interval between looks at files; kubelet itself takes a minute to deliver a change.
    pub tick: Duration,
    /// Interval between checks whether the registration needs a look without an event.
    pub keep: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshakes: 1024,
            connections: 1024,
            streams: 100,
            bodies: 16 << 20,
            large: 16,
            handshake: Duration::from_secs(10),
            others: Duration::from_secs(1),
            headers: Duration::from_mins(2),
            body: Duration::from_secs(10),
            linger: Duration::from_secs(12),
            drain: Duration::from_secs(10),
            tick: Duration::from_secs(5),
            keep: Duration::from_secs(10),
        }
    }
}

/// Reads `IP:PORT`, or `:PORT` for any address, as Go's programs take it.
fn address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') {
        format!("[::]{text}")
    } else {
        text.to_owned()
    };
    let help = "write IP:PORT, for example 127.0.0.1:8443, or :PORT for any address";
    full.parse().map_err(|_| help.to_owned())
}

impl Settings {
    /// A server on free loopback ports, with a self-made certificate.
    #[must_use]
    pub fn loopback() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: any,
            observe: any,
            policy: None,
            catalogue: None,
            tls_dir: None,
            client_ca: None,
            client_name: None,
            place: None,
            kept: None,
            compared: None,
            events: None,
            recovery: None,
            tls_names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            limits: Limits::default(),
        }
    }
}

impl From<Args> for Settings {
    fn from(args: Args) -> Self {
        Self {
            listen: args.listen,
            observe: args.observe,
            policy: args.policy,
            catalogue: args.catalogue,
            tls_dir: args.tls_dir,
            client_ca: args.client_ca,
            client_name: args.client_name,
            place: None,
            kept: None,
            compared: None,
            events: None,
            recovery: None,
            tls_names: args.tls_names,
            limits: Limits {
                linger: Duration::from_secs(args.linger),
                ..Limits::default()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_may_be_a_port_alone_and_a_wrong_one_is_answered_with_an_example() {
        let read = |text: &str| address(text).map(|address| address.to_string());
        assert_eq!(read(":8443"), Ok("[::]:8443".to_owned()));
        assert_eq!(read("127.0.0.1:1"), Ok("127.0.0.1:1".to_owned()));
        for wrong in ["8443", "localhost:8443", ""] {
            let told = read(wrong).err().unwrap_or_default();
            assert!(
                told.contains("for example 127.0.0.1:8443"),
                "{wrong}: {told}"
            );
        }
    }
}
