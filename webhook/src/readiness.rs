//! Readiness: the server is ready when nothing is pending.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The names of pending conditions.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    pending: Arc<Mutex<BTreeSet<&'static str>>>,
}

/// A pending condition; dropped when it is met.
#[derive(Debug)]
pub struct Pending {
    name: &'static str,
    of: Readiness,
}

impl Readiness {
    /// Delays readiness until the handle is dropped.
    #[must_use]
    pub fn wait_for(&self, name: &'static str) -> Pending {
        self.names_mut(|names| names.insert(name));
        Pending {
            name,
            of: self.clone(),
        }
    }

    /// The names of pending conditions; empty when ready.
    #[must_use]
    pub fn pending(&self) -> Vec<&'static str> {
        self.names_mut(|names| names.iter().copied().collect())
    }

    fn names_mut<T>(&self, work: impl FnOnce(&mut BTreeSet<&'static str>) -> T) -> T {
        work(&mut self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.of.names_mut(|names| names.remove(self.name));
    }
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn it_is_ready_when_the_last_handle_is_dropped() {
        let readiness = Readiness::default();
        let (facts, certificate) = (
            readiness.wait_for("facts"),
            readiness.wait_for("certificate"),
        );
        assert_eq!(readiness.pending(), ["certificate", "facts"]);
        drop(facts);
        assert_eq!(readiness.pending(), ["certificate"]);
        drop(certificate);
        assert!(readiness.pending().is_empty());
    }
}
