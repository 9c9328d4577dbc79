//! Reviews that become long are judged one after the other, on one thread.
//!
//! A release record unfolds to ten times its length and more, 32 MiB at most, and its manifest is as
//! long again. The thread that judged it keeps those buffers for the next one: of many threads each
//! would keep its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

type Work = Box<dyn FnOnce() + Send>;

/// The thread, which ends with the last of these.
#[derive(Clone)]
pub(crate) struct Unfolding(mpsc::Sender<Work>);

impl Unfolding {
    /// Starts the thread, in the runtime that this is called in.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (works, mut waiting) = mpsc::channel::<Work>(1);
        let runtime = Handle::current();
        let worker = move || {
            let _inside = runtime.enter();
            while let Some(work) = waiting.blocking_recv() {
                // A panic costs that review its answer, and not the next one its thread.
                let _ = catch_unwind(AssertUnwindSafe(work));
            }
        };
        thread::Builder::new()
            .name("unfolding".to_owned())
            .spawn(worker)?;
        Ok(Self(works))
    }

    /// Does this when its turn comes. None where it panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        // Whoever asked may have gone meanwhile.
        let work = move || drop(done.send(work()));
        self.0.send(Box::new(work)).await.ok()?;
        result.await.ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[tokio::test]
    async fn work_goes_on_behind_one_that_panicked() {
        let unfolding = Unfolding::start().unwrap();
        assert_eq!(unfolding.run(|| panic!("as asked")).await, None::<()>);
        assert_eq!(unfolding.run(|| 1).await, Some(1));
    }
}
