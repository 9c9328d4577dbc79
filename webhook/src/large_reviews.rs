//! Large reviews are judged one after the other, on one thread per lane.
//!
//! A release record unpacks to ten times its length or more, up to 32 MiB. Its manifest is as long
//! again. The thread keeps these buffers for the next review; many threads would each keep their
//! own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::limit::Limit;

type Work = Box<dyn FnOnce() + Send>;

/// A thread and its queue of reviews. The thread ends when the last handle is dropped.
#[derive(Clone)]
pub(crate) struct LargeReviews {
    works: mpsc::Sender<Work>,
    /// Limits the bytes of waiting and running reviews.
    bytes: Limit,
}

/// The reason why a review was not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undone {
    /// The queue is full.
    Full,
    /// The deadline passed. A review that has begun is finished, and its result dropped.
    TooLate,
    /// Judging panicked.
    Panicked,
}

impl LargeReviews {
    /// Starts a thread with this name, inside the current runtime. At most `most` reviews wait, and
    /// `bytes` limits the bodies that wait or are judged.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub(crate) fn start(name: &str, most: usize, bytes: usize) -> std::io::Result<Self> {
        let (works, mut waiting) = mpsc::channel::<Work>(most);
        let runtime = Handle::current();
        let worker = move || {
            let _inside = runtime.enter();
            while let Some(work) = waiting.blocking_recv() {
                work();
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(worker)?;
        Ok(Self {
            works,
            bytes: Limit::new(bytes),
        })
    }

    /// Runs the work for a body of `bytes` in its turn, before the deadline if one is given.
    ///
    /// # Errors
    /// If the work was not done.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        deadline: Option<Instant>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let share = self.bytes.enter_held(bytes).ok_or(Undone::Full)?;
        let (done, result) = oneshot::channel();
        let work = move || {
            // The receiver is gone after its deadline, or because the client left.
            if done.is_closed() {
                return;
            }
            // A panic costs this review its answer; the thread lives on for the next review.
            let result = catch_unwind(AssertUnwindSafe(work));
            drop(share);
            if let Ok(result) = result {
                let _ = done.send(result);
            }
        };
        if self.works.try_send(Box::new(work)).is_err() {
            return Err(Undone::Full);
        }
        let Some(deadline) = deadline else {
            return result.await.map_err(|_| Undone::Panicked);
        };
        match timeout_at(deadline, result).await {
            Ok(result) => result.map_err(|_| Undone::Panicked),
            Err(_) => Err(Undone::TooLate),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;
    use std::time::Duration;
    use tokio::task::{JoinHandle, yield_now};

    fn large(most: usize, bytes: usize) -> LargeReviews {
        LargeReviews::start("large", most, bytes).unwrap()
    }

    /// Blocks the thread until the sender is dropped; returns once it blocks.
    async fn blocked(
        large: &LargeReviews,
        bytes: usize,
    ) -> (std::sync::mpsc::Sender<()>, JoinHandle<Result<(), Undone>>) {
        let (open, gate) = channel::<()>();
        let (begun, begins) = oneshot::channel();
        let large = large.clone();
        let waits = move || {
            let _ = begun.send(());
            let _ = gate.recv();
        };
        let task = tokio::spawn(async move { large.run(bytes, None, waits).await });
        begins.await.unwrap();
        (open, task)
    }

    #[tokio::test]
    async fn work_goes_on_behind_one_that_panicked() {
        let large = large(1, 1);
        let panicked = large.run(1, None, || panic!("as asked")).await;
        assert_eq!(panicked, Err::<(), _>(Undone::Panicked));
        assert_eq!(large.run(1, None, || 1).await, Ok(1));
    }

    #[tokio::test]
    async fn no_more_wait_than_may_and_no_more_bytes() {
        let few = large(1, 100);
        let (open, one) = blocked(&few, 1).await;
        let waiting = tokio::spawn({
            let few = few.clone();
            async move { few.run(1, None, || ()).await }
        });
        while few.works.capacity() > 0 {
            yield_now().await;
        }
        assert_eq!(few.run(1, None, || ()).await, Err(Undone::Full));
        drop(open);
        assert_eq!(one.await.unwrap(), Ok(()));
        assert_eq!(waiting.await.unwrap(), Ok(()));

        let small = large(100, 3);
        let (open, one) = blocked(&small, 2).await;
        assert_eq!(small.run(2, None, || ()).await, Err(Undone::Full));
        drop(open);
        assert_eq!(one.await.unwrap(), Ok(()));
        assert_eq!(small.run(2, None, || ()).await, Ok(()));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_not_begun() {
        let large = large(2, 100);
        let (open, one) = blocked(&large, 1).await;
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = {
            let begun = begun.clone();
            move || begun.fetch_add(1, Ordering::SeqCst)
        };
        let deadline = Instant::now() + Duration::from_millis(1);
        let late = large.run(1, Some(deadline), counted).await;
        assert_eq!(late, Err(Undone::TooLate));
        drop(open);
        assert_eq!(one.await.unwrap(), Ok(()));
        assert_eq!(large.run(1, None, || ()).await, Ok(()));
        assert_eq!(begun.load(Ordering::SeqCst), 0);
    }
}
