//! The admission seam: the bytes of an AdmissionReview in, the bytes of its answer out.
//!
//! TLS, HTTP and metrics around this module only carry the bytes. No failure loses the uid: the
//! envelope is read first.

mod budget;
mod envelope;
mod lean;
pub mod mutation;
mod record;
mod response;
mod review;
mod unjudged;

use jiff::Timestamp;
use json_patch::Patch;

use crate::case::facts::Facts;
use crate::case::policy::Policy;
use crate::case::request::{Door, Gap, Obstacle, Request};
use crate::case::rule::Case;
use crate::case::verdict::{Decision, Verdict};
use crate::judge::judge;

pub use budget::ReviewBudget;
pub use envelope::{Envelope, Malformed};
pub use unjudged::Unjudged;

/// The longest body that is judged. etcd stores 1.5 MiB of an object, and the apiserver sends an
/// old and a new one. It writes `<`, `>` and `&` in six bytes, so there is room for one in four
/// bytes.
pub const LONGEST_BODY: usize = 8 << 20;

/// Seconds after which a client tries a review again for which the server had no time. client-go
/// does so ten times.
const AGAIN: u32 = 1;

/// The answer, with the details that a door may use in metrics and logs.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status: 200, or 400 if even the uid is unreadable.
    pub status: u16,
    /// An `admission.k8s.io/v1` AdmissionReview, or with 400 a line of text.
    pub body: Vec<u8>,
    /// The review without its objects; `None` if the body had no uid to answer to.
    pub envelope: Option<Envelope>,
    /// The decision.
    pub outcome: ReviewOutcome,
    /// The findings and the abstentions.
    pub verdict: Verdict,
    /// The judged request. `None` if nothing had to be judged. It may contain values of a release,
    /// which are never printed.
    pub request: Option<Request>,
}

impl Answer {
    /// The door at which the review came in; `None` if the body had no uid to answer to.
    #[must_use]
    pub fn door(&self) -> Option<Door> {
        self.envelope.as_ref().map(Envelope::door)
    }

    fn of(envelope: Envelope, body: Vec<u8>, outcome: ReviewOutcome) -> Self {
        Self {
            status: 200,
            body,
            envelope: Some(envelope),
            outcome,
            verdict: Verdict::default(),
            request: None,
        }
    }
}

/// The decision about a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReviewOutcome {
    /// The judge decided.
    Judged(Decision),
    /// The object passes with an addition, and a warning tells the person.
    Amended,
    /// The body is not a review, for this reason. With a uid it is refused, else answered with 400.
    Unread(String),
}

impl ReviewOutcome {
    /// The name in metrics: a decision, or `error`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Judged(decision) => decision.name(),
            Self::Amended => Decision::Warn.name(),
            Self::Unread(_) => "error",
        }
    }
}

/// Answers a review within [`ReviewBudget::ENGINE`].
#[must_use]
pub fn answer(body: &[u8], facts: &Facts, policy: &Policy, now: Timestamp) -> Answer {
    answer_within(ReviewBudget::ENGINE, body, facts, policy, now)
}

