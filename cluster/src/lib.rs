//! Gathers the facts. All sources implement one trait.
//!
//! A snapshot has the form of `kubectl get … -o yaml` or `-o json`. [`gather`] takes one from a
//! cluster, without Secrets, schemas and values; [`Snapshot`] loads one. [`Live`] follows a
//! cluster. The table in [`collections`] lists the resources to read and gives the RBAC rights.

pub mod collections;
pub mod connect;
mod failure;
pub mod gather;
mod item;
mod live;
mod log_limit;
mod pages;
pub mod policy;
pub mod rbac;
pub mod recovery;
mod snapshot;
pub mod usage;
pub mod write;

pub use failure::reason;
pub use live::Live;
pub use log_limit::LogLimit;
pub use snapshot::{BUILT_IN, Snapshot, Unloadable, documents, documents_with};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use fluxkeep::case::facts::Facts;
use fluxkeep::flux::engine::Engine;

/// A change of a CRD's spec, which also counts as `modified`. The registration asks about each.
pub const SPEC_CHANGED: &str = "spec";

/// Watch events taken, counted by resource and by `added`, `modified` or `deleted`. CRDs are also
/// counted under [`SPEC_CHANGED`].
pub type Changes = BTreeMap<(&'static str, &'static str), u64>;

/// A source of facts.
pub trait FactSource: Send + Sync + std::fmt::Debug {
    /// The current facts. Cheap to call: a review asks once and keeps its view.
    fn facts(&self) -> Arc<Facts>;

    /// The source's name, which is the label `source` of metrics: `snapshot` or `cluster`.
    fn name(&self) -> &'static str;

    /// The last time at which the facts were true.
    fn as_of(&self) -> SystemTime;

    /// Resources not yet read, for example `deployments`; no review may be judged while any remain.
    fn pending(&self) -> BTreeSet<&'static str> {
        BTreeSet::new()
    }

    /// The changes seen so far; empty for a source that never changes.
    fn changes(&self) -> Changes {
        Changes::new()
    }

    /// Follows the engine in its current namespaces. A complete source need not do anything.
    fn follow(&self, _engine: &Engine) {}
}
