//! The live source: a cluster followed by lists and watches.
//!
//! Each collection has its own watcher. All watchers share a store with the facts and the times at
//! which each was last heard. Changes go into the facts at once; a review's view shares all
//! unchanged parts.
//!
//! - A watch ends or is cut: the next continues from the last version, at once. After further
//!   failures the pauses grow from 0.5 to 30 s.
//! - The version or a page token has expired (410): a new list, at once even after an outage.
//!   Objects that the list lacks are gone.
//! - A collection is refused or silent: logged once per outage, with the reason. The server is not
//!   ready until every collection was read once.
//! - The cluster does not serve a custom resource, or in another version: followed as its CRD says.
//! - The policy changes the engine's namespaces: new watchers on a new store. Facts that the new
//!   watchers do not cover are dropped.
//! - An object is unreadable: its name is known, the log names it once, a metric counts it. The
//!   rules that need the object abstain.
//! - An event is no object: the watch fails. Opening it again does not confirm the facts.
//! - A collection has no list, event, bookmark or opened watch within the bound: the facts are
//!   stale, which rule `facts-stale` reports.

mod store;
mod watcher;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use fluxkeep::case::facts::{Facts, Heard};
use fluxkeep::flux::engine::Engine;
use fluxkeep::rules::RULES;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::collections::{Collection, needed};
use crate::{Changes, FactSource};
use store::{Store, Target};
use watcher::{Watcher, follow_served};

/// The facts of a cluster, kept up to date.
#[derive(Debug)]
pub struct Live {
    client: Redacted,
    runtime: Handle,
    bound: SignedDuration,
    followed: RwLock<Followed>,
    changes: Arc<Mutex<Changes>>,
}

/// The followed engine with its store and watchers. Watchers end when this is dropped. A new
/// engine gets a new store, so late writes of old watchers go unseen.
#[derive(Debug, Default)]
struct Followed {
    engine: Option<Engine>,
    store: Arc<Store>,
    _watchers: JoinSet<()>,
}

/// Hides the client's credentials from `Debug`.
struct Redacted(Client);

impl fmt::Debug for Redacted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Client")
    }
}

impl Live {
    /// Sends no request before [`FactSource::follow`], which starts following on `runtime`. The facts
    /// count as stale after `bound` without news.
    #[must_use]
    pub fn new(client: Client, runtime: Handle, bound: Duration) -> Self {
        let bound = SignedDuration::try_from(bound).unwrap_or(SignedDuration::MAX);
        Self {
            client: Redacted(client),
            runtime,
            bound,
            followed: RwLock::default(),
            changes: Arc::default(),
        }
    }

    fn store(&self) -> Arc<Store> {
        self.followed
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .store
            .clone()
    }

    fn begun(&self, engine: &Engine, known: Facts) -> Followed {
        let targets = targets(engine);
        let store = Arc::new(Store::new(&targets, known, self.changes.clone()));
        let engine = Arc::new(engine.clone());
        let mut watchers = JoinSet::new();
        for target in targets {
            let (client, store, engine) = (self.client.0.clone(), store.clone(), engine.clone());
            match target.collection.version {
                Some(version) => watchers.spawn_on(
                    Watcher::new(client, store, engine, target, version).run(),
                    &self.runtime,
                ),
                None => {
                    watchers.spawn_on(follow_served(client, store, engine, target), &self.runtime)
                }
            };
        }
        Followed {
            engine: Some(Engine::clone(&engine)),
            store,
            _watchers: watchers,
        }
    }
}

fn targets(engine: &Engine) -> Vec<Target> {
    let targets = |collection: Collection| {
        let namespaces = collection.namespaces(engine).into_iter();
        namespaces.map(move |namespace| Target {
            collection,
            namespace,
        })
    };
    needed(&RULES).flat_map(targets).collect()
}

impl FactSource for Live {
    fn facts(&self) -> Arc<Facts> {
        let store = self.store();
        let (resource, age) = store.oldest();
        let at = age.and_then(|age| Timestamp::now().checked_sub(age).ok());
        Arc::new(store.facts().as_heard(Heard {
            resource,
            at,
            bound: self.bound,
        }))
    }

    fn name(&self) -> &'static str {
        "cluster"
    }

    fn as_of(&self) -> SystemTime {
        let (_, age) = self.store().oldest();
        age.and_then(|age| SystemTime::now().checked_sub(age))
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn pending(&self) -> BTreeSet<&'static str> {
        self.store().pending()
    }

    fn changes(&self) -> Changes {
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn follow(&self, engine: &Engine) {
        let mut followed = self
            .followed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let known = followed.engine.as_ref();
        if !known.is_some_and(|known| known.is_followed_like(engine)) {
            *followed = self.begun(engine, followed.store.facts());
        }
    }
}
