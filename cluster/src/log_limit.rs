//! A cap on log lines, so that a flood of requests or objects is no flood of lines.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lines that may be logged at once: more than a release's objects.
const BURST: u32 = 100;
/// Time after which one more line may be logged.
const EACH: Duration = Duration::from_millis(200);

/// Caps the lines about one subject: `BURST` at once, then one each `EACH`.
#[derive(Debug, Default)]
pub struct LogLimit(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    /// The time at which every logged line is paid for.
    paid: Option<Instant>,
    left_out: u64,
}

impl LogLimit {
    /// Logs a line, or leaves it out and returns false. `log` gets the number of lines that were left
    /// out since the last one, if any.
    pub fn line(&self, log: impl FnOnce(Option<u64>)) -> bool {
        let Some(left_out) = self.permit() else {
            return false;
        };
        log((left_out > 0).then_some(left_out));
        true
    }

    /// The number of lines left out before this one, or `None` if this one is to be left out.
    fn permit(&self) -> Option<u64> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let paid = lines.paid.map_or(now, |paid| paid.max(now)) + EACH;
        if paid > now + EACH * BURST {
            lines.left_out += 1;
            return None;
        }
        lines.paid = Some(paid);
        Some(std::mem::take(&mut lines.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_a_hundred_lines_and_five_a_second_and_the_rest_is_counted() {
        let limit = LogLimit::default();
        let logged = |tries: usize| (0..tries).filter(|_| limit.permit().is_some()).count();
        assert_eq!(logged(10_000), 100);
        advance(Duration::from_secs(1)).await;
        assert_eq!(limit.permit(), Some(9_900));
        assert_eq!(logged(10_000), 4);
        advance(Duration::from_mins(1)).await;
        assert_eq!(limit.permit(), Some(9_996));
        assert_eq!(logged(10_000), 99);
    }
}
