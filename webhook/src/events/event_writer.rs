//! Writes Events from a queue, in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use fluxkeep::admission::{Answer, ReviewOutcome};
use fluxkeep::case::finding::ObjectRef;
use fluxkeep::case::verdict::Decision;
use fluxkeep::object::group_and_version;
use fluxkeep_cluster::write::{Target, WriteError, Writer};
use k8s_openapi::api::core::v1::Event;
use kube::Client;
use kube::core::{ApiResource, GroupVersionKind};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::aggregator::{Aggregator, Key};
use super::plan::{EventNote, plan};
use crate::metrics::Metrics;
use crate::state::{ServerState, now};

/// Queue capacity: many times the notes of one deletion of all of Flux.
const QUEUE: usize = 1_024;
/// Interval between checks for due Events.
const TICK: Duration = Duration::from_secs(1);
/// Events written per check at most: other clients need the apiserver, too.
const AT_ONCE: usize = 20;
/// Limit for an Event with all its requests.
const PATIENCE: Duration = Duration::from_secs(5);

/// The handle that takes answers.
#[derive(Debug, Clone)]
pub(crate) struct EventWriter {
    queue: Sender<EventNote>,
    state: Arc<ServerState>,
    metrics: Arc<Metrics>,
}

impl EventWriter {
    /// Starts the writing task, which ends when the last handle is dropped.
    pub(crate) fn start(client: Client, state: Arc<ServerState>, metrics: Arc<Metrics>) -> Self {
        let (queue, told) = channel(QUEUE);
        tokio::spawn(write(told, client, metrics.clone()));
        Self {
            queue,
            state,
            metrics,
        }
    }

    /// Queues the notes about an answer without waiting. A full queue drops notes and counts them.
    pub(crate) fn tell(&self, answer: &Answer) {
        if answer.outcome != ReviewOutcome::Judged(Decision::Refuse) {
            return;
        }
        for told in plan(answer, &self.state.source().facts()) {
            if self.queue.try_send(told).is_err() {
                self.metrics.told("dropped");
            }
        }
    }
}

/// Writes Events until all handles are dropped.
async fn write(mut queue: Receiver<EventNote>, client: Client, metrics: Arc<Metrics>) {
    let writer = Writer::new(client, "fluxkeep");
    let mut aggregator = Aggregator::default();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let is_open = take(&mut queue, &mut aggregator, &metrics);
        for (key, event) in aggregator.due(now(), AT_ONCE) {
            match timeout(PATIENCE, sent(&writer, &key, event)).await {
                Ok(Ok(())) => metrics.told("written"),
                Ok(Err(error)) => failed(&mut aggregator, &key, &error.reason, &metrics),
                Err(_) => failed(
                    &mut aggregator,
                    &key,
                    "the apiserver did not answer in time",
                    &metrics,
                ),
            }
        }
        if !is_open {
            return;
        }
    }
}

/// Records all queued notes. False if no more notes can come.
fn take(queue: &mut Receiver<EventNote>, aggregator: &mut Aggregator, metrics: &Metrics) -> bool {
    loop {
        match queue.try_recv() {
            Ok(told) => {
                if !aggregator.note(told, now()) {
                    metrics.told("dropped");
                }
            }
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => return false,
        }
    }
}

fn failed(aggregator: &mut Aggregator, key: &Key, why: &str, metrics: &Metrics) {
    metrics.told("failed");
    let object = &key.0;
    tracing::warn!(%object, why, "writing an Event failed; retrying");
    aggregator.again(key);
}

async fn sent(writer: &Writer, (about, _): &Key, mut event: Event) -> Result<(), WriteError> {
    // kubectl describe finds Events by uid. If the object cannot be read, the uid stays empty.
    if let Ok(Some(live)) = writer.metadata(&target(about)).await {
        event.involved_object.uid = live.uid;
    }
    let metadata = &event.metadata;
    let events = Target {
        resource: ApiResource::erase::<Event>(&()),
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone().unwrap_or_default(),
    };
    // Serializing cannot fail: an Event holds only strings, numbers and maps of strings.
    let body = serde_json::to_value(&event).unwrap_or_default();
    writer.apply(&events, &body).await.map(drop)
}

