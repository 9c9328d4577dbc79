//! The same work on many pieces, shared out among threads.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Less is done sooner than a thread starts.
const LEAST: usize = 256 << 10;

/// As much as a program's first thread has: a nested document takes some.
const STACK: usize = 8 << 20;

/// Threads that share the work on a long text. They end with it.
#[derive(Debug, Default)]
pub struct Crew(Option<ThreadPool>);

impl Crew {
    /// For a text of so many bytes, at most so many threads. Where none can be had, or none would be worth it,
    /// the caller's does the work.
    #[must_use]
    pub fn of(length: usize, most: usize) -> Self {
        let pool = || ThreadPoolBuilder::new().num_threads(most).stack_size(STACK).build().ok();
        Self(if length > LEAST && most > 1 { pool() } else { None })
    }

    /// What `work` makes of each piece, in their order.
    pub fn map<T: Sync, R: Send>(&self, pieces: &[T], work: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
        match &self.0 {
            Some(pool) => pool.install(|| pieces.par_iter().map(work).collect()),
            None => pieces.iter().map(work).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    #[test]
    fn what_is_shared_out_comes_back_in_order() {
        let pieces: Vec<_> = (0..1_000).collect();
        let after: Vec<_> = (1..1_001).collect();
        for (length, most, are_several) in [(LEAST, 3, false), (LEAST + 1, 1, false), (LEAST + 1, 3, true)] {
            let crew = Crew::of(length, most);
            assert_eq!(crew.0.is_some(), are_several);
            assert_eq!(crew.map(&pieces, |piece| piece + 1), after);
        }
    }

    #[test]
    #[should_panic(expected = "bad piece")]
    fn a_panic_is_that_of_the_caller() {
        Crew::of(LEAST + 1, 2).map(&[1, 2], |_| panic!("bad piece"));
    }
}
