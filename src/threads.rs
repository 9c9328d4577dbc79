//! The same work on many pieces, shared out among threads.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread::available_parallelism;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder, Yield, yield_local};

/// As much as a program's first thread has: a nested document takes some.
const STACK: usize = 8 << 20;

/// No more pieces are awaited while so many wait for their turn. Each of them is worked on, whatever the others are.
const AHEAD: usize = 4;

/// Threads that share the work on a long text, the caller's among them: that one does not wait, and one less needs
/// memory of its own. The others begin with the second piece of a stream, and end with this. A thread can be the
/// caller of one crew only: in the next one it waits. The others' stacks are of 8 MiB, the caller's is what it is.
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
        Self {
            most,
            pool: OnceLock::new(),
        }
    }

    /// What `work` makes of each piece, in their order. One thread awaits the pieces, and works where the others fall
    /// behind; each piece that was taken is worked on.
    pub fn stream<T: Send, R: Send>(
        &self,
        mut pieces: impl Iterator<Item = T> + Send,
        work: impl Fn(T) -> R + Send + Sync,
    ) -> Vec<R> {
        let begin: Vec<_> = pieces.by_ref().take(2).collect();
        let pool = if begin.len() > 1 { self.pool() } else { None };
        let pieces = begin.into_iter().chain(pieces);
        let Some(pool) = pool else {
            return pieces.map(work).collect();
        };
        let (sender, done) = mpsc::channel();
        let (work, waiting) = (&work, &AtomicUsize::new(0));
        pool.scope_fifo(|scope| {
            for (number, piece) in pieces.enumerate() {
                waiting.fetch_add(1, Ordering::Relaxed);
                let sender = sender.clone();
                scope.spawn_fifo(move |_| {
                    waiting.fetch_sub(1, Ordering::Relaxed);
                    // The receiver is there for longer.
                    let _ = sender.send((number, work(piece)));
                });
                while waiting.load(Ordering::Relaxed) > AHEAD
                    && yield_local() == Some(Yield::Executed)
                {}
            }
        });
        drop(sender);
        let mut done: Vec<_> = done.into_iter().collect();
        done.sort_unstable_by_key(|(number, _)| *number);
        done.into_iter().map(|(_, done)| done).collect()
    }

    /// What `work` makes of each piece, in their order; shared out where threads run already.
    pub fn map<T: Sync, R: Send>(
        &self,
        pieces: &[T],
        work: impl Fn(&T) -> R + Send + Sync,
    ) -> Vec<R> {
        match self.pool.get() {
            Some(Some(pool)) => pool.install(|| pieces.par_iter().map(work).collect()),
            _ => pieces.iter().map(work).collect(),
        }
    }

    /// Two works, at the same time where threads run already; else one after the other.
    pub fn both<A: Send, B: Send>(
        &self,
        one: impl FnOnce() -> A + Send,
        other: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        match self.pool.get() {
            Some(Some(pool)) => pool.join(one, other),
            _ => (one(), other()),
        }
    }

    fn pool(&self) -> Option<&ThreadPool> {
        let several = || {
            let most = available_parallelism()
                .map_or(1, NonZero::get)
                .min(self.most);
            let pool = || ThreadPoolBuilder::new().num_threads(most).stack_size(STACK);
            // A thread stays in its first pool for good, even one that could not be built.
            let built = || {
                pool()
                    .use_current_thread()
                    .build()
                    .or_else(|_| pool().build())
            };
            if most > 1 { built().ok() } else { None }
        };
        self.pool
            .get_or_init(|| if self.most > 1 { several() } else { None })
            .as_ref()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    #[test]
    fn what_is_shared_out_comes_back_in_order() {
        let can_share = available_parallelism().is_ok_and(|threads| threads.get() > 1);
        for (count, most, are_several) in [
            (0, 3, false),
            (1, 3, false),
            (2, 3, true),
            (1_000, 1, false),
            (1_000, 3, true),
        ] {
            // Once more where the first one keeps the thread.
            for _ in 0..2 {
                let crew = Crew::of(most);
                let after: Vec<_> = (1..=count).collect();
                assert_eq!(crew.stream(0..count, |piece| piece + 1), after);
                assert_eq!(
                    crew.pool.get().is_some_and(Option::is_some),
                    are_several && can_share,
                    "{count} pieces, {most} threads"
                );
                assert_eq!(
                    crew.map(&after, |piece| piece - 1),
                    (0..count).collect::<Vec<_>>()
                );
                assert_eq!(crew.both(|| count, || most), (count, most));
            }
        }
    }

    #[test]
    fn no_more_is_awaited_than_is_worked_on_soon() {
        let begun = AtomicUsize::new(0);
        let most = AHEAD + 4;
        let pieces =
            (0..1_000).inspect(|taken| assert!(*taken <= begun.load(Ordering::Relaxed) + most));
        assert_eq!(
            Crew::of(3)
                .stream(pieces, |_| begun.fetch_add(1, Ordering::Relaxed))
                .len(),
            1_000
        );
    }

    #[test]
    #[should_panic(expected = "bad piece")]
    fn a_panic_is_that_of_the_caller() {
        Crew::of(2).stream([1, 2].into_iter(), |_| panic!("bad piece"));
    }
}
