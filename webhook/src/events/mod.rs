//! Events after a refusal. They are needed because `helm uninstall` hides the refusal, and
//! helm-controller shows it in a single event.
//!
//! An answer never waits for Events. `plan` derives notes from an answer; a dry run gives none. Notes
//! go into a bounded queue; those that find no room are dropped and counted. Repeated notes become
//! one Event with a count, written at most every ten seconds. At most 20 Events are written per
//! second, each with its object's uid, by which `kubectl describe` finds Events.

mod aggregator;
mod event_writer;
mod plan;
mod rights;

use std::fmt;

use kube::Client;

pub(crate) use event_writer::EventWriter;
pub use rights::rights;

/// The cluster in which Events report refusals.
#[derive(Clone)]
pub struct Events(pub Client);

impl fmt::Debug for Events {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Events").finish_non_exhaustive()
    }
}
