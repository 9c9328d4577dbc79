//! From flags and environment to settings.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Parser, Subcommand};

use crate::authority::{Place, SecretName};
use crate::events::Events;
use crate::logging::Logging;
use crate::registration::{Kept, Register, Unregister, What};
use crate::source;

/// The flags of `fluxkeep-webhook`; each is also read from the environment.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "fluxkeep-webhook",
    about = "Keeps a cluster's Flux alive: the admission server"
)]
#[command(version = crate::version::line(), args_conflicts_with_subcommands = true)]
pub struct Args {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Where reviews come in, over TLS.
    #[arg(long, env = "FLUXKEEP_LISTEN", default_value = "0.0.0.0:8443")]
    listen: SocketAddr,
    /// Where /livez, /readyz and /metrics are, without TLS.
    #[arg(long, env = "FLUXKEEP_OBSERVE", default_value = "0.0.0.0:8080")]
    observe: SocketAddr,
    /// Levels and overrides; reloaded when the file changes.
    #[arg(long, env = "FLUXKEEP_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A catalogue of Flux releases, reloaded when it changes; without it, the one that the policy names, or else
    /// the one that fluxkeep was built with.
    #[arg(long, env = "FLUXKEEP_CATALOGUE", value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// A directory with tls.crt and tls.key, reloaded when they change; without it, self-made.
    #[arg(
        long,
        env = "FLUXKEEP_TLS_DIR",
        value_name = "DIR",
        conflicts_with = "tls_secret"
    )]
    tls_dir: Option<PathBuf>,
    /// The Secret in which replicas share the authority of self-made certificates, as NAMESPACE/NAME;
    /// without it, each process has its own.
    #[arg(long, env = "FLUXKEEP_TLS_SECRET", value_name = "SECRET")]
    pub tls_secret: Option<SecretName>,
    /// Certificates of the authorities that callers of the admission port must have theirs from; reloaded
    /// when the file changes. Without it, any caller is answered.
    #[arg(long, env = "FLUXKEEP_CLIENT_CA", value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// The common name or DNS name that a caller's certificate must carry; without it, any.
    #[arg(
        long,
        env = "FLUXKEEP_CLIENT_NAME",
        value_name = "NAME",
        requires = "client_ca"
    )]
    client_name: Option<String>,
    /// DNS names and addresses of the self-made certificate.
    #[arg(
        long,
        env = "FLUXKEEP_TLS_NAMES",
        value_delimiter = ',',
        default_value = "localhost,127.0.0.1"
    )]
    tls_names: Vec<String>,
    /// Where the server is registered, and kept so; without an address, somebody else does it.
    #[command(flatten)]
    pub registered: What,
    /// The cluster that is guarded.
    #[command(flatten)]
    pub cluster: source::Access,
    /// Where the facts come from.
    #[command(flatten)]
    pub facts: source::From,
    /// Tells of refused deletions and releases by Events in the cluster.
    #[arg(long, env = "FLUXKEEP_EVENTS", value_parser = FalseyValueParser::new())]
    pub events: bool,
    /// How long answers still carry `Connection: close` after the signal to stop, in seconds.
    #[arg(
        long,
        env = "FLUXKEEP_LINGER",
        value_name = "SECONDS",
        default_value_t = 12
    )]
    #[arg(value_parser = clap::value_parser!(u64).range(..=600))]
    linger: u64,
    /// What the program logs, and how.
    #[command(flatten)]
    pub logging: Logging,
}

/// What the program does beside serving.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Tells a cluster to ask this server: writes webhook configurations and policies, and says what it did.
    Register(Register),
    /// Takes away whatever was registered.
    Unregister(Unregister),
}

/// What a server is built from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where reviews come in, over TLS; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where health and metrics are.
    pub observe: SocketAddr,
    /// The policy file.
    pub policy: Option<PathBuf>,
    /// The catalogue of Flux releases.
    pub catalogue: Option<PathBuf>,
    /// The directory with certificate and key.
    pub tls_dir: Option<PathBuf>,
    /// The file with the authorities of callers' certificates; none where any caller is answered.
    pub client_ca: Option<PathBuf>,
    /// The name that a caller's certificate must carry; none where any will do.
    pub client_name: Option<String>,
    /// Where replicas share the authority of self-made certificates.
    pub place: Option<Place>,
    /// Names of the self-made certificate.
    pub tls_names: Vec<String>,
    /// The registration that is kept up to date; none where somebody else does it.
    pub kept: Option<Kept>,
    /// Where refusals are told of; none where they are not.
    pub events: Option<Events>,
    /// Deadlines and bounds.
    pub limits: Limits,
}

/// Deadlines and bounds. Each frees what a slow or dead client would hold for ever.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many TLS handshakes may run at once; beyond, the oldest gives way to the newest. Far
    /// more than the apiservers of a cluster begin together.
    pub handshakes: usize,
    /// How many connections may be open at once on a port; beyond, the one gives way whose last request is
    /// longest ago. Each takes about 25 KiB. An apiserver keeps 25 idle ones, and opens more for reviews that
    /// are asked at once.
    pub connections: usize,
    /// How many requests may be open at once on a connection over HTTP/2.
    pub streams: u32,
    /// How many bytes the bodies of a lane may have in sum that are being read or judged. Two of the longest.
    pub bodies: usize,
    /// How many reviews may wait in a lane that are judged one after the other.
    pub large: usize,
    /// For the TLS handshake: the apiserver's own is 10 s.
    pub handshake: Duration,
    /// For a large review about a stranger, from when it was there; after it the review passes with a warning.
    /// The apiserver waits for three seconds and then lets it pass in silence.
    pub others: Duration,
    /// For a request's headers, and with HTTP/1.1 for the next request on a kept connection: the
    /// apiserver keeps idle ones for 90 s and fails a review when one is cut before.
    pub headers: Duration,
    /// For a request's body: no webhook may take longer than 30 s in all, 10 s is the default.
    pub body: Duration,
    /// How long connections are asked to close before they are closed: the apiserver keeps idle ones
    /// and does not retry on one that is cut.
    pub linger: Duration,
    /// How long requests that are being answered then still have.
    pub drain: Duration,
    /// How often files are looked at; kubelet itself takes a minute to bring a change.
    pub tick: Duration,
    /// How often the registration is looked at: so long one that was deleted by hand stays away.
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
            events: None,
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
            events: None,
            tls_names: args.tls_names,
            limits: Limits {
                linger: Duration::from_secs(args.linger),
                ..Limits::default()
            },
        }
    }
}
