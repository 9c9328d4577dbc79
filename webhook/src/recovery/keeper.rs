//! Looks at the engine, and writes a recovery point when it has changed and is well.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fluxkeep::flux::engine::{Engine, MEMBERS};
use fluxkeep::recovery::store::{Slot, SlotDecision, decide};
use fluxkeep::recovery::{Head, Reading, Unusable};
use fluxkeep_cluster::FactSource;
use fluxkeep_cluster::recovery::{Stored, Taken, cluster_id, keys, store, stored, take};
use fluxkeep_cluster::write::{WriteError, Writer};
use tokio::time::{Instant, interval};

use super::RecoveryPoints;
use crate::metrics::Metrics;
use crate::state::{ServerState, now};

/// The field manager of the points.
const MANAGER: &str = "fluxkeep-recovery";
/// Interval between looks without any event: not every field of an object is followed.
const SELDOM: Duration = Duration::from_mins(10);
/// Longest interval between checks whether a look is due.
const TICK: Duration = Duration::from_secs(15);
/// Checks within the time for which the engine must stay as it is.
const TICKS: u32 = 4;

/// Keeps the points of every engine that the policy names.
pub(crate) struct RecoveryKeeper {
    writer: Writer,
    kept_in: String,
    quiet: Duration,
    state: Arc<ServerState>,
    metrics: Arc<Metrics>,
    /// The uid of the cluster, once it is read.
    cluster: Option<String>,
    engines: BTreeMap<String, Seen>,
}

/// An engine as it was at the last look.
#[derive(Default)]
struct Seen {
    /// Watch events of the engine's kinds at the last look.
    events: u64,
    /// The time of the last look.
    looked: Option<Instant>,
    /// The time of the next look, unless an event comes first.
    next: Option<Instant>,
    /// The digest that waits to become a point, and the time of its first sight.
    candidate: Option<(String, Instant)>,
    /// The last logged obstacle.
    told: String,
}

/// The result of a look.
enum Looked {
    /// The newest point is as the engine.
    Current,
    /// A point was written.
    Written(Head),
    /// The engine must stay as it is for some time.
    Waiting,
    /// Another server was faster.
    Overtaken,
    /// There is no engine.
    Nothing,
    /// No point is written, for this reason.
    Obstacle(String),
}

