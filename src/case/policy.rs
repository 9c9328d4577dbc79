//! The decisions of the people who run the cluster: levels of rules, the engine's place, overrides.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::case::finding::Level;
use crate::flux::engine::Engine;

/// Longest time until an override ends: an override serves a piece of work, not for good.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Levels, engine, overrides, mutation. The default keeps every rule's level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The most that a rule's findings weigh, by its id. Other rules keep their own level.
    pub levels: BTreeMap<&'static str, Level>,
    /// The profile that identifies the engine.
    pub engine: Engine,
    /// True if admission adds the keeping post-renderer to a HelmRelease that holds the engine.
    pub mutates_helm_releases: bool,
    /// The overrides of the file, in its order.
    pub overrides: Vec<OverrideEntry>,
}

/// An override of the policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideEntry {
    /// The rule's id.
    pub rule: &'static str,
    /// `Kind/name` or `Kind/namespace/name`.
    pub object: String,
    /// The reason for the override.
    pub reason: String,
    /// The end of the override.
    pub until: Timestamp,
}