/// Like [`answer`], within a budget. Rule `review-unreadable` reports the parts beyond it.
#[must_use]
pub fn answer_within(
    budget: ReviewBudget,
    body: &[u8],
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Answer {
    let body = &*lean::of_definition(body);
    match Envelope::read(body) {
        Ok(envelope) => judged(budget, body, envelope, facts, policy, now),
        Err(malformed) => rejected(&malformed),
    }
}

/// Answers a review of which only the envelope is read.
#[must_use]
pub fn answer_unread(
    why: Unjudged,
    body: &[u8],
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Answer {
    let envelope = match Envelope::read(body) {
        Ok(envelope) => envelope,
        Err(malformed) => return rejected(&malformed),
    };
    match review::enveloped_alone(&envelope, why) {
        Some(request) => decided(request, envelope, facts, policy, now),
        None => passed(envelope, None),
    }
}

/// Answers a review of the mutating phase. If the policy allows it, a HelmRelease gets the
/// post-renderer that keeps the engine, and is not judged: the validating phase judges the result.
/// All other reviews are answered like in [`answer`].
#[must_use]
pub fn amend(body: &[u8], facts: &Facts, policy: &Policy, now: Timestamp) -> Answer {
    amend_within(ReviewBudget::ENGINE, body, facts, policy, now)
}

/// Like [`amend`], within a budget.
#[must_use]
pub fn amend_within(
    budget: ReviewBudget,
    body: &[u8],
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Answer {
    let body = &*lean::of_definition(body);
    let envelope = match Envelope::read(body) {
        Ok(envelope) => envelope,
        Err(malformed) => return rejected(&malformed),
    };
    if !policy.mutates_helm_releases || envelope.door() != Door::HelmRelease {
        return judged(budget, body, envelope, facts, policy, now);
    }
    let request = match review::changed(body, &envelope, budget) {
        Ok(Some(request)) => request,
        Ok(None) => return passed(envelope, None),
        Err(reason) => return unread(envelope, reason),
    };
    let case = Case {
        request: &request,
        facts,
        policy,
        now,
    };
    if !request.gaps.is_empty() {
        return decided(request, envelope, facts, policy, now);
    }
    if !mutation::is_due(&case) {
        return passed(envelope, Some(request));
    }
    match patched(body, &envelope) {
        Ok(patch) => amended(envelope, &patch, request),
        Err(why) => {
            let request = review::with_gap(request, &envelope, why);
            decided(request, envelope, facts, policy, now)
        }
    }
}

fn judged(
    budget: ReviewBudget,
    body: &[u8],
    envelope: Envelope,
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Answer {
    match review::read(body, &envelope, budget) {
        Ok(None) => passed(envelope, None),
        Ok(Some(request)) => decided(request, envelope, facts, policy, now),
        Err(reason) => unread(envelope, reason),
    }
}

fn decided(
    request: Request,
    envelope: Envelope,
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Answer {
    let verdict = judge(&request, facts, policy, now);
    let is_busy = |gap: &Gap| gap.obstacle == Obstacle::Time;
    let again = request.gaps.iter().any(is_busy).then_some(AGAIN);
    let body = response::judged(&envelope, &verdict, again);
    let outcome = ReviewOutcome::Judged(verdict.decision());
    Answer {
        verdict,
        request: Some(request),
        ..Answer::of(envelope, body, outcome)
    }
}

/// The patch with the due addition. A failure is reported: a HelmRelease that only looks
/// kept is worse than a refused one.
fn patched(body: &[u8], envelope: &Envelope) -> Result<Patch, String> {
    mutation::patch(&review::object(body, envelope)?).map_err(|why| review::unpatched(&why))
}

fn amended(envelope: Envelope, patch: &Patch, request: Request) -> Answer {
    let body = response::amended(&envelope, patch);
    Answer {
        request: Some(request),
        ..Answer::of(envelope, body, ReviewOutcome::Amended)
    }
}

fn passed(envelope: Envelope, request: Option<Request>) -> Answer {
    let body = response::judged(&envelope, &Verdict::default(), None);
    Answer {
        request,
        ..Answer::of(envelope, body, ReviewOutcome::Judged(Decision::Allow))
    }
}

fn unread(envelope: Envelope, reason: String) -> Answer {
    let body = response::unread(&envelope, &reason);
    Answer::of(envelope, body, ReviewOutcome::Unread(reason))
}

fn rejected(malformed: &Malformed) -> Answer {
    let reason = malformed.to_string();
    Answer {
        status: 400,
        body: format!("{reason}\n").into_bytes(),
        envelope: None,
        outcome: ReviewOutcome::Unread(reason),
        verdict: Verdict::default(),
        request: None,
    }
}
