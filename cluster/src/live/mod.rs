//! The live source: a cluster followed by lists and watches.
//!
//! Each collection has its own follower. All followers share a desk with the facts and the times at
//! which each was last heard. Changes go into the facts at once; a review's view shares all
//! unchanged parts.

mod desk;
mod follower;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use fluxkeep::engine::Engine;
use fluxkeep::facts::{Facts, Heard};
use fluxkeep::rules::RULES;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::collections::{Collection, needed};
use crate::{Changes, Source};
use desk::{Desk, Line};
use follower::{Follower, follow_served};

/// The facts of a cluster, kept up to date.
#[derive(Debug)]
pub struct Live {
    client: Redacted,
    runtime: Handle,
    bound: SignedDuration,
    followed: RwLock<Followed>,
    changes: Arc<Mutex<Changes>>,
}

/// The followed engine with its desk and followers. Followers end when this is dropped. A new
/// engine gets a new desk, so late writes of old followers go unseen.
#[derive(Debug, Default)]
struct Followed {
    engine: Option<Engine>,
    desk: Arc<Desk>,
    _followers: JoinSet<()>,
}

/// Hides the client's credentials from `Debug`.
struct Redacted(Client);

impl fmt::Debug for Redacted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Client")
    }
}

impl Live {
    /// Sends no request before [`Source::follow`], which starts following on `runtime`. The facts
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

    fn desk(&self) -> Arc<Desk> {
        self.followed
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .desk
            .clone()
    }

    fn begun(&self, engine: &Engine, known: Facts) -> Followed {
        let lines = lines(engine);
        let desk = Arc::new(Desk::new(&lines, known, self.changes.clone()));
        let engine = Arc::new(engine.clone());
        let mut followers = JoinSet::new();
        for line in lines {
            let (client, desk, engine) = (self.client.0.clone(), desk.clone(), engine.clone());
            match line.collection.version {
                Some(version) => followers.spawn_on(
                    Follower::new(client, desk, engine, line, version).run(),
                    &self.runtime,
                ),
                None => {
                    followers.spawn_on(follow_served(client, desk, engine, line), &self.runtime)
                }
            };
        }
        Followed {
            engine: Some(Engine::clone(&engine)),
            desk,
            _followers: followers,
        }
    }
}

fn lines(engine: &Engine) -> Vec<Line> {
    let lines = |collection: Collection| {
        let namespaces = collection.namespaces(engine).into_iter();
        namespaces.map(move |namespace| Line {
            collection,
            namespace,
        })
    };
    needed(&RULES).flat_map(lines).collect()
}

impl Source for Live {
    fn facts(&self) -> Arc<Facts> {
        let desk = self.desk();
        let (resource, age) = desk.oldest();
        let at = age.and_then(|age| Timestamp::now().checked_sub(age).ok());
        Arc::new(desk.facts().as_heard(Heard {
            resource,
            at,
            bound: self.bound,
        }))
    }

    fn name(&self) -> &'static str {
        "cluster"
    }

    fn as_of(&self) -> SystemTime {
        let (_, age) = self.desk().oldest();
        age.and_then(|age| SystemTime::now().checked_sub(age))
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn pending(&self) -> BTreeSet<&'static str> {
        self.desk().pending()
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
            *followed = self.begun(engine, followed.desk.facts());
        }
    }
}
