//! Gathers the facts: one trait, whatever they come from.
//!
//! A snapshot is what `kubectl get … -o yaml` or `-o json` prints. [`gather`] writes one from a
//! cluster, without Secrets, schemas and values; [`Snapshot`] reads one. [`Live`] follows a cluster.
//! What is read of a cluster, and the rights that this takes, stands in one table of [`collections`].

pub mod collections;
pub mod connect;
mod failure;
pub mod gather;
mod item;
mod lean;
mod live;
mod pages;
pub mod policy;
pub mod rbac;
mod snapshot;

pub use failure::reason;
pub use live::Live;
pub use snapshot::{BUILT_IN, Snapshot, Unloadable, documents};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use fluxkeep::engine::Engine;
use fluxkeep::facts::Facts;

/// How many events of watches were taken, by resource and by `added`, `modified` or `deleted`.
pub type Changes = BTreeMap<(&'static str, &'static str), u64>;

/// Where facts come from.
pub trait Source: Send + Sync + std::fmt::Debug {
    /// What is known now. Cheap: a judgement asks once and keeps its own view.
    fn facts(&self) -> Arc<Facts>;

    /// A short name, the label `source` of metrics: `snapshot` or `cluster`.
    fn name(&self) -> &'static str;

    /// When the facts were true last.
    fn as_of(&self) -> SystemTime;

    /// What was not read yet, for example `deployments`; nothing may be judged before that.
    fn pending(&self) -> BTreeSet<&'static str> {
        BTreeSet::new()
    }

    /// The changes that were seen so far. A source that never changes sees none.
    fn changes(&self) -> Changes {
        Changes::new()
    }

    /// Follows the engine where it lives now. A source that holds everything has nothing to do.
    fn follow(&self, _engine: &Engine) {}
}
