//! Events after a refusal. They are needed because `helm uninstall` hides the refusal, and
//! helm-controller shows it in a single event.
//!
//! An answer never waits for Events. Notes go into a bounded queue. Repeated notes become one Event
//! with a count, written at most every ten seconds.

mod ledger;
mod plan;
mod rights;
mod teller;

use std::fmt;

use kube::Client;

pub use rights::rights;
pub(crate) use teller::Teller;

/// The cluster in which Events report refusals.
#[derive(Clone)]
pub struct Events(pub Client);

impl fmt::Debug for Events {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Events").finish_non_exhaustive()
    }
}
