//! How many handshakes run at once.

use std::collections::VecDeque;
use std::convert::Infallible;

use tokio::sync::oneshot;

/// Lets the newest handshake begin and, beyond the bound, the oldest give way. Clients that open
/// connections and say nothing then crowd out each other; the apiserver is through in milliseconds.
/// All give way when this is dropped.
#[derive(Debug)]
pub(crate) struct Turns {
    most: usize,
    given: VecDeque<oneshot::Sender<Infallible>>,
}

/// A handshake's leave to go on; dropped when it is done.
#[derive(Debug)]
pub(crate) struct Turn(oneshot::Receiver<Infallible>);

impl Turns {
    /// No more than `most` at once.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            given: VecDeque::new(),
        }
    }

    /// A turn for the handshake that begins now.
    pub(crate) fn next(&mut self) -> Turn {
        if self.given.len() >= self.most {
            self.given.retain(|given| !given.is_closed());
        }
        if self.given.len() >= self.most {
            self.given.pop_front();
        }
        let (given, turn) = oneshot::channel();
        self.given.push_back(given);
        Turn(turn)
    }
}

impl Turn {
    /// Waits until the handshake has to give way.
    pub(crate) async fn over(self) {
        let _ = self.0.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_over(turn: &mut Turn) -> bool {
        matches!(turn.0.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }

    #[test]
    fn the_oldest_handshake_gives_way_to_the_newest() {
        let mut turns = Turns::new(2);
        let (mut first, mut second) = (turns.next(), turns.next());
        assert!(!is_over(&mut first));
        let mut third = turns.next();
        assert!(is_over(&mut first));
        assert!(!is_over(&mut second) && !is_over(&mut third));
    }

    #[test]
    fn a_handshake_that_is_done_makes_room() {
        let mut turns = Turns::new(2);
        let mut slow = turns.next();
        for _ in 0..10 {
            drop(turns.next());
        }
        assert!(!is_over(&mut slow));
    }
}
