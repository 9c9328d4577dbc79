//! Counts the objects, and the parts of objects, that are walked over, in this crate's tests alone.
//!
//! A hostile release repeats one document thousands of times. A rule that walks over the release or
//! the cluster once for each document then costs their product. The tests count walked objects,
//! because time depends on the machine.

/// The same objects; a test counts each object that the caller takes.
pub(crate) fn counted<T>(objects: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    #[cfg(test)]
    let objects = objects.inspect(|_| walked::add());
    objects
}

#[cfg(test)]
pub(crate) mod walked {
    use std::cell::Cell;

    thread_local! {
        static WALKED: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn add() {
        WALKED.set(WALKED.get() + 1);
    }

    /// The number of objects that the work walks over, on this thread.
    pub(crate) fn during(work: impl FnOnce()) -> usize {
        let before = WALKED.get();
        work();
        WALKED.get() - before
    }
}
