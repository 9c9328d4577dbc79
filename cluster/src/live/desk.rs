//! What followers share: the facts, and when each of them heard the cluster last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use fluxkeep::facts::Facts;
use fluxkeep::object::Key;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Changes;
use crate::collections::{Collection, Place, served};
use crate::failure::Failure;
use crate::item::Item;

/// What one follower follows: a collection, in one namespace or as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) collection: Collection,
    /// Empty for the whole.
    pub(super) namespace: String,
}

impl Line {
    pub(super) fn place(&self, version: &str) -> Place {
        self.collection.place(version, &self.namespace)
    }

    fn id(&self) -> Id {
        (self.collection.resource, self.namespace.clone())
    }
}

/// Resource and namespace.
type Id = (&'static str, String);

/// How it stands with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// It was not read whole yet.
    Pending,
    /// It was heard then.
    Heard(Instant),
    /// The cluster has no such resource, as far as its definitions tell.
    Absent,
}

#[derive(Debug)]
struct Entry {
    standing: Standing,
    /// Why it is not heard now.
    trouble: Option<String>,
}

/// The facts and the lines.
#[derive(Debug, Default)]
pub(super) struct Desk {
    facts: RwLock<Facts>,
    lines: Mutex<BTreeMap<Id, Entry>>,
    /// Moves with every definition; true once all were read.
    definitions: watch::Sender<bool>,
    changes: Arc<Mutex<Changes>>,
}

impl Desk {
    /// Begins with these lines, and of what was known before with what they hold.
    /// Changes are counted on.
    pub(super) fn new(lines: &[Line], mut facts: Facts, changes: Arc<Mutex<Changes>>) -> Self {
        let places: Vec<Place> = lines.iter().map(|line| line.place("")).collect();
        facts.retain(|key| places.iter().any(|place| place.holds(key)));
        let entry = || Entry {
            standing: Standing::Pending,
            trouble: None,
        };
        let lines = lines.iter().map(|line| (line.id(), entry())).collect();
        Self {
            facts: RwLock::new(facts),
            lines: Mutex::new(lines),
            definitions: watch::Sender::new(false),
            changes,
        }
    }

    pub(super) fn facts(&self) -> Facts {
        self.facts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes an object as it is now. The log names one that cannot be read once, however often it changes.
    pub(super) fn put(&self, line: &Line, item: Item) {
        let name = item.object.to_string();
        if !self.facts_mut().put(item.object) {
            return;
        }
        if let Some(reason) = item.unread {
            tracing::warn!(
                object = name,
                reason,
                "an object cannot be read; the rules that need it abstain"
            );
        }
        self.tell(line);
    }

    /// Counts an event of a watch that was taken: `added`, `modified` or `deleted`.
    pub(super) fn count(&self, line: &Line, change: &'static str) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        *changes
            .entry((line.collection.resource, change))
            .or_default() += 1;
    }

    /// An object that is gone, or that is none of the engine's any more.
    pub(super) fn remove(&self, line: &Line, key: &Key) {
        self.facts_mut().remove(key);
        self.tell(line);
    }

    /// A list is at its end: what it did not hold is gone. It was true when it began.
    pub(super) fn listed(&self, line: &Line, seen: &BTreeSet<Key>, began: Instant) {
        let place = line.place("");
        self.facts_mut()
            .retain(|key| !place.holds(key) || seen.contains(key));
        // Who waits for definitions stands up before their line counts as read, or the cluster would
        // seem read whole in between.
        if line.collection.kind == DEFINITION {
            self.definitions.send_replace(true);
        }
        self.stand(line, Standing::Heard(began));
    }

    /// The apiserver spoke.
    pub(super) fn heard(&self, line: &Line) {
        self.stand(line, Standing::Heard(Instant::now()));
    }

    /// There is no such resource.
    pub(super) fn absent(&self, line: &Line) {
        let place = line.place("");
        self.facts_mut().retain(|key| !place.holds(key));
        self.stand(line, Standing::Absent);
    }

    /// It could not be heard. Of an outage the log tells once, however many lines it cuts.
    pub(super) fn failed(&self, line: &Line, failure: &Failure) {
        let reason = format!("{}{}", failure.reason(), failure.hint());
        let mut lines = self.lines();
        let known = lines
            .values()
            .any(|entry| entry.trouble.as_ref() == Some(&reason));
        let Some(entry) = lines.get_mut(&line.id()) else {
            return;
        };
        let is_new = entry.trouble.is_none() && !known;
        entry.trouble.get_or_insert_with(|| reason.clone());
        drop(lines);
        if is_new {
            let resource = line.collection.resource;
            tracing::warn!(
                resource,
                reason,
                "the cluster cannot be followed; trying again until it can"
            );
        }
    }

    fn stand(&self, line: &Line, standing: Standing) {
        let mut lines = self.lines();
        let Some(entry) = lines.get_mut(&line.id()) else {
            return;
        };
        entry.standing = standing;
        let mended =
            entry.trouble.take().is_some() && lines.values().all(|entry| entry.trouble.is_none());
        drop(lines);
        if mended {
            tracing::info!("the cluster is followed again");
        }
    }

    /// The resources that were not read whole yet.
    pub(super) fn pending(&self) -> BTreeSet<&'static str> {
        let lines = self.lines();
        let pending = lines
            .iter()
            .filter(|(_, entry)| entry.standing == Standing::Pending);
        pending.map(|((resource, _), _)| *resource).collect()
    }

    /// The resource that was silent for longest, and for how long; none where it was never heard.
    pub(super) fn oldest(&self) -> (&'static str, Option<Duration>) {
        let lines = self.lines();
        let heard = lines
            .iter()
            .filter_map(|((resource, _), entry)| match entry.standing {
                Standing::Pending => Some((None, *resource)),
                Standing::Heard(at) => Some((Some(at), *resource)),
                Standing::Absent => None,
            });
        let (at, resource) = heard.min().unwrap_or((None, "customresourcedefinitions"));
        (resource, at.map(|at| at.elapsed()))
    }

    /// Moves when a definition changes.
    pub(super) fn definitions(&self) -> watch::Receiver<bool> {
        self.definitions.subscribe()
    }

    /// The version in which a custom resource can be read now.
    pub(super) fn served(&self, collection: Collection) -> Option<String> {
        let key = Key {
            group: "apiextensions.k8s.io".to_owned(),
            kind: DEFINITION.to_owned(),
            namespace: None,
            name: collection.definition(),
        };
        served(self.facts().live(&key)?.definition()?).map(str::to_owned)
    }

    fn tell(&self, line: &Line) {
        if line.collection.kind == DEFINITION {
            self.definitions.send_modify(|_| ());
        }
    }

    fn facts_mut(&self) -> RwLockWriteGuard<'_, Facts> {
        self.facts.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<Id, Entry>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const DEFINITION: &str = "CustomResourceDefinition";
