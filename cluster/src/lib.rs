//! Gathers the facts: one trait, whatever they come from.
//!
//! A snapshot is what `kubectl get … -o yaml` or `-o json` prints. [`gather`] writes one from a
//! cluster, without Secrets, schemas and values; [`Snapshot`] reads one. The server and its tests
//! run on a snapshot without any cluster.

pub mod gather;
mod lean;
mod snapshot;

pub use snapshot::{BUILT_IN, Snapshot, Unloadable, documents};

use std::sync::Arc;
use std::time::SystemTime;

use fluxkeep::facts::Facts;

/// Where facts come from.
pub trait Source: Send + Sync + std::fmt::Debug {
    /// What is known now. Cheap: a judgement asks once and keeps its own view.
    fn facts(&self) -> Arc<Facts>;

    /// A short name, the label `source` of metrics: `snapshot` or `cluster`.
    fn name(&self) -> &'static str;

    /// When the facts were true last.
    fn as_of(&self) -> SystemTime;
}
