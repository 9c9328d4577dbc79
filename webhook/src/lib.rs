//! fluxkeep's admission server.
//!
//! The crate passes bytes from the socket to the core's [`answer`](fluxkeep::admission::answer) and
//! back. [`Settings`] are bound to sockets and files as [`Bound`], which then serves until told to
//! stop.

mod auditor;
mod authority;
mod body;
mod connections;
mod door;
pub mod events;
mod lane;
mod large_reviews;
mod limit;
mod log;
mod logging;
mod metrics;
mod observe;
pub mod open_files;
mod probe;
mod readiness;
pub mod recovery;
pub mod registration;
mod reload;
mod server;
mod settings;
pub mod source;
mod state;
pub mod stop;
mod tls;
pub mod version;

pub use authority::{AuthorityStore, REGISTRATION, SecretName};
pub use events::Events;
pub use logging::Logging;
pub use metrics::Metrics;
pub use readiness::{Pending, Readiness};
pub use recovery::RecoveryPoints;
pub use reload::Reload;
pub use server::{Bound, Unbound};
pub use settings::{Args, Command, Limits, Settings};
pub use state::ServerState;
