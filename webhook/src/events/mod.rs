//! What is told in the cluster after a refusal: `helm uninstall` hides its text, and helm-controller
//! shows it in one event only.
//!
//! An answer never waits for this. What is told goes into a bounded queue; what repeats becomes one
//! Event with a count, written at most every ten seconds.

mod ledger;
mod plan;
mod rights;
mod teller;

use std::fmt;

use kube::Client;

pub use rights::rights;
pub(crate) use teller::Teller;

/// The cluster in which refusals are told of.
#[derive(Clone)]
pub struct Events(pub Client);

impl fmt::Debug for Events {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Events").finish_non_exhaustive()
    }
}
