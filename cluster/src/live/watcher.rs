//! Follows a collection forever: a list, then watches that each continue the previous one.
//!
//! kube's own watcher does the same but hides bookmarks; here bookmarks confirm that nothing has
//! changed.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fluxkeep::flux::engine::Engine;
use futures_util::TryStreamExt;
use kube::Client;
use kube::api::{WatchEvent, WatchParams};
use kube::core::Request;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::store::{Store, Target};
use crate::SPEC_CHANGED;
use crate::collections::{Place, is_wanted};
use crate::failure::Failure;
use crate::item::Item;
use crate::pages::list;

/// Duration of a watch in seconds. Facts of an idle cluster can become this old, and a dead
/// connection stays unnoticed for this long.
const WATCH: u32 = 60;
/// Extra time for the end of a watch to arrive, and for its start.
const MARGIN: Duration = Duration::from_secs(10);
/// A watch that ends sooner without an event counts as failed.
const BRIEF: Duration = Duration::from_secs(1);
/// Pauses before retries, in milliseconds. The first retry follows at once, for a cut connection.
/// Later pauses grow to a load that a recovering apiserver can bear from all clients.
const PAUSES: [u64; 8] = [0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000];
/// Failures in a row that count as an outage.
const OUTAGE: usize = 3;

/// The name of the event for a deleted object.
const DELETED: &str = "deleted";

/// Follows a target in one version.
pub(super) struct Watcher {
    client: Client,
    store: Arc<Store>,
    engine: Arc<Engine>,
    target: Target,
    place: Place,
    /// The version from which the next watch continues; `None` if a list comes first.
    version: Option<String>,
    /// The number of failures in a row.
    failures: usize,
    /// True if one of these failures was an expired version.
    forgotten: bool,
    /// True if the last event could not be taken. The next watch repeats that event, so its mere
    /// opening does not confirm the facts.
    stuck: bool,
    /// The generation of each CRD; empty for other collections.
    generations: BTreeMap<String, i64>,
}

/// Follows a custom resource, in the version that the cluster serves.
pub(super) async fn follow_served(
    client: Client,
    store: Arc<Store>,
    engine: Arc<Engine>,
    target: Target,
) {
    let mut definitions = store.definitions();
    // The wait cannot fail, because the store holds the sender.
    let _ = definitions.wait_for(|all_read| *all_read).await;
    loop {
        let served = store.served(target.collection);
        let moved = moved(&store, &target, &mut definitions, served.as_deref());
        match &served {
            None => {
                store.absent(&target);
                moved.await;
            }
            Some(version) => {
                let watcher = Watcher::new(
                    client.clone(),
                    store.clone(),
                    engine.clone(),
                    target.clone(),
                    version,
                );
                tokio::select! { () = watcher.run() => {}, () = moved => {} }
            }
        }
    }
}

/// Returns when the served version changes.
async fn moved(
    store: &Store,
    target: &Target,
    definitions: &mut watch::Receiver<bool>,
    from: Option<&str>,
) {
    while store.served(target.collection).as_deref() == from {
        let _ = definitions.changed().await;
    }
}

impl Watcher {
    pub(super) fn new(
        client: Client,
        store: Arc<Store>,
        engine: Arc<Engine>,
        target: Target,
        version: &str,
    ) -> Self {
        let place = target.place(version);
        Self {
            client,
            store,
            engine,
            target,
            place,
            version: None,
            failures: 0,
            forgotten: false,
            stuck: false,
            generations: BTreeMap::new(),
        }
    }

    /// Lists and watches; never returns.
    pub(super) async fn run(mut self) {
        loop {
            let step = match self.version.clone() {
                None => self.list().await,
                Some(version) => self.watch(&version).await,
            };
            if let Err(failure) = step {
                sleep(self.failed(&failure)).await;
            }
        }
    }

