//! Keeps the registration as it is wanted: what is deleted or changed by hand is put back.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{Cluster, Done, Error, Manifest, Reference, Registration};
use crate::metrics::Metrics;
use crate::state::State;

/// For one look with all that it asks: the apiserver answers within milliseconds, or is ill.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is to be kept, and where.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The cluster.
    pub cluster: Cluster,
    /// The registration.
    pub registration: Registration,
}

impl Kept {
    /// With the certificate that the server made itself, where no other is to be trusted.
    pub(crate) fn trusting(mut self, authority: Option<&str>) -> Self {
        self.registration.authority = self
            .registration
            .authority
            .or_else(|| authority.map(str::to_owned));
        self
    }
}

/// Looks after the registration of this server.
#[derive(Debug)]
pub(crate) struct Keeper {
    kept: Kept,
    state: Arc<State>,
    metrics: Arc<Metrics>,
    /// Whether this process has applied everything once: another version of fluxkeep may have wanted
    /// more. From then on it writes only what differs.
    applied: bool,
    /// The failure that was told last.
    told: String,
}

impl Keeper {
    /// Keeps it for the policy of `state`, which may change.
    pub(crate) fn new(kept: Kept, state: Arc<State>, metrics: Arc<Metrics>) -> Self {
        Self {
            kept,
            state,
            metrics,
            applied: false,
            told: String::new(),
        }
    }

    /// Looks once, and puts back what differs. A failure is counted, told when it is another than the
    /// last, and mended by the next look.
    pub(crate) async fn look(&mut self) {
        let manifests = self.kept.registration.manifests(&self.state.policy());
        let silence = format!("the apiserver did not answer within {PATIENCE:?}");
        let looked = timeout(PATIENCE, self.bring(&manifests)).await;
        let told = match looked {
            Ok(Ok(())) => {
                self.applied = true;
                String::new()
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => silence,
        };
        if !told.is_empty() {
            self.metrics.kept("failed");
        }
        if told != self.told && !told.is_empty() {
            tracing::error!(
                why = told,
                "the registration cannot be kept up to date; what is there stays"
            );
        }
        self.told = told;
    }

    /// Each object by itself: one that may not be written keeps no other away. Gives the first failure.
    async fn bring(&self, manifests: &[Manifest]) -> Result<(), Error> {
        let cluster = &self.kept.cluster;
        let mut result = Ok(());
        for manifest in manifests {
            let done = if self.applied {
                cluster.put_back(manifest).await
            } else {
                cluster.apply(manifest).await
            };
            result = result.and(self.note(done, &manifest.reference));
        }
        for reference in cluster.left_over(manifests).await? {
            let done = cluster.delete(&reference).await;
            result = result.and(self.note(done, &reference));
        }
        result
    }

    fn note(&self, done: Result<Done, Error>, object: &Reference) -> Result<(), Error> {
        let done = done?;
        if done != Done::Unchanged {
            self.metrics.kept(done.name());
            tracing::warn!(%object, done = done.name(), "the registration was brought to what is wanted");
        }
        Ok(())
    }
}
