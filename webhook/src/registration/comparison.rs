//! Compares the registration that another program keeps, such as a Helm chart, and writes nothing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::manifest::is_as;
use super::{Kept, KnownReleases, Manifest};
use crate::metrics::Metrics;
use crate::state::ServerState;

/// Limit for a whole look: a healthy apiserver answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// A registration to compare.
#[derive(Debug, Clone)]
pub struct Compared {
    /// The registration and its cluster. The address is that of the live objects.
    pub kept: Kept,
    /// The `failurePolicy` of webhooks about the engine, if it is not `Fail`.
    pub failure_policy: Option<String>,
}

/// Counts differences between the live objects and those that the policy in force asks for.
#[derive(Debug)]
pub(crate) struct Comparison {
    compared: Compared,
    state: Arc<ServerState>,
    metrics: Arc<Metrics>,
    /// The objects of the last look.
    names: Vec<String>,
    /// The last logged failure.
    told: String,
}

impl Comparison {
    pub(crate) fn new(compared: Compared, state: Arc<ServerState>, metrics: Arc<Metrics>) -> Self {
        let (names, told) = (Vec::new(), String::new());
        Self {
            compared,
            state,
            metrics,
            names,
            told,
        }
    }

    /// Compares every object once. A failure is logged unless it repeats the last.
    pub(crate) async fn look(&mut self) {
        let silence = format!("the apiserver did not answer within {PATIENCE:?}");
        let looked = timeout(PATIENCE, self.compare()).await;
        let told = looked.unwrap_or(silence);
        if !told.is_empty() && told != self.told {
            tracing::error!(why = told, "the registration cannot be compared");
        }
        self.told = told;
    }

    /// The last failure; empty without one.
    async fn compare(&mut self) -> String {
        let policy = self.state.policy();
        let Kept {
            cluster,
            registration,
        } = &self.compared.kept;
        let wanted = registration.unmarked(&policy, &KnownReleases::default());
        let names: Vec<_> = wanted.iter().map(|one| one.reference.to_string()).collect();
        if names != self.names {
            self.metrics.forget_differences();
            self.names.clone_from(&names);
        }
        let mut failure = String::new();
        for (manifest, name) in wanted.iter().zip(&names) {
            match cluster.live(&manifest.reference).await {
                Ok(live) => {
                    let is_same = live.is_some_and(|live| self.is_same(manifest, &live));
                    self.metrics.differs(name, !is_same);
                }
                Err(error) => failure = error.to_string(),
            }
        }
        failure
    }

    /// True if the object is as wanted, apart from timeouts, which the other program chooses.
    fn is_same(&self, manifest: &Manifest, live: &Value) -> bool {
        let mut wanted = manifest.body.clone();
        let webhooks = wanted.get_mut("webhooks").and_then(Value::as_array_mut);
        for webhook in webhooks.into_iter().flatten() {
            let Some(webhook) = webhook.as_object_mut() else {
                continue;
            };
            let live = live.get("webhooks").and_then(Value::as_array);
            let same = live.and_then(|live| {
                live.iter()
                    .find(|one| one.get("name") == webhook.get("name"))
            });
            if let Some(seconds) = same.and_then(|same| same.get("timeoutSeconds")) {
                webhook.insert("timeoutSeconds".to_owned(), seconds.clone());
            }
            let given = self.compared.failure_policy.as_deref();
            if let (Some(given), Some(Value::String(policy))) =
                (given, webhook.get("failurePolicy"))
                && policy == "Fail"
            {
                webhook.insert("failurePolicy".to_owned(), json!(given));
            }
        }
        is_as(&wanted, live)
    }
}