    /// Records a failure and returns the pause before the retry.
    fn failed(&mut self, failure: &Failure) -> Duration {
        if failure.is_gone() {
            self.version = None;
        }
        // An apiserver that reports an expired version answers again, so earlier failures are over.
        if failure.is_gone() && !self.forgotten {
            (self.failures, self.forgotten) = (0, true);
        }
        let pause = PAUSES
            .get(self.failures)
            .or(PAUSES.last())
            .copied()
            .unwrap_or_default();
        self.failures += 1;
        if self.failures >= OUTAGE {
            self.store.failed(&self.target, failure);
        }
        Duration::from_millis(pause)
    }

    /// Reads the whole collection.
    async fn list(&mut self) -> Result<(), Failure> {
        let (began, mut seen) = (Instant::now(), BTreeSet::new());
        let mut generations = BTreeMap::new();
        let show = |text: &str| {
            let item = Item::read(text, &self.place, &self.engine)?;
            if is_wanted(&item.object, &self.engine) {
                seen.insert(item.object.key());
                if self.target.is_definitions() {
                    generations.insert(item.object.name.clone(), item.generation);
                }
                self.store.put(&self.target, item);
            }
            Ok(())
        };
        let version = list(&self.client, &self.place, show).await?;
        self.store.listed(&self.target, &seen, began);
        self.generations = generations;
        self.stuck = false;
        self.version = Some(version);
        Ok(())
    }

    /// Takes the changes after a version, until the apiserver ends the watch.
    async fn watch(&mut self, version: &str) -> Result<(), Failure> {
        let params = WatchParams {
            field_selector: self.place.fields(),
            ..WatchParams::default()
        }
        .timeout(WATCH);
        let request = Request::new(self.place.path.clone()).watch(&params, version);
        let opening = self
            .client
            .request_events::<Box<RawValue>>(request.map_err(kube::Error::BuildRequest)?);
        let mut events = pin!(
            timeout(MARGIN, opening)
                .await
                .map_err(|_| Failure::Silence(MARGIN))??
        );
        let (opened, longest) = (Instant::now(), Duration::from_secs(WATCH.into()) + MARGIN);
        if !self.stuck {
            self.store.heard(&self.target);
        }
        let mut silent = true;
        loop {
            let next = timeout(longest, events.try_next())
                .await
                .map_err(|_| Failure::Silence(longest))?;
            let event = match next {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(error) => {
                    self.stuck |= matches!(error, kube::Error::SerdeError(_));
                    return Err(error.into());
                }
            };
            self.stuck = true;
            self.take(event)?;
            self.stuck = false;
            self.store.heard(&self.target);
            (silent, self.failures, self.forgotten) = (false, 0, false);
        }
        if silent && opened.elapsed() < BRIEF {
            return Err(Failure::Brief);
        }
        // A failed event would have been repeated in this watch.
        self.stuck = false;
        (self.failures, self.forgotten) = (0, false);
        Ok(())
    }

    fn take(&mut self, event: WatchEvent<Box<RawValue>>) -> Result<(), Failure> {
        let (text, change) = match event {
            WatchEvent::Added(text) => (text, "added"),
            WatchEvent::Modified(text) => (text, "modified"),
            WatchEvent::Deleted(text) => (text, DELETED),
            WatchEvent::Bookmark(mark) => {
                self.version = Some(mark.metadata.resource_version);
                return Ok(());
            }
            WatchEvent::Error(status) => return Err(kube::Error::Api(status).into()),
        };
        let item = Item::read(text.get(), &self.place, &self.engine)?;
        self.version = Some(item.version.clone());
        self.store.count(&self.target, change);
        if self.is_respecified(&item, change) {
            self.store.count(&self.target, SPEC_CHANGED);
        }
        if change == DELETED || !is_wanted(&item.object, &self.engine) {
            self.store.remove(&self.target, &item.object.key());
        } else {
            self.store.put(&self.target, item);
        }
        Ok(())
    }

    /// Remembers a CRD's generation; true if it rose.
    fn is_respecified(&mut self, item: &Item, change: &str) -> bool {
        if !self.target.is_definitions() {
            return false;
        }
        let name = &item.object.name;
        if change == DELETED {
            self.generations.remove(name);
            return false;
        }
        let former = self.generations.insert(name.clone(), item.generation);
        former.is_some_and(|former| item.generation > former)
    }
}
