//! A bound on the requests a second.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Gives each request its turn. Without a bound, every turn comes at once.
pub(super) struct Pace(Option<Mutex<Interval>>);

impl Pace {
    /// At most this many requests a second.
    pub(super) fn of(most: Option<NonZeroU32>) -> Self {
        Self(most.map(|most| {
            let mut turns = interval(Duration::from_secs(1) / most.get());
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Mutex::new(turns)
        }))
    }

    /// Waits for the next turn.
    pub(super) async fn turn(&self) {
        if let Some(turns) = &self.0 {
            turns.lock().await.tick().await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_hundred_requests_at_fifty_a_second_take_two_seconds() {
        let pace = Pace::of(NonZeroU32::new(50));
        let began = Instant::now();
        for _ in 0..=100 {
            pace.turn().await;
        }
        assert_eq!(began.elapsed().as_millis(), 2_000);
    }
}
