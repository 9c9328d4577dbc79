//! fluxkeep's admission server.
//!
//! It only carries: bytes from the socket to the core's [`answer`](fluxkeep::admission::answer) and
//! back. [`Settings`] are bound to sockets and files ([`Bound`]), which are then served until told to
//! stop.

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
mod readiness;
pub mod registration;
mod server;
mod settings;
pub mod source;
mod state;
mod tls;
mod upkeep;
pub mod usage;
pub mod version;

pub use authority::{Place, REGISTRATION, SecretName};
pub use events::Events;
pub use logging::Logging;
pub use metrics::Metrics;
pub use readiness::{Pending, Readiness};
pub use server::{Bound, Unbound};
pub use settings::{Args, Command, Limits, Settings};
pub use state::State;
pub use upkeep::Upkeep;

use mimalloc::MiMalloc;

/// A release record needs buffers of a megabyte for a moment. glibc maps and unmaps them anew for
/// each review, which costs a third of its time. Without huge pages: an idle server has a megabyte,
/// and each thread's first page would be two.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;
