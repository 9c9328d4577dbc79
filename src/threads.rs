//! The same work on many pieces, shared out among threads.

use std::num::NonZero;
use std::sync::OnceLock;
use std::thread::available_parallelism;

use rayon::iter::{IntoParallelRefIterator, ParallelBridge, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// As much as a program's first thread has: a nested document takes some.
const STACK: usize = 8 << 20;

/// Threads that share the work on a long text. They begin with the second piece of a stream, and end with this.
#[derive(Debug)]
pub struct Crew {
    most: usize,
    pool: OnceLock<Option<ThreadPool>>,
}

impl Default for Crew {
    /// The caller's thread alone.
    fn default() -> Self {
        Self::of(1)
    }
}

impl Crew {
    /// At most so many threads, and no more than can run at once. Where none can be had, or only one is wanted,
    /// the caller's does the work.
    #[must_use]
    pub const fn of(most: usize) -> Self {
        Self { most, pool: OnceLock::new() }
    }

    /// What `work` makes of each piece, in their order. Each thread takes the next piece when it is done with one,
    /// so pieces are worked on while others are still awaited.
    pub fn stream<T: Send, R: Send>(
        &self,
        mut pieces: impl Iterator<Item = T> + Send,
        work: impl Fn(T) -> R + Send + Sync,
    ) -> Vec<R> {
        let begin: Vec<_> = pieces.by_ref().take(2).collect();
        let pool = if begin.len() > 1 { self.pool() } else { None };
        let pieces = begin.into_iter().chain(pieces);
        let Some(pool) = pool else { return pieces.map(work).collect() };
        let numbered = pieces.enumerate().par_bridge().map(|(number, piece)| (number, work(piece)));
        let mut done: Vec<_> = pool.install(|| numbered.collect());
        done.sort_unstable_by_key(|(number, _)| *number);
        done.into_iter().map(|(_, done)| done).collect()
    }

    /// What `work` makes of each piece, in their order; shared out where threads run already.
    pub fn map<T: Sync, R: Send>(&self, pieces: &[T], work: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
        match self.pool.get() {
            Some(Some(pool)) => pool.install(|| pieces.par_iter().map(work).collect()),
            _ => pieces.iter().map(work).collect(),
        }
    }

    fn pool(&self) -> Option<&ThreadPool> {
        let several = || {
            let most = available_parallelism().map_or(1, NonZero::get).min(self.most);
            let pool = ThreadPoolBuilder::new().num_threads(most).stack_size(STACK);
            if most > 1 { pool.build().ok() } else { None }
        };
        self.pool.get_or_init(|| if self.most > 1 { several() } else { None }).as_ref()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    #[test]
    fn what_is_shared_out_comes_back_in_order() {
        let can_share = available_parallelism().is_ok_and(|threads| threads.get() > 1);
        for (count, most, are_several) in
            [(0, 3, false), (1, 3, false), (2, 3, true), (1_000, 1, false), (1_000, 3, true)]
        {
            let crew = Crew::of(most);
            let after: Vec<_> = (1..=count).collect();
            assert_eq!(crew.stream(0..count, |piece| piece + 1), after);
            assert_eq!(
                crew.pool.get().is_some_and(Option::is_some),
                are_several && can_share,
                "{count} pieces, {most} threads"
            );
            assert_eq!(crew.map(&after, |piece| piece - 1), (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    #[should_panic(expected = "bad piece")]
    fn a_panic_is_that_of_the_caller() {
        Crew::of(2).stream([1, 2].into_iter(), |_| panic!("bad piece"));
    }
}
