//! Reviews that become large are judged one after the other, on one thread a lane.
//!
//! A release record unfolds to ten times its length and more, 32 MiB at most, and its manifest is as
//! long again. The thread that judged it keeps those buffers for the next one: of many threads each
//! would keep its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::limit::Limit;

type Work = Box<dyn FnOnce() + Send>;

/// A thread and the reviews that wait for it. The thread ends with the last of these.
#[derive(Clone)]
pub(crate) struct LargeReviews {
    works: mpsc::Sender<Work>,
    /// The bytes of the bodies that wait or are judged.
    bytes: Limit,
}

/// Why a review was not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undone {
    /// No more may wait.
    Full,
    /// The deadline passed. What was begun is brought to its end, and its result dropped.
    TooLate,
    /// Judging panicked.
    Panicked,
}

impl LargeReviews {
    /// Starts the thread of this name, in the runtime that this is called in. At most `most` reviews wait, and
    /// the bodies of those and of the one that is judged have at most so many bytes.
    ///
    /// # Errors
    /// When the system has no thread to give.
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

    /// Does this about a body of so many bytes when its turn comes, before the deadline if there is one.
    ///
    /// # Errors
    /// When it was not done.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        deadline: Option<Instant>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let share = self.bytes.enter_held(bytes).ok_or(Undone::Full)?;
        let (done, result) = oneshot::channel();
        let work = move || {
            // Nobody waits for it any more once its deadline has passed or its client is gone.
            if done.is_closed() {
                return;
            }
            // A panic costs that review its answer, and not the next one its thread.
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

    /// Has the thread wait until the sender is dropped; returns when it does.
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
