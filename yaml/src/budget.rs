//! A bound on what is read.

/// How much may still be read: of one document, or of all documents of a stream together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    events: usize,
    is_spent: bool,
}

/// A hundred times what the largest CRD of Flux takes; about a second of work.
const USUAL: usize = 2_000_000;

impl Default for Budget {
    fn default() -> Self {
        Self::of(USUAL)
    }
}

impl Budget {
    /// So many nodes, counting the starts and ends of maps and lists, and every node again for each alias of it.
    #[must_use]
    pub const fn of(events: usize) -> Self {
        Self {
            events,
            is_spent: false,
        }
    }

    /// True if a document was refused because nothing is left, not because of what it says.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// Takes so much. False if there is not enough left.
    pub(crate) fn take(&mut self, events: usize) -> bool {
        match self.events.checked_sub(events) {
            Some(left) => self.events = left,
            None => self.is_spent = true,
        }
        !self.is_spent
    }
}
