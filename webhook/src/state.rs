//! What every review is judged by, exchanged as a whole while reviews run.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use fluxkeep::admission::{Answer, Budget, amend_within, answer_unread, answer_within};
use fluxkeep::policy::Policy;
use fluxkeep_cluster::Source;
use jiff::Timestamp;

use crate::registration::Phase;

/// Facts and policy.
#[derive(Debug)]
pub struct State {
    source: Arc<dyn Source>,
    policy: RwLock<Arc<Policy>>,
}

impl State {
    /// Judges by these.
    #[must_use]
    pub fn new(source: Arc<dyn Source>, policy: Policy) -> Self {
        Self {
            source,
            policy: RwLock::new(Arc::new(policy)),
        }
    }

    /// Answers one review of a phase within a budget, now.
    #[must_use]
    pub fn answer(&self, phase: Phase, budget: Budget, body: &[u8]) -> Answer {
        let answer = match phase {
            Phase::Mutating => amend_within,
            Phase::Validating => answer_within,
        };
        answer(budget, body, &self.source.facts(), &self.policy(), now())
    }

    /// Answers one review that is not read, for this reason.
    #[must_use]
    pub fn answer_unread(&self, why: &str, body: &[u8]) -> Answer {
        answer_unread(why, body, &self.source.facts(), &self.policy(), now())
    }

    /// Where the facts come from.
    #[must_use]
    pub fn source(&self) -> &dyn Source {
        self.source.as_ref()
    }

    /// The policy that counts now.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.policy
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Judges by another policy from the next review on. The engine may live elsewhere then.
    pub fn adopt(&self, policy: Policy) {
        self.source.follow(&policy.engine);
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }
}

/// The wall clock. A clock before the year 1 counts as its first moment.
pub(crate) fn now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MIN)
}
