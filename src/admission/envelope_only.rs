//! Reviews that are answered by their envelope alone.

use crate::case::request::Obstacle;

/// The reason why only the envelope of a review is read. Rule `review-unreadable` refuses such a
/// review if it may be about the engine, else it warns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvelopeOnly {
    /// Other reviews take the server's time. A refusal has status 429, and the client tries again.
    Busy,
    /// The review is longer than [`LONGEST_BODY`](super::LONGEST_BODY).
    TooLong {
        /// True if the review is about the engine, whatever its envelope says.
        is_engines: bool,
    },
}

impl EnvelopeOnly {
    /// The reason, as a clause.
    #[must_use]
    pub const fn clause(self) -> &'static str {
        match self {
            Self::Busy => "other large reviews used up its time",
            Self::TooLong { .. } => "its review is longer than 8 MiB",
        }
    }

    pub(super) const fn obstacle(self) -> Obstacle {
        match self {
            Self::Busy => Obstacle::Time,
            Self::TooLong { .. } => Obstacle::Length,
        }
    }
}
