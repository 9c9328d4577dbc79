//! What the people who run the cluster decided: a level per rule, the engine's place, overrides.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::engine::Engine;
use crate::finding::Level;

/// An override is for a piece of work, not for good.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Levels, engine, overrides, mutation. The default is every rule's own level and nothing beside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// By a rule's id, what its findings weigh at most; other rules keep their own level.
    pub levels: BTreeMap<&'static str, Level>,
    /// By what the engine is known.
    pub engine: Engine,
    /// Whether a HelmRelease that holds the engine gets, on admission, the post-renderer that keeps it.
    pub mutates_helm_releases: bool,
    /// The overrides of the file, in its order.
    pub overrides: Vec<Standing>,
}

/// An override of the policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The rule's id.
    pub rule: &'static str,
    /// `Kind/name` or `Kind/namespace/name`.
    pub object: String,
    /// Why.
    pub reason: String,
    /// When it ends.
    pub until: Timestamp,
}
