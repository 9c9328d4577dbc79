//! What one review may take.

use crate::helm::record::MOST_DECOMPRESSED;
use crate::manifest::MOST_DOCUMENTS;

/// Bounds of one review. What exceeds them is not read, and that is a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of a release record, decompressed.
    pub unpacked: usize,
    /// Documents of a record's manifest and hooks together, and objects in them.
    pub documents: usize,
}

impl Budget {
    /// For a review about the engine: nothing of it passes unread.
    pub const ENGINE: Self = Self {
        unpacked: MOST_DECOMPRESSED,
        documents: MOST_DOCUMENTS,
    };

    /// For a review about anything else, which passes unread rather than make others wait. Twice what the
    /// largest charts render.
    pub const OTHERS: Self = Self {
        unpacked: MOST_DECOMPRESSED / 2,
        documents: MOST_DOCUMENTS / 5,
    };
}

impl Default for Budget {
    fn default() -> Self {
        Self::ENGINE
    }
}