impl RecoveryKeeper {
    /// Keeps the points of the engines of `state`'s policy, which may change.
    pub(crate) fn new(
        points: RecoveryPoints,
        state: Arc<ServerState>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            writer: Writer::new(points.client, MANAGER),
            kept_in: points.kept_in,
            quiet: points.quiet,
            state,
            metrics,
            cluster: None,
            engines: BTreeMap::new(),
        }
    }

    /// Runs forever.
    pub(crate) async fn run(mut self) {
        let mut ticks = interval((self.quiet / TICKS).clamp(Duration::from_millis(50), TICK));
        loop {
            ticks.tick().await;
            self.tick().await;
        }
    }

    /// Looks at each engine that is due, while the facts are complete.
    async fn tick(&mut self) {
        let source = self.state.source();
        if !source.pending().is_empty() || source.facts().stale(now()).is_some() {
            return;
        }
        let events = events(source);
        let namespaces = self.state.policy().engine.namespaces.clone();
        self.engines.retain(|name, _| namespaces.contains(name));
        for namespace in namespaces {
            if self.is_due(&namespace, events) {
                self.visit(&namespace, events).await;
            }
        }
    }

    /// True after an event, but not at every event of a busy cluster, and after some time.
    fn is_due(&self, namespace: &str, events: u64) -> bool {
        let Some(seen) = self.engines.get(namespace) else {
            return true;
        };
        let is_rested = seen
            .looked
            .is_none_or(|looked| looked.elapsed() >= self.quiet / 2);
        let is_time = seen.next.is_none_or(|next| Instant::now() >= next);
        is_time || is_rested && seen.events != events
    }

    /// Looks at one engine, and records the result.
    async fn visit(&mut self, namespace: &str, events: u64) {
        let mut seen = self.engines.remove(namespace).unwrap_or_default();
        seen.events = events;
        let looked = match self.look(namespace, &mut seen).await {
            Ok(looked) => looked,
            Err(error) if error.is_conflict() => Looked::Overtaken,
            Err(error) => {
                self.metrics.point_written("failed");
                Looked::Obstacle(error.to_string())
            }
        };
        let now = Instant::now();
        seen.looked = Some(now);
        seen.next = Some(match &looked {
            Looked::Current | Looked::Written(_) | Looked::Nothing => now + SELDOM,
            Looked::Waiting | Looked::Obstacle(_) => now + self.quiet,
            Looked::Overtaken => now,
        });
        self.tell(namespace, &mut seen, looked);
        self.engines.insert(namespace.to_owned(), seen);
    }

    /// Counts and logs a result; an obstacle once, until there is another.
    fn tell(&self, namespace: &str, seen: &mut Seen, looked: Looked) {
        let mut told = String::new();
        match looked {
            Looked::Written(head) => {
                self.metrics.point_written("written");
                tracing::info!(point = %head, "wrote a recovery point");
            }
            Looked::Obstacle(why) => told = why,
            Looked::Overtaken => self.metrics.point_written("overtaken"),
            Looked::Current | Looked::Waiting | Looked::Nothing => {}
        }
        if !told.is_empty() && told != seen.told {
            tracing::warn!(
                namespace,
                why = told,
                "no recovery point is written; retrying"
            );
        }
        seen.told = told;
    }

    async fn look(&mut self, namespace: &str, seen: &mut Seen) -> Result<Looked, WriteError> {
        let slots = stored(&self.writer, Some(&self.kept_in), namespace).await?;
        let Ok(taken) = self.take(namespace).await? else {
            self.metrics.points_seen(namespace, &heads(&slots), None);
            seen.candidate = None;
            return Ok(Looked::Nothing);
        };
        let digest = &taken.head.digest;
        self.metrics
            .points_seen(namespace, &heads(&slots), Some(digest));
        let contents: Vec<Slot> = slots.iter().map(|stored| stored.slot.clone()).collect();
        let number = match decide(&contents, &taken.head) {
            SlotDecision::Write(number) => number,
            SlotDecision::Current => {
                seen.candidate = None;
                return Ok(Looked::Current);
            }
            SlotDecision::Incomplete(lacking) => return Ok(incomplete(namespace, &lacking)),
            SlotDecision::Newer => {
                let why = "a newer fluxkeep keeps the recovery points; update this server";
                return Ok(Looked::Obstacle(why.to_owned()));
            }
        };
        if let Some(trouble) = taken.troubles.first() {
            seen.candidate = None;
            return Ok(Looked::Obstacle(trouble.clone()));
        }
        if !self.has_stayed(seen, digest) {
            return Ok(Looked::Waiting);
        }
        self.write(namespace, &slots, number, &taken).await
    }

    /// Reads the engine. The inner error tells that there is none.
    async fn take(&mut self, namespace: &str) -> Result<Result<Taken, Unusable>, WriteError> {
        let (facts, policy) = (self.state.source().facts(), self.state.policy());
        let engine = Engine {
            namespaces: vec![namespace.to_owned()],
            ..policy.engine.clone()
        };
        let cluster = match &self.cluster {
            Some(cluster) => cluster.clone(),
            None => cluster_id(&self.writer).await?,
        };
        self.cluster = Some(cluster.clone());
        let reading = Reading {
            cluster,
            taken: now(),
        };
        take(&self.writer, &keys(&facts, &engine), &engine, reading).await
    }

    /// True if the engine had this digest at the first sight and has it now, long enough later.
    fn has_stayed(&self, seen: &mut Seen, digest: &str) -> bool {
        match &seen.candidate {
            Some((known, since)) if known == digest => since.elapsed() >= self.quiet,
            _ => {
                seen.candidate = Some((digest.to_owned(), Instant::now()));
                false
            }
        }
    }

    async fn write(
        &self,
        namespace: &str,
        slots: &[Stored],
        number: usize,
        taken: &Taken,
    ) -> Result<Looked, WriteError> {
        let Some(slot) = slots.iter().find(|stored| stored.number == number) else {
            return Ok(Looked::Waiting);
        };
        if let Err(why) = store(&self.writer, slot, taken).await? {
            return Ok(Looked::Obstacle(why.to_string()));
        }
        let mut heads = heads(slots);
        heads.retain(|head| head.digest != taken.head.digest);
        if let Some(replaced) = slot.head() {
            heads.retain(|head| head.digest != replaced.digest);
        }
        heads.push(&taken.head);
        let digest = Some(taken.head.digest.as_str());
        self.metrics.points_seen(namespace, &heads, digest);
        Ok(Looked::Written(taken.head.clone()))
    }
}

/// The good points.
fn heads(slots: &[Stored]) -> Vec<&Head> {
    slots.iter().filter_map(Stored::head).collect()
}

fn incomplete(namespace: &str, lacking: &[String]) -> Looked {
    Looked::Obstacle(format!(
        "the newest point has {}, which the Flux in {namespace} lacks; if that is wanted, delete the points",
        lacking.join(", ")
    ))
}

/// The watch events seen of the engine's kinds.
fn events(source: &dyn FactSource) -> u64 {
    let is_engine = |resource: &str| MEMBERS.iter().any(|member| member.resource == resource);
    let changes = source.changes();
    let of_engine = changes
        .iter()
        .filter(|((resource, _), _)| is_engine(resource));
    of_engine.map(|(_, count)| count).sum()
}
