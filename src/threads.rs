//! The same work on many pieces, shared out among threads.

use rayon::ThreadPoolBuilder;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

/// Less is done sooner than a thread starts.
const LEAST: usize = 256 << 10;

/// What `work` makes of each piece, in their order. At most so many threads do it, where the pieces have some
/// weight together, in bytes; none is one.
pub fn map<T: Sync, R: Send>(
    pieces: &[T],
    threads: usize,
    weight: impl Fn(&T) -> usize,
    work: impl Fn(&T) -> R + Send + Sync,
) -> Vec<R> {
    let is_worth_it = threads > 1 && pieces.iter().map(weight).sum::<usize>() > LEAST;
    match is_worth_it.then(|| ThreadPoolBuilder::new().num_threads(threads).build()) {
        Some(Ok(pool)) => pool.install(|| pieces.par_iter().map(work).collect()),
        // Where no thread can be had, this one is left.
        _ => pieces.iter().map(work).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_out_comes_back_in_order() {
        let pieces: Vec<_> = (0..1_000).collect();
        let after: Vec<_> = (1..1_001).collect();
        for threads in [0, 1, 3] {
            assert_eq!(map(&pieces, threads, |_| LEAST, |piece| piece + 1), after);
        }
    }

    #[test]
    #[should_panic(expected = "bad piece")]
    fn a_panic_is_that_of_the_caller() {
        map(&[1, 2], 2, |_| LEAST, |_| panic!("bad piece"));
    }
}
