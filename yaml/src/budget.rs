//! A bound on the amount of YAML that is read.

/// The remaining budget of a document, or of all documents of a stream together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeBudget {
    events: usize,
    is_spent: bool,
}

/// A hundred times the size of Flux's largest CRD; about a second of work.
const USUAL: usize = 2_000_000;

impl Default for NodeBudget {
    fn default() -> Self {
        Self::of(USUAL)
    }
}

impl NodeBudget {
    /// A budget of nodes. Starts and ends of collections count; an alias counts its nodes again.
    #[must_use]
    pub const fn of(events: usize) -> Self {
        Self {
            events,
            is_spent: false,
        }
    }

    /// True if a document was refused for lack of budget, not for its content.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// Takes this many nodes. Returns false if too few are left.
    pub(crate) fn take(&mut self, events: usize) -> bool {
        match self.events.checked_sub(events) {
            Some(left) => self.events = left,
            None => self.is_spent = true,
        }
        !self.is_spent
    }
}