/// The object of a note. The kinds of the engine and its appliers have regular plurals.
fn target(about: &ObjectRef) -> Target {
    let (group, version) = group_and_version(&about.api_version);
    Target {
        resource: ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &about.kind)),
        namespace: about.namespace.clone(),
        name: about.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::registration::Phase;
    use fluxkeep::admission::ReviewBudget;
    use fluxkeep::case::policy::Policy;
    use fluxkeep_cluster::Snapshot;
    use http::{Request, Response};
    use kube::client::Body;
    use std::convert::Infallible;
    use std::sync::Mutex;
    use tower::service_fn;

    fn state() -> Arc<ServerState> {
        Arc::new(ServerState::new(
            Arc::new(Snapshot::of(Vec::new())),
            Policy::default(),
        ))
    }

    fn refusal(state: &ServerState, name: &str) -> Answer {
        let review = format!(
            r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"1",
            "kind":{{"group":"apiextensions.k8s.io","version":"v1","kind":"CustomResourceDefinition"}},
            "resource":{{"resource":"customresourcedefinitions"}},"name":"{name}","operation":"DELETE",
            "userInfo":{{"username":"jane"}},"oldObject":{{"apiVersion":"apiextensions.k8s.io/v1",
            "kind":"CustomResourceDefinition","metadata":{{"name":"{name}"}},"spec":{{"group":"g","scope":"Namespaced",
            "names":{{"kind":"K","plural":"ks"}},"versions":[]}}}}}}}}"#
        );
        state.answer(Phase::Mutating, ReviewBudget::ENGINE, review.as_bytes())
    }

    fn counted(metrics: &Metrics, result: &str) -> u64 {
        let sample = format!(r#"fluxkeep_events_total{{result="{result}"}} "#);
        let text = metrics.encoded();
        text.lines()
            .find_map(|line| line.strip_prefix(&sample))
            .unwrap()
            .parse()
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_apiserver_that_does_not_answer_costs_events_and_no_time() {
        let silent = service_fn(|_: Request<Body>| {
            std::future::pending::<Result<Response<Body>, Infallible>>()
        });
        let (state, metrics) = (state(), Arc::new(Metrics::default()));
        let event_writer = EventWriter::start(
            Client::new(silent, "default"),
            state.clone(),
            metrics.clone(),
        );
        let answer = refusal(&state, "buckets.source.toolkit.fluxcd.io");
        for _ in 0..=QUEUE {
            event_writer.tell(&answer);
        }
        assert_eq!(counted(&metrics, "dropped"), 1);
        tokio::time::sleep(PATIENCE * 2).await;
        assert_eq!(
            (counted(&metrics, "written"), counted(&metrics, "failed")),
            (0, 1)
        );
    }

    /// The fake apiserver knows no object and takes every Event.
    #[tokio::test(start_paused = true)]
    async fn what_is_told_of_one_object_many_times_is_written_once() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        let service = service_fn(move |request: Request<Body>| {
            seen.lock()
                .unwrap()
                .push(format!("{} {}", request.method(), request.uri().path()));
            let (status, body) = if request.method() == "PATCH" {
                (200, "{\"metadata\":{},\"involvedObject\":{}}")
            } else {
                (404, "{}")
            };
            async move {
                Ok::<_, Infallible>(
                    Response::builder()
                        .status(status)
                        .body(Body::from(body.as_bytes().to_vec()))
                        .unwrap(),
                )
            }
        });
        let (state, metrics) = (state(), Arc::new(Metrics::default()));
        let event_writer = EventWriter::start(
            Client::new(service, "default"),
            state.clone(),
            metrics.clone(),
        );
        let answer = refusal(&state, "buckets.source.toolkit.fluxcd.io");
        for _ in 0..3 {
            event_writer.tell(&answer);
        }
        tokio::time::sleep(TICK * 2).await;
        assert_eq!(counted(&metrics, "written"), 1);
        let path = asked.lock().unwrap().last().cloned().unwrap();
        assert!(
            path.starts_with(
                "PATCH /api/v1/namespaces/default/events/buckets.source.toolkit.fluxcd.io."
            ),
            "{path}"
        );
    }
}
