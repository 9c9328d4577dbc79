//! Asks the engine's doors repeatedly as an administrator, in dry runs.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fluxkeep::helm::record::Driver;
use fluxkeep_tests::control_plane::Cluster;
use fluxkeep_tests::flux::HOME;
use fluxkeep_tests::{owned, packed};
use kube::api::{DeleteParams, DynamicObject, PostParams};
use serde_json::{Value, json};

/// Start of a webhook's refusal; an unreachable webhook gives another message.
const JUDGED: &str = "admission webhook";

/// The results of the probe.
#[derive(Debug, Default)]
pub(crate) struct Probed {
    /// Requests that the webhook refused, as expected.
    pub(crate) answered: usize,
    /// The answers to all other requests.
    pub(crate) unanswered: Vec<String>,
    /// The longest time for an answer.
    pub(crate) longest: Duration,
}

/// Asks until the flood is over.
pub(crate) async fn asks(cluster: &Cluster, is_over: &AtomicBool) -> Probed {
    let mut probed = Probed::default();
    while !is_over.load(Ordering::Relaxed) {
        for door in [deleted(cluster).await, installed(cluster).await] {
            probed.longest = probed.longest.max(door.took);
            if door.said.starts_with(JUDGED) {
                probed.answered += 1;
            } else {
                probed.unanswered.push(door.said);
            }
        }
    }
    probed
}

struct Asked {
    said: String,
    took: Duration,
}

/// Deletes a controller.
async fn deleted(cluster: &Cluster) -> Asked {
    let controller = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "source-controller", "namespace": HOME}});
    let api = cluster.api(&controller).await;
    let start = Instant::now();
    let answer = api
        .delete("source-controller", &DeleteParams::default().dry_run())
        .await;
    asked(start, answer.err())
}

/// Stores the record of a release of Flux 2.3.0 over the running Flux.
async fn installed(cluster: &Cluster) -> Asked {
    let manifest = owned("helm-controller", "ghcr.io/fluxcd/helm-controller:v1.0.1");
    let data = packed("flux", HOME, &manifest, &[], Driver::Secret);
    let record: Value = json!({"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": {"name": "sh.helm.release.v1.flux.v1", "namespace": HOME, "labels": {"owner": "helm"}},
        "data": {"release": data}});
    let api = cluster.api(&record).await;
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let written: DynamicObject = serde_json::from_value(record).unwrap();
    let start = Instant::now();
    let answer = api.create(&dry, &written).await;
    asked(start, answer.err())
}

fn asked(start: Instant, error: Option<kube::Error>) -> Asked {
    let said = match error {
        Some(kube::Error::Api(status)) => status.message,
        Some(other) => other.to_string(),
        None => "it was let through".to_owned(),
    };
    Asked {
        said,
        took: start.elapsed(),
    }
}

impl fmt::Display for Probed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            answered, longest, ..
        } = self;
        write!(
            out,
            "the engine's doors answered {answered} times, the slowest after {longest:?}"
        )
    }
}
