//! Bounds on the resources of a review.

use crate::helm::record::MOST_DECOMPRESSED;
use crate::manifest::MOST_DOCUMENTS;

/// Bounds of a review. Parts beyond them stay unread, which is a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReviewBudget {
    /// Bytes of a release record, decompressed.
    pub unpacked: usize,
    /// Documents of a record's manifest and hooks together, and their objects.
    pub documents: usize,
    /// YAML nodes that are read of them, as [`yaml::NodeBudget`](crate::yaml::NodeBudget) counts. Two
    /// million take about a second.
    pub nodes: usize,
}

impl ReviewBudget {
    /// For a review about the engine: no part of it passes unread.
    pub const ENGINE: Self = Self {
        unpacked: MOST_DECOMPRESSED,
        documents: MOST_DOCUMENTS,
        nodes: 8_000_000,
    };

    /// For a review about a stranger. Beyond it, the review passes with a warning. Twice the size
    /// of the largest charts.
    pub const OTHERS: Self = Self {
        unpacked: MOST_DECOMPRESSED / 2,
        documents: MOST_DOCUMENTS / 5,
        nodes: 1_000_000,
    };
}

impl Default for ReviewBudget {
    fn default() -> Self {
        Self::ENGINE
    }
}
