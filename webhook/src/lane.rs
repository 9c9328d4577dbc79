//! A lane per scope: reviews of one scope never wait for the other's.
//!
//! The request's path names the lane, and a caller may choose any path, so each lane has its own
//! limits. In the engine's lane a full queue is answered with HTTP 429, and the apiserver tries again.
//! In the others' lane a full queue or a passed deadline is answered by the envelope alone: with a
//! warning, or with 429 if the envelope names the engine.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fluxkeep::admission::ReviewBudget;
use fluxkeep_cluster::LogLimit;
use tokio::time::Instant;

use crate::large_reviews::LargeReviews;
use crate::limit::Limit;
use crate::registration::Scope;
use crate::settings::Limits;

/// The limits and the thread for reviews of a scope.
#[derive(Clone)]
pub(crate) struct Lane {
    /// Limits the bytes of all bodies being read or judged.
    pub(crate) bodies: Limit,
    /// The thread that judges large reviews.
    pub(crate) large: LargeReviews,
    /// Limits the log lines about reviews.
    pub(crate) lines: Arc<LogLimit>,
    /// The budget of a review.
    pub(crate) budget: ReviewBudget,
    /// Limit for a large review since its body was read; `None` if only the apiserver's timeout applies.
    patience: Option<Duration>,
}

/// Both lanes.
#[derive(Clone)]
pub(crate) struct Lanes {
    engine: Lane,
    others: Lane,
}

impl Lanes {
    /// Starts a thread per lane.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub(crate) fn start(limits: &Limits) -> io::Result<Self> {
        Ok(Self {
            engine: Lane::start(Scope::Engine, limits)?,
            others: Lane::start(Scope::Others, limits)?,
        })
    }

    /// The lane of a scope.
    pub(crate) fn of(&self, scope: Scope) -> &Lane {
        match scope {
            Scope::Engine => &self.engine,
            Scope::Others => &self.others,
        }
    }
}

impl Lane {
    /// The deadline for the answer to a review whose body was read at `since`.
    pub(crate) fn deadline(&self, since: Instant) -> Option<Instant> {
        self.patience.map(|patience| since + patience)
    }

    fn start(scope: Scope, limits: &Limits) -> io::Result<Self> {
        let name = format!("large-{}", scope.name());
        // A third of the bytes stays free for reviews that are judged at once.
        let waiting = limits.bodies / 3 * 2;
        let (budget, patience) = match scope {
            Scope::Engine => (ReviewBudget::ENGINE, None),
            Scope::Others => (ReviewBudget::OTHERS, Some(limits.others)),
        };
        Ok(Self {
            budget,
            patience,
            lines: Arc::default(),
            bodies: Limit::new(limits.bodies),
            large: LargeReviews::start(&name, limits.large, waiting)?,
        })
    }
}
