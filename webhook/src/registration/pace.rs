//! Limits how often a server writes the registration for one reason.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// A few writes at once, then one per interval. The interval is up to a quarter shorter, at random,
/// so that replicas do not write at the same moment.
#[derive(Debug)]
pub(super) struct Pace {
    at_once: u32,
    interval: Duration,
    /// The time at which as many writes are free as may happen at once.
    rested: Instant,
}

impl Pace {
    /// `at_once` is at least 1.
    pub(super) fn new(at_once: u32, interval: Duration) -> Self {
        Self {
            at_once,
            interval,
            rested: Instant::now(),
        }
    }

    /// True if a write may happen now.
    pub(super) fn is_free(&self) -> bool {
        let ahead = self.interval * self.at_once.saturating_sub(1);
        self.rested <= Instant::now() + ahead
    }

    /// Counts a write.
    pub(super) fn count(&mut self) {
        let from = self.rested.max(Instant::now());
        self.rested = from + self.interval - jitter(self.interval);
    }
}

/// A random part of the interval, below a quarter.
pub(crate) fn jitter(interval: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    interval * u32::from(random.to_le_bytes()[0]) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const TEN: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_few_writes_are_free_at_once_and_then_one_per_interval() {
        let mut pace = Pace::new(3, TEN);
        for _ in 0..3 {
            assert!(pace.is_free());
            pace.count();
        }
        assert!(!pace.is_free());
        advance(TEN / 5).await;
        assert!(!pace.is_free());
        advance(TEN).await;
        assert!(pace.is_free());
        pace.count();
        assert!(!pace.is_free());
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_rest_saves_up_no_more_than_may_happen_at_once() {
        let mut pace = Pace::new(2, TEN);
        advance(TEN * 100).await;
        for _ in 0..2 {
            assert!(pace.is_free());
            pace.count();
        }
        assert!(!pace.is_free());
    }

    #[test]
    fn the_jitter_differs_and_stays_below_a_quarter() {
        let all: Vec<_> = (0..50).map(|_| jitter(TEN)).collect();
        assert!(all.iter().all(|one| *one < TEN / 4));
        assert!(all.iter().any(|one| Some(one) != all.first()));
    }
}
