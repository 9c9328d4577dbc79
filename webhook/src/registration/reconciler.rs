//! Keeps the registration as wanted: restores objects that were deleted or changed by hand.
//!
//! A watch follows each object by name, and the reconciler reads an object when it changes. It also
//! reads all objects every five minutes, and an object whose watch fails about every ten seconds.
//!
//! Any tenant's HelmRelease may change the lists of known releases. So the lists are taken over
//! seldom, and an object that others change again and again is put back seldom, too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fluxkeep_cluster::write::WriteError;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::apply::UNSEEN;
use super::changes::Changes;
use super::claim::{REGISTERED_BY, Turn, Yielding, asked, borne, marked, turn};
use super::manifest::is_as;
use super::pace::Pace;
use super::{
    KnownReleases, Manifest, ObjectChange, Reference, Registration, RegistrationClient, references,
};
use crate::metrics::Metrics;
use crate::state::{ServerState, now};

/// Limit for a whole look: a healthy apiserver answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// Interval between looks at all objects, in case an event was lost.
const FULL_LOOK_INTERVAL: Duration = Duration::from_mins(5);
/// Longest wait for the first facts.
const FACTS_DEADLINE: Duration = Duration::from_mins(1);
/// Interval between a write and the next look, and between looks while the first facts are missing.
const AFTER_WRITE: Duration = Duration::from_millis(500);
/// Pause between watches, and so between looks if no watch is possible.
const WATCH_PAUSE: Duration = Duration::from_secs(9);
/// New lists at once, and the interval between later ones.
const LISTS_PACE: (u32, Duration) = (2, Duration::from_secs(30));
/// Restorations of one object at once, and the interval between later ones. Replicas whose facts
/// differ for a moment undo each other's writes.
const RESTORE_PACE: (u32, Duration) = (5, Duration::from_secs(10));

/// A registration to keep, and its cluster.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The cluster.
    pub cluster: RegistrationClient,
    /// The registration.
    pub registration: Registration,
}

impl Kept {
    /// Sets the server's own certificate as the trusted one, unless the flags name another.
    pub(crate) fn trusting(mut self, authority: Option<&str>) -> Self {
        self.registration.authority = self
            .registration
            .authority
            .or_else(|| authority.map(str::to_owned));
        self
    }
}

/// Keeps this server's registration.
#[derive(Debug)]
pub(crate) struct RegistrationReconciler {
    kept: Kept,
    state: Arc<ServerState>,
    metrics: Arc<Metrics>,
    /// The manifests wanted at the last look.
    wanted: Vec<Manifest>,
    /// True if this server has written its current mark.
    claimed: bool,
    /// Objects of earlier policies that may exist but are not wanted. They are deleted once.
    outdated: Vec<Reference>,
    /// Resource versions at which the apiserver kept a difference despite a write. A newer
    /// apiserver may add defaults that this version does not know.
    insisted: BTreeMap<String, String>,
    watches: JoinSet<()>,
    changes: Changes,
    /// Objects for the next look, each as its reference is displayed.
    pending: BTreeSet<String>,
    /// The mark that the registration bore at the last look.
    borne: Option<String>,
    /// Another server's mark to which this server yields.
    yielding: Option<Yielding>,
    known: KnownReleases,
    /// The namespaces of the engine for which `known` was made.
    homes: Vec<String>,
    /// Limits how often new lists are wanted.
    lists: Pace,
    /// Objects that this server wants otherwise than before and has not written since.
    renewed: BTreeSet<String>,
    /// Limits how often each object is restored.
    restored: BTreeMap<String, Pace>,
    begun: Instant,
    /// The time of this server's last write.
    wrote: Option<Instant>,
    /// The time of the next look at all objects.
    next: Instant,
    /// The last logged failure.
    last_failure: Option<String>,
}

impl RegistrationReconciler {
    /// Keeps the registration for the policy of `state`, which may change.
    pub(crate) fn new(kept: Kept, state: Arc<ServerState>, metrics: Arc<Metrics>) -> Self {
        Self {
            kept,
            state,
            metrics,
            wanted: Vec::new(),
            claimed: false,
            outdated: Vec::new(),
            insisted: BTreeMap::new(),
            watches: JoinSet::new(),
            changes: Changes::default(),
            pending: BTreeSet::new(),
            borne: None,
            yielding: None,
            known: KnownReleases::default(),
            homes: Vec::new(),
            lists: Pace::new(LISTS_PACE.0, LISTS_PACE.1),
            renewed: BTreeSet::new(),
            restored: BTreeMap::new(),
            begun: Instant::now(),
            wrote: None,
            next: Instant::now(),
            last_failure: None,
        }
    }

