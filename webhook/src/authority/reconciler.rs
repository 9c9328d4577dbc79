//! Looks, performs one step, and looks again.

use std::sync::Arc;
use std::time::Duration;

use fluxkeep_certs::{
    Authorities, Authority, Current, Held, Leaf, RotationPlan, RotationStep, State, plan,
};
use tokio::time::{Instant, timeout};

use super::failure::Failure;
use super::store::{AuthorityStore, Seen};
use crate::metrics::Metrics;
use crate::readiness::Pending;

/// Limit for a step with all its requests: a healthy apiserver answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Steps per tick at most. A first leaf takes four steps, and replicas overtake each other. Further
/// steps wait for the next tick, in case another writer undoes these.
const STEPS: usize = 12;

/// Maintains the authority that this replica shares, and serves a leaf of it.
pub(crate) struct AuthorityReconciler {
    place: AuthorityStore,
    names: Vec<String>,
    current: Arc<Current>,
    metrics: Arc<Metrics>,
    /// Dropped when the apiserver accepts the served leaf.
    pending: Option<Pending>,
    leaf: Option<Leaf>,
    held: Held,
    /// The last logged failure.
    pub(super) told: String,
}

impl AuthorityReconciler {
    /// Serves leaves of the authority at `place` through `current`, for these names. `pending` is
    /// dropped when the apiserver accepts the served leaf.
    pub(crate) fn new(
        place: AuthorityStore,
        names: Vec<String>,
        current: Arc<Current>,
        metrics: Arc<Metrics>,
        pending: Pending,
    ) -> Self {
        let (held, told) = (Held::default(), String::new());
        Self {
            place,
            names,
            current,
            metrics,
            pending: Some(pending),
            leaf: None,
            held,
            told,
        }
    }

    /// Performs all due steps. A failure is logged once and retried at the next look.
    pub(crate) async fn look(&mut self) {
        for _ in 0..STEPS {
            // Boxed, because the server's own future would hold this one for its whole life.
            let done = timeout(PATIENCE, Box::pin(self.step())).await;
            match done.unwrap_or(Err(Failure::Silence(PATIENCE.as_secs()))) {
                Ok(RotationStep::Rest) => return self.told.clear(),
                Ok(_) | Err(Failure::Overtaken(_)) => {}
                Err(failure) => return self.tell(&failure),
            }
        }
    }

    fn tell(&mut self, failure: &Failure) {
        let text = failure.to_string();
        if text != self.told {
            tracing::error!(
                why = text,
                "updating the certificate authority failed; the current certificate stays in use until it \
                 expires; retrying"
            );
            self.told = text;
        }
    }

    /// Plans a step from a fresh look and performs it.
    async fn step(&mut self) -> Result<RotationStep, Failure> {
        let seen = self.place.look().await?;
        let RotationPlan { step, reason } = self.plan(&seen);
        if step != RotationStep::Rest {
            for error in &seen.unusable {
                tracing::warn!(%error, "a stored certificate authority is unusable and is replaced");
            }
            tracing::info!(step = step.name(), reason, "certificate authority");
        }
        let done = self.perform(&step, seen).await;
        if let Err(failure) = &done
            && !matches!(failure, Failure::Overtaken(_))
        {
            self.metrics.rotated(
                if step == RotationStep::Issue {
                    "leaf"
                } else {
                    "ca"
                },
                false,
            );
        }
        done.map(|()| step)
    }

    fn plan(&mut self, seen: &Seen) -> RotationPlan {
        let (bundles, at) = (seen.bundles(), Instant::now().into_std());
        self.held.look(&bundles, at);
        let settled = self.held.settled(self.place.terms.settle, at);
        let leaf = self.leaf.as_ref();
        let state = State {
            authorities: &seen.authorities,
            bundles: &bundles,
            settled: &settled,
            leaf,
        };
        if !bundles.is_empty() && state.is_trusted(seen.now) {
            self.pending = None;
        }
        if let Some(current) = &seen.authorities.current {
            self.metrics
                .expires("ca", current.certificate().life().not_after);
        }
        plan(&state, seen.now)
    }

    async fn perform(&mut self, step: &RotationStep, seen: Seen) -> Result<(), Failure> {
        match step {
            RotationStep::Make => {
                let next = Authority::new(seen.now, &self.place.terms)?;
                self.store(seen, |authorities| authorities.followed_by(next))
                    .await
            }
            RotationStep::Publish(bundle) => {
                for registered in &seen.registrations {
                    self.place.publish(registered, bundle).await?;
                }
                Ok(())
            }
            RotationStep::Switch => {
                self.store(seen, Authorities::switched).await?;
                self.metrics.rotated("ca", true);
                Ok(())
            }
            RotationStep::Issue => self.issue(&seen),
            RotationStep::Forget => {
                let now = seen.now;
                self.store(seen, |authorities| authorities.living(now))
                    .await
            }
            RotationStep::Rest => Ok(()),
        }
    }

    async fn store(
        &self,
        seen: Seen,
        change: impl FnOnce(Authorities) -> Authorities,
    ) -> Result<(), Failure> {
        let (secret, authorities) = seen.into_parts();
        self.place.store(secret, &change(authorities)).await
    }

    fn issue(&mut self, seen: &Seen) -> Result<(), Failure> {
        let Some(current) = &seen.authorities.current else {
            return Ok(());
        };
        let identity = current.leaf(&self.names, seen.now, &self.place.terms)?;
        self.leaf = Some(Leaf {
            issuer: current.certificate().clone(),
            life: identity.life(),
        });
        self.metrics.expires("leaf", identity.life().not_after);
        self.metrics.rotated("leaf", true);
        self.current.swap(identity);
        Ok(())
    }
}
