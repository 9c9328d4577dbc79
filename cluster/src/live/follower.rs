//! Follows one collection for ever: a list, then watches that each go on where the one before ended.
//!
//! kube's own watcher does the same and keeps bookmarks to itself; here they are what tells that
//! nothing has changed.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fluxkeep::engine::Engine;
use fluxkeep::manifest;
use fluxkeep::object::Object;
use futures_util::TryStreamExt;
use kube::Client;
use kube::api::{WatchEvent, WatchParams};
use kube::core::Request;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::desk::{Desk, Line};
use crate::collections::{Place, is_wanted};
use crate::failure::Failure;
use crate::lean::lean;
use crate::pages::list;

/// How long a watch lasts, in seconds. The apiserver need not say a word where nothing changes, so
/// this is how old facts become in a cluster at rest, and how long a dead connection goes unseen.
const WATCH: u32 = 60;
/// For the end of a watch to arrive, and for the beginning of one.
const MARGIN: Duration = Duration::from_secs(10);
/// A watch that ends sooner and said nothing has failed.
const BRIEF: Duration = Duration::from_secs(1);
/// Before each try after a failure, in milliseconds: at once, for a connection that was cut, then ever longer, up to
/// what an apiserver that comes back under load can bear from every client.
const PAUSES: [u64; 8] = [0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000];
/// After so many failures in a row it is no hiccup.
const OUTAGE: usize = 3;

/// Follows one line in one version.
pub(super) struct Follower {
    client: Client,
    desk: Arc<Desk>,
    engine: Arc<Engine>,
    line: Line,
    place: Place,
    /// Where the next watch goes on; none where a list comes first.
    version: Option<String>,
    /// In a row.
    failures: usize,
    /// Whether among these was that the apiserver has forgotten the version.
    forgotten: bool,
}

/// Follows a custom resource, in whichever version the cluster serves.
pub(super) async fn follow_served(
    client: Client,
    desk: Arc<Desk>,
    engine: Arc<Engine>,
    line: Line,
) {
    let mut definitions = desk.definitions();
    // The desk holds the sender: it cannot go before.
    let _ = definitions.wait_for(|all_read| *all_read).await;
    loop {
        let served = desk.served(line.collection);
        let moved = moved(&desk, &line, &mut definitions, served.as_deref());
        match &served {
            None => {
                desk.absent(&line);
                moved.await;
            }
            Some(version) => {
                let follower = Follower::new(
                    client.clone(),
                    desk.clone(),
                    engine.clone(),
                    line.clone(),
                    version,
                );
                tokio::select! { () = follower.run() => {}, () = moved => {} }
            }
        }
    }
}

/// Returns when the cluster serves another version.
async fn moved(
    desk: &Desk,
    line: &Line,
    definitions: &mut watch::Receiver<bool>,
    from: Option<&str>,
) {
    while desk.served(line.collection).as_deref() == from {
        let _ = definitions.changed().await;
    }
}

impl Follower {
    pub(super) fn new(
        client: Client,
        desk: Arc<Desk>,
        engine: Arc<Engine>,
        line: Line,
        version: &str,
    ) -> Self {
        let place = line.place(version);
        Self {
            client,
            desk,
            engine,
            line,
            place,
            version: None,
            failures: 0,
            forgotten: false,
        }
    }

    /// Never ends.
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

    /// How long to wait.
    fn failed(&mut self, failure: &Failure) -> Duration {
        if failure.is_gone() {
            self.version = None;
        }
        // An apiserver that has forgotten answers again: what came before is over.
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
            self.desk.failed(&self.line, failure);
        }
        Duration::from_millis(pause)
    }

    /// Reads the collection whole.
    async fn list(&mut self) -> Result<(), Failure> {
        let (began, mut seen) = (Instant::now(), BTreeSet::new());
        let show = |text: &str| {
            let object = read(text, &self.place, &self.engine)?;
            if is_wanted(&object, &self.engine) {
                seen.insert(object.key());
                self.desk.put(&self.line, object);
            }
            Ok(())
        };
        let version = list(&self.client, &self.place, show).await?;
        self.desk.listed(&self.line, &seen, began);
        self.version = Some(version);
        Ok(())
    }

    /// Hears what changes from a version on, until the apiserver ends the watch.
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
        self.desk.heard(&self.line);
        let mut silent = true;
        while let Some(event) = timeout(longest, events.try_next())
            .await
            .map_err(|_| Failure::Silence(longest))??
        {
            self.take(event)?;
            self.desk.heard(&self.line);
            (silent, self.failures, self.forgotten) = (false, 0, false);
        }
        if silent && opened.elapsed() < BRIEF {
            return Err(Failure::Brief);
        }
        (self.failures, self.forgotten) = (0, false);
        Ok(())
    }

    fn take(&mut self, event: WatchEvent<Box<RawValue>>) -> Result<(), Failure> {
        let (text, gone) = match event {
            WatchEvent::Added(text) | WatchEvent::Modified(text) => (text, false),
            WatchEvent::Deleted(text) => (text, true),
            WatchEvent::Bookmark(mark) => {
                self.version = Some(mark.metadata.resource_version);
                return Ok(());
            }
            WatchEvent::Error(status) => return Err(kube::Error::Api(status).into()),
        };
        let object = read(text.get(), &self.place, &self.engine)?;
        if gone || !is_wanted(&object, &self.engine) {
            self.desk.remove(&self.line, &object.key());
        } else {
            self.desk.put(&self.line, object);
        }
        self.version = Some(version(text.get())?);
        Ok(())
    }
}

/// An object of a list or a watch, as a snapshot's would be read.
fn read(text: &str, place: &Place, engine: &Engine) -> Result<Object, Failure> {
    if place.collection.kind != "HelmRelease" {
        return manifest::read_as(text, place.head()).map_err(Failure::Unreadable);
    }
    // What is read of its spec is found by path later: values stay behind here.
    let item: Value =
        serde_json::from_str(text).map_err(|error| Failure::Unreadable(error.to_string()))?;
    let text = lean(&item, &place.head(), &engine.values_paths).to_string();
    manifest::read_as(&text, place.head()).map_err(Failure::Unreadable)
}

#[derive(Deserialize)]
struct Versioned {
    metadata: Version,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    resource_version: String,
}

/// The version of the cluster that an object was written in.
fn version(text: &str) -> Result<String, Failure> {
    let versioned: Result<Versioned, _> = serde_json::from_str(text);
    versioned
        .map(|one| one.metadata.resource_version)
        .map_err(|error| Failure::Unreadable(error.to_string()))
}