    /// Notified whenever a registered object changes.
    pub(crate) fn changed(&self) -> Arc<Notify> {
        self.changes.signal()
    }

    /// Looks after an event. The look is delayed after a recent write, so that two servers in
    /// disagreement write seldom.
    pub(crate) async fn heard(&mut self) {
        if self.is_ready() && self.wrote.is_none_or(|at| at.elapsed() >= AFTER_WRITE) {
            self.look().await;
        } else {
            self.look_later();
        }
    }

    /// Looks if the wanted manifests changed, an object is still pending, the last look failed, or all
    /// objects are due.
    pub(crate) async fn tick(&mut self) {
        if !self.is_ready() {
            return self.look_later();
        }
        if let (Some(marked), Some(yielding)) = (marked(&self.wanted), &self.yielding)
            && yielding.is_over()
        {
            self.changes.add(&marked.reference);
        }
        let is_new = self.wants() != self.wanted;
        let is_left = !self.pending.is_empty() || self.last_failure.is_some();
        if is_new || is_left || Instant::now() >= self.next {
            self.look().await;
        }
    }

    /// Looks once at the pending objects and restores differences. A failure is counted, logged unless it
    /// repeats the last, and retried by the next look.
    async fn look(&mut self) {
        let wanted = self.wants();
        self.want(wanted);
        let changed = self.changes.take();
        for manifest in &self.wanted {
            let object = manifest.reference.to_string();
            if changed.contains(&object) {
                self.pending.insert(object);
            }
        }
        if Instant::now() >= self.next {
            self.next = Instant::now() + FULL_LOOK_INTERVAL;
            self.look_at_all();
        }
        if self.pending.is_empty() && self.outdated.is_empty() && self.last_failure.is_none() {
            return;
        }
        let failure = match timeout(PATIENCE, self.reconcile_pending()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("the apiserver did not answer within {PATIENCE:?}")),
        };
        if let Some(why) = &failure {
            self.metrics.kept("failed");
            if failure != self.last_failure {
                tracing::error!(
                    why,
                    "updating the registration failed; the existing objects stay; retrying"
                );
            }
        }
        self.last_failure = failure;
    }

    /// The wanted manifests. The time in them is current; their lists may be some seconds old.
    fn wants(&mut self) -> Vec<Manifest> {
        let policy = self.state.policy();
        if let Some(fresh) = self.fresh() {
            let is_moved = self.homes != policy.engine.namespaces;
            if is_moved || fresh.has_lists_of(&self.known) {
                self.known = fresh;
                self.homes.clone_from(&policy.engine.namespaces);
            } else if self.lists.is_free() {
                self.lists.count();
                self.known = fresh;
            } else {
                self.known.as_of = fresh.as_of;
            }
        }
        self.kept.registration.manifests(&policy, &self.known)
    }

    /// The present answer of the facts. `None` while they are stale or incomplete.
    fn fresh(&self) -> Option<KnownReleases> {
        let source = self.state.source();
        let facts = source.facts();
        let is_told = source.pending().is_empty() && facts.stale(now()).is_none();
        let policy = self.state.policy();
        is_told.then(|| KnownReleases::of(&facts, &policy.engine, now()))
    }

    /// The manifest of an object that somebody else wrote, with lists from the current facts: a
    /// replica may have learned of a release earlier, and then nothing differs.
    fn refreshed(&mut self, manifest: &Manifest) -> Manifest {
        if let Some(fresh) = self.fresh() {
            self.known = fresh;
        }
        let policy = self.state.policy();
        let manifests = self.kept.registration.manifests(&policy, &self.known);
        let mut same = manifests.into_iter();
        same.find(|one| one.reference == manifest.reference)
            .unwrap_or_else(|| manifest.clone())
    }

    /// Signals another look after `AFTER_WRITE`.
    fn look_later(&self) {
        let signal = self.changes.signal();
        tokio::spawn(async move {
            sleep(AFTER_WRITE).await;
            signal.notify_one();
        });
    }

    /// True if the facts are complete, or `FACTS_DEADLINE` has passed since the start.
    fn is_ready(&self) -> bool {
        self.state.source().pending().is_empty() || self.begun.elapsed() >= FACTS_DEADLINE
    }

    /// Sets the wanted manifests and watches them.
    fn want(&mut self, wanted: Vec<Manifest>) {
        if wanted == self.wanted {
            return;
        }
        let mark = |manifests: &[Manifest]| Some(borne(&marked(manifests)?.body)?.to_owned());
        if mark(&wanted) != mark(&self.wanted) {
            self.claimed = false;
        }
        let is_wanted = |reference: &Reference| {
            wanted
                .iter()
                .any(|manifest| manifest.reference == *reference)
        };
        let before = self
            .wanted
            .iter()
            .map(|manifest| manifest.reference.clone());
        let known = before.chain(references(&self.state.policy()));
        self.outdated = known.filter(|reference| !is_wanted(reference)).collect();
        for manifest in &wanted {
            if !self.wanted.contains(manifest) {
                let object = manifest.reference.to_string();
                self.insisted.remove(&object);
                self.renewed.insert(object.clone());
                self.pending.insert(object);
            }
        }
        let named = |manifests: &[Manifest]| {
            let names = manifests.iter().map(|manifest| manifest.reference.clone());
            names.collect::<Vec<_>>()
        };
        let are_others = named(&wanted) != named(&self.wanted);
        self.wanted = wanted;
        if are_others {
            self.metrics.forget_differences();
            self.look_at_all();
            self.watch();
        }
    }

    fn watch(&mut self) {
        self.watches = JoinSet::new();
        for manifest in &self.wanted {
            let (cluster, changes) = (self.kept.cluster.clone(), self.changes.clone());
            let reference = manifest.reference.clone();
            self.watches.spawn(async move {
                let mut version = UNSEEN.to_owned();
                loop {
                    cluster.watch(&reference, &mut version, &changes).await;
                    sleep(WATCH_PAUSE).await;
                }
            });
        }
    }

    fn look_at_all(&mut self) {
        let all = self.wanted.iter().map(|one| one.reference.to_string());
        self.pending = all.collect();
    }

    /// Brings each pending object up to date, even if another fails. Returns the first failure.
    async fn reconcile_pending(&mut self) -> Result<(), WriteError> {
        let Some(marked) = marked(&self.wanted).cloned() else {
            return Ok(());
        };
        // The mark decides for all objects, so its object is read and claimed first.
        let live = self.kept.cluster.live(&marked.reference).await?;
        let turn = self.turn(&marked, live.as_ref()).await?;
        let mut result = self.reconcile_object(&marked, live, turn).await;
        if turn != Turn::Leave && result.is_ok() {
            self.claimed = true;
            self.borne = borne(&marked.body).map(str::to_owned);
        }
        for manifest in self.wanted.clone() {
            let is_pending = self.pending.contains(&manifest.reference.to_string());
            if is_pending && manifest.reference != marked.reference {
                let live = self.kept.cluster.live(&manifest.reference).await;
                let done = match live {
                    Ok(live) => self.reconcile_object(&manifest, live, turn).await,
                    Err(error) => Err(error),
                };
                result = result.and(done);
            }
        }
        if turn != Turn::Leave {
            result = result.and(self.delete_outdated().await);
        }
        result
    }

    /// This server's turn, by the mark of the live object. A question is added to the mark if it is
    /// time to ask.
    async fn turn(&mut self, marked: &Manifest, live: Option<&Value>) -> Result<Turn, WriteError> {
        let own_mark = borne(&marked.body).unwrap_or_default();
        let live_mark = live.and_then(borne).map(str::to_owned);
        let turn = turn(own_mark, live_mark.as_deref(), self.claimed);
        let mut turn = self.yielded(turn, live_mark.as_deref().unwrap_or_default());
        if let (Turn::Ask, Some(mark), Some(live)) = (turn, &live_mark, live) {
            let question = asked(mark);
            let cluster = &self.kept.cluster;
            cluster
                .annotate(&marked.reference, live, REGISTERED_BY, &question)
                .await?;
            turn = Turn::Leave;
        }
        if turn == Turn::Claim || live_mark != self.borne {
            self.look_at_all();
        }
        self.borne = live_mark;
        Ok(turn)
    }

    /// The turn, once the server of another mark had time to write it again. The start of such a wait
    /// and its end are logged.
    fn yielded(&mut self, turn: Turn, mark: &str) -> Turn {
        if turn != Turn::Leave {
            self.yielding = None;
            return turn;
        }
        let before = self.yielding.take();
        let is_known = before
            .as_ref()
            .is_some_and(|yielding| yielding.is_to_server_of(mark));
        if !is_known {
            tracing::warn!(
                mark,
                "another fluxkeep server keeps the registration, so this one changes nothing; give both the \
                 same version and policy, or stop one"
            );
        }
        let same = before.filter(|yielding| yielding.is_to(mark));
        let yielding = same.unwrap_or_else(|| Yielding::to(mark));
        let turn = yielding.turn();
        if turn == Turn::Claim {
            tracing::error!(
                mark,
                "the server with this mark does not answer; this server takes over the registration"
            );
        } else {
            self.yielding = Some(yielding);
        }
        turn
    }

    /// Writes an object that differs from its manifest, if it is this server's turn.
    async fn reconcile_object(
        &mut self,
        manifest: &Manifest,
        live: Option<Value>,
        turn: Turn,
    ) -> Result<(), WriteError> {
        let object = manifest.reference.to_string();
        let version = live.as_ref().and_then(version);
        let insists = version.is_some() && self.insisted.get(&object) == version.as_ref();
        let is_live = |manifest: &Manifest| {
            live.as_ref()
                .is_some_and(|live| is_as(&manifest.body, live))
        };
        let is_others = !self.renewed.contains(&object);
        let mut manifest = manifest.clone();
        if is_others && !is_live(&manifest) && !insists && turn != Turn::Leave {
            manifest = self.refreshed(&manifest);
        }
        let differs = !is_live(&manifest) && !insists;
        self.metrics.differs(&object, differs);
        if !differs || turn == Turn::Leave {
            self.settle(&object);
            return Ok(());
        }
        if is_others && !self.may_restore(&object) {
            return Ok(());
        }
        let done = self.kept.cluster.write(&manifest, live.as_ref()).await;
        if done.as_ref().is_err_and(WriteError::is_invalid) {
            self.write_without_lists(&manifest, live.as_ref()).await?;
        }
        if matches!(done, Ok(ObjectChange::Unchanged))
            && let Some(version) = version
        {
            self.insisted.insert(object.clone(), version);
        }
        let reason = if is_others {
            "another client changed it"
        } else {
            "this server's settings changed"
        };
        self.record_write(done, &manifest.reference, reason)?;
        self.settle(&object);
        self.metrics.differs(&object, false);
        Ok(())
    }

    /// The object is as wanted, or left to another server.
    fn settle(&mut self, object: &str) {
        self.pending.remove(object);
        self.renewed.remove(object);
    }

    /// Counts a restoration of an object. False if it must wait; the object then stays pending.
    fn may_restore(&mut self, object: &str) -> bool {
        let new = || Pace::new(RESTORE_PACE.0, RESTORE_PACE.1);
        let pace = self.restored.entry(object.to_owned()).or_insert_with(new);
        let is_free = pace.is_free();
        if is_free {
            pace.count();
        }
        is_free
    }

    /// Writes an object that the apiserver found invalid without the lists of known releases. Names
    /// that strangers chose make these lists. None may keep the registration from being restored.
    async fn write_without_lists(
        &mut self,
        invalid: &Manifest,
        live: Option<&Value>,
    ) -> Result<(), WriteError> {
        let known = self.known.without_lists();
        let policy = self.state.policy();
        let manifests = self.kept.registration.manifests(&policy, &known);
        let mut same = manifests.iter();
        let Some(plain) = same.find(|one| one.reference == invalid.reference) else {
            return Ok(());
        };
        let done = self.kept.cluster.write(plain, live).await;
        self.record_write(
            done,
            &plain.reference,
            "the lists of known releases are invalid",
        )
    }

    /// Deletes objects that are no longer wanted. Each is tried until a deletion succeeds once.
    async fn delete_outdated(&mut self) -> Result<(), WriteError> {
        let mut result = Ok(());
        for reference in std::mem::take(&mut self.outdated) {
            let done = self.kept.cluster.delete(&reference).await;
            if let Err(error) = self.record_write(done, &reference, "it is no longer wanted") {
                self.outdated.push(reference);
                result = result.and(Err(error));
            }
        }
        result
    }

    /// Counts and logs a write, with its reason, and notes its time.
    fn record_write(
        &mut self,
        done: Result<ObjectChange, WriteError>,
        object: &Reference,
        reason: &str,
    ) -> Result<(), WriteError> {
        let done = done?;
        if done != ObjectChange::Unchanged {
            self.wrote = Some(Instant::now());
            self.metrics.kept(done.name());
            tracing::warn!(%object, done = done.name(), reason, "wrote a registered object");
        }
        Ok(())
    }
}

fn version(live: &Value) -> Option<String> {
    let version = live.pointer("/metadata/resourceVersion")?;
    version.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests;
