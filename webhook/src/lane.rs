//! A lane a scope: reviews of one never wait for those of the other.

use std::io;
use std::time::Duration;

use fluxkeep::admission::Budget;
use tokio::time::Instant;

use crate::large_reviews::LargeReviews;
use crate::limit::Limit;
use crate::registration::Scope;
use crate::settings::Limits;

/// Where the reviews of one scope are read and judged.
#[derive(Clone)]
pub(crate) struct Lane {
    /// The bytes of all bodies that are being read or judged.
    pub(crate) bodies: Limit,
    /// Where reviews are judged that become large.
    pub(crate) large: LargeReviews,
    /// What each of them may take.
    pub(crate) budget: Budget,
    /// How long each of them may take from when it was there; none where the apiserver's patience counts.
    patience: Option<Duration>,
}

/// The lanes. Which one a request takes is its caller's word, so each is bounded by itself.
#[derive(Clone)]
pub(crate) struct Lanes {
    engine: Lane,
    others: Lane,
}

impl Lanes {
    /// Starts a thread a lane.
    ///
    /// # Errors
    /// When the system has no thread to give.
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
    /// When the answer to a review that came then has to be there.
    pub(crate) fn deadline(&self, since: Instant) -> Option<Instant> {
        self.patience.map(|patience| since + patience)
    }

    fn start(scope: Scope, limits: &Limits) -> io::Result<Self> {
        let name = format!("large-{}", scope.name());
        // A review that is judged at once always finds room beside those that wait.
        let waiting = limits.bodies / 3 * 2;
        let (budget, patience) = match scope {
            Scope::Engine => (Budget::ENGINE, None),
            Scope::Others => (Budget::OTHERS, Some(limits.others)),
        };
        Ok(Self {
            budget,
            patience,
            bodies: Limit::new(limits.bodies),
            large: LargeReviews::start(&name, limits.large, waiting)?,
        })
    }
}
