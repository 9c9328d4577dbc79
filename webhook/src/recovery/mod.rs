//! Keeps recovery points of the engine in the server's own namespace, so that deleting the engine's
//! namespace takes nothing away.
//!
//! There is no leader: every replica looks, and writes what is missing. A write names the version
//! that it replaces, so the slower of two replicas is refused and finds the point in place.

mod keeper;
mod rights;

use std::fmt;
use std::time::Duration;

use kube::Client;

pub(crate) use keeper::RecoveryKeeper;
pub use rights::{engine_rights, store_rights};

/// The cluster whose engine is kept, and the place of its recovery points.
#[derive(Clone)]
pub struct RecoveryPoints {
    /// The cluster.
    pub client: Client,
    /// The namespace of the points.
    pub kept_in: String,
    /// Time for which the engine must stay as it is before it becomes a point.
    pub quiet: Duration,
}

impl fmt::Debug for RecoveryPoints {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("RecoveryPoints")
            .field("kept_in", &self.kept_in)
            .field("quiet", &self.quiet)
            .finish_non_exhaustive()
    }
}
