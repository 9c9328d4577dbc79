//! The objects of the registration that may have changed.

use std::collections::BTreeSet;
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::manifest::Reference;

/// A set of changed objects, with a signal. Clones share the set.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    objects: Arc<Mutex<BTreeSet<String>>>,
    signal: Arc<Notify>,
}

impl Changes {
    /// Adds an object.
    pub(super) fn add(&self, object: &Reference) {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.insert(object.to_string());
        self.signal.notify_one();
    }

    /// Empties the set and returns its objects, each as its reference is displayed.
    pub(super) fn take(&self) -> BTreeSet<String> {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        take(&mut objects)
    }

    /// Notified whenever an object is added.
    pub(super) fn signal(&self) -> Arc<Notify> {
        self.signal.clone()
    }
}
