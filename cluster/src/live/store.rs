//! The state that watchers share: the facts, and the time at which each last heard the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use fluxkeep::case::facts::Facts;
use fluxkeep::object::Key;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Changes;
use crate::collections::{Collection, Place, served};
use crate::failure::Failure;
use crate::item::Item;
use crate::log_limit::LogLimit;

/// The target of a watcher: a collection, in one namespace or whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) collection: Collection,
    /// Empty for the whole collection.
    pub(super) namespace: String,
}

impl Target {
    pub(super) fn place(&self, version: &str) -> Place {
        self.collection.place(version, &self.namespace)
    }

    pub(super) fn is_definitions(&self) -> bool {
        self.collection.kind == DEFINITION
    }

    fn id(&self) -> Id {
        (self.collection.resource, self.namespace.clone())
    }
}

/// Resource and namespace.
type Id = (&'static str, String);

/// The state of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SyncState {
    /// The collection has not been read whole yet.
    Pending,
    /// The cluster was last heard at this time.
    Heard(Instant),
    /// The cluster's CRDs define no such resource.
    Absent,
}

#[derive(Debug)]
struct TargetState {
    sync_state: SyncState,
    /// The reason why the target is not heard now.
    trouble: Option<String>,
}

/// The facts and the state of all targets.
#[derive(Debug, Default)]
pub(super) struct Store {
    facts: RwLock<Facts>,
    targets: Mutex<BTreeMap<Id, TargetState>>,
    /// Changes with each CRD; true once all CRDs were read.
    definitions: watch::Sender<bool>,
    changes: Arc<Mutex<Changes>>,
    /// Caps the lines about unreadable objects, of which anybody may create many.
    lines: LogLimit,
}

impl Store {
    /// Starts with these targets, and keeps those former facts that the targets cover. Counting of
    /// changes continues.
    pub(super) fn new(targets: &[Target], mut facts: Facts, changes: Arc<Mutex<Changes>>) -> Self {
        let places: Vec<Place> = targets.iter().map(|target| target.place("")).collect();
        facts.retain(|key| places.iter().any(|place| place.holds(key)));
        let entry = || TargetState {
            sync_state: SyncState::Pending,
            trouble: None,
        };
        let targets = targets
            .iter()
            .map(|target| (target.id(), entry()))
            .collect();
        Self {
            facts: RwLock::new(facts),
            targets: Mutex::new(targets),
            definitions: watch::Sender::new(false),
            changes,
            lines: LogLimit::default(),
        }
    }

    pub(super) fn facts(&self) -> Facts {
        self.facts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Stores an object's new state. An unreadable object is stored without its body, so its later
    /// changes look the same, and the log names it once.
    pub(super) fn put(&self, target: &Target, item: Item) {
        let name = item.object.to_string();
        if !self.facts_mut().put(item.object) {
            return;
        }
        if let Some(reason) = item.unread {
            self.lines.line(|left_out| {
                tracing::warn!(
                    object = name,
                    reason,
                    left_out,
                    "an object is unreadable; the rules that need it abstain until it is corrected"
                );
            });
        }
        self.tell(target);
    }

    /// Counts a watch event: `added`, `modified` or `deleted`, or [`crate::SPEC_CHANGED`].
    pub(super) fn count(&self, target: &Target, change: &'static str) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        *changes
            .entry((target.collection.resource, change))
            .or_default() += 1;
    }

    /// Removes an object that is gone or no longer part of the engine.
    pub(super) fn remove(&self, target: &Target, key: &Key) {
        self.facts_mut().remove(key);
        self.tell(target);
    }

    /// Completes a list: objects missing from it are gone. The facts are as of the list's start.
    pub(super) fn listed(&self, target: &Target, seen: &BTreeSet<Key>, began: Instant) {
        let place = target.place("");
        self.facts_mut()
            .retain(|key| !place.holds(key) || seen.contains(key));
        // Wakes the targets that wait for CRDs before the CRDs count as read. Otherwise the cluster
        // could seem fully read in between.
        if target.is_definitions() {
            self.definitions.send_replace(true);
        }
        self.stand(target, SyncState::Heard(began));
    }

    /// Records that the apiserver answered.
    pub(super) fn heard(&self, target: &Target) {
        self.stand(target, SyncState::Heard(Instant::now()));
    }

    /// Records that the resource does not exist.
    pub(super) fn absent(&self, target: &Target) {
        let place = target.place("");
        self.facts_mut().retain(|key| !place.holds(key));
        self.stand(target, SyncState::Absent);
    }

    /// Records a failure. The log reports an outage once, however many targets it affects.
    pub(super) fn failed(&self, target: &Target, failure: &Failure) {
        let reason = format!("{}{}", failure.reason(), failure.hint());
        let mut targets = self.targets();
        let known = targets
            .values()
            .any(|entry| entry.trouble.as_ref() == Some(&reason));
        let Some(entry) = targets.get_mut(&target.id()) else {
            return;
        };
        let is_new = entry.trouble.is_none() && !known;
        entry.trouble.get_or_insert_with(|| reason.clone());
        drop(targets);
        if is_new {
            let resource = target.collection.resource;
            tracing::warn!(
                resource,
                reason,
                "watching the cluster failed; retrying; the facts become stale if this lasts"
            );
        }
    }

    fn stand(&self, target: &Target, sync_state: SyncState) {
        let mut targets = self.targets();
        let Some(entry) = targets.get_mut(&target.id()) else {
            return;
        };
        entry.sync_state = sync_state;
        let mended =
            entry.trouble.take().is_some() && targets.values().all(|entry| entry.trouble.is_none());
        drop(targets);
        if mended {
            tracing::info!("watching the cluster works again");
        }
    }

    /// The resources that have not been read whole.
    pub(super) fn pending(&self) -> BTreeSet<&'static str> {
        let targets = self.targets();
        let pending = targets
            .iter()
            .filter(|(_, entry)| entry.sync_state == SyncState::Pending);
        pending.map(|((resource, _), _)| *resource).collect()
    }

    /// The resource that was silent the longest, with the duration; `None` if it was never heard.
    pub(super) fn oldest(&self) -> (&'static str, Option<Duration>) {
        let targets = self.targets();
        let heard = targets
            .iter()
            .filter_map(|((resource, _), entry)| match entry.sync_state {
                SyncState::Pending => Some((None, *resource)),
                SyncState::Heard(at) => Some((Some(at), *resource)),
                SyncState::Absent => None,
            });
        let (at, resource) = heard.min().unwrap_or((None, "customresourcedefinitions"));
        (resource, at.map(|at| at.elapsed()))
    }

    /// A receiver that changes with each CRD.
    pub(super) fn definitions(&self) -> watch::Receiver<bool> {
        self.definitions.subscribe()
    }

    /// The version in which a custom resource is currently served.
    pub(super) fn served(&self, collection: Collection) -> Option<String> {
        let key = Key {
            group: "apiextensions.k8s.io".to_owned(),
            kind: DEFINITION.to_owned(),
            namespace: None,
            name: collection.definition(),
        };
        served(self.facts().live(&key)?.definition()?).map(str::to_owned)
    }

    fn tell(&self, target: &Target) {
        if target.is_definitions() {
            self.definitions.send_modify(|_| ());
        }
    }

    fn facts_mut(&self) -> RwLockWriteGuard<'_, Facts> {
        self.facts.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn targets(&self) -> MutexGuard<'_, BTreeMap<Id, TargetState>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const DEFINITION: &str = "CustomResourceDefinition";
