//! The facts and the policy behind every review; a change replaces the policy whole.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use fluxkeep::admission::{
    Answer, EnvelopeOnly, ReviewBudget, answer_by_envelope, answer_mutating_within, answer_within,
};
use fluxkeep::case::policy::Policy;
use fluxkeep_cluster::FactSource;
use jiff::Timestamp;

use crate::registration::Phase;

/// Facts and policy.
#[derive(Debug)]
pub struct ServerState {
    source: Arc<dyn FactSource>,
    policy: RwLock<Arc<Policy>>,
}

impl ServerState {
    /// Judges by these facts and this policy.
    #[must_use]
    pub fn new(source: Arc<dyn FactSource>, policy: Policy) -> Self {
        Self {
            source,
            policy: RwLock::new(Arc::new(policy)),
        }
    }

    /// Answers a review of a phase within a budget, at the current time.
    #[must_use]
    pub fn answer(&self, phase: Phase, budget: ReviewBudget, body: &[u8]) -> Answer {
        let answer = match phase {
            Phase::Mutating => answer_mutating_within,
            Phase::Validating => answer_within,
        };
        answer(budget, body, &self.source.facts(), &self.policy(), now())
    }

    /// Answers a review that is not read, for this reason.
    #[must_use]
    pub fn answer_by_envelope(&self, why: EnvelopeOnly, body: &[u8]) -> Answer {
        answer_by_envelope(why, body, &self.source.facts(), &self.policy(), now())
    }

    /// The source of the facts.
    #[must_use]
    pub fn source(&self) -> &dyn FactSource {
        self.source.as_ref()
    }

    /// The current policy.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.policy
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Replaces the policy from the next review on. The engine's namespaces may change with it.
    pub fn adopt(&self, policy: Policy) {
        self.source.follow(&policy.engine);
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }
}

/// The current time. A time out of `Timestamp`'s range counts as its minimum.
pub(crate) fn now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MIN)
}
