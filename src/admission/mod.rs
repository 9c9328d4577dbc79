//! The admission seam: the bytes of an AdmissionReview in, the bytes of its answer out.
//!
//! Everything around it, TLS, HTTP, metrics, only carries. No failure loses the uid: the envelope is
//! read before anything else.

mod budget;
mod envelope;
mod lean;
mod record;
mod response;
mod review;

use jiff::Timestamp;
use json_patch::Patch;

use crate::facts::Facts;
use crate::judge::judge;
use crate::mutation;
use crate::policy::Policy;
use crate::request::{Door, Request};
use crate::rule::Case;
use crate::verdict::{Decision, Verdict};

pub use budget::Budget;
pub use envelope::{Envelope, Malformed};

/// The longest body that is read: the apiserver sends an old and a new object of up to 3 MiB each.
pub const LONGEST_BODY: usize = 8 << 20;

/// What goes back, and what a door may say about it in metrics and logs.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status: 200, or 400 where not even the uid could be read.
    pub status: u16,
    /// An `admission.k8s.io/v1` AdmissionReview, or with 400 one line of text.
    pub body: Vec<u8>,
    /// Where the request came in; none where that could not be read.
    pub door: Option<Door>,
    /// What was decided.
    pub outcome: Outcome,
    /// What was found and what abstained.
    pub verdict: Verdict,
    /// What was judged; none where there was nothing to judge. It may hold values of a release, which
    /// are never printed.
    pub request: Option<Request>,
}

/// What was decided about a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The judge decided.
    Judged(Decision),
    /// It goes through with what was added to it; the person is told.
    Amended,
    /// The body is no review, for this reason. It has a uid and is refused, or it is answered with 400.
    Unread(String),
}

impl Outcome {
    /// Its name in metrics: a decision, or `error`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Judged(decision) => decision.name(),
            Self::Amended => Decision::Warn.name(),
            Self::Unread(_) => "error",
        }
    }
}

/// Answers one review, within [`Budget::ENGINE`].
#[must_use]
pub fn answer(body: &[u8], facts: &Facts, policy: &Policy, now: Timestamp) -> Answer {
    answer_within(Budget::ENGINE, body, facts, policy, now)
}

/// As [`answer`], within a budget. What exceeds it is not read, which rule `review-unreadable` reports.
#[must_use]
pub fn answer_within(
    budget: Budget,
    body: &[u8],
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Answer {
    let body = &*lean::of_definition(body);
    match Envelope::read(body) {
        Ok(envelope) => judged(budget, body, &envelope, facts, policy, now),
        Err(malformed) => rejected(&malformed),
    }
}

/// Answers one review of which nothing but the envelope is read, for this reason, which is a clause.
#[must_use]
pub fn answer_unread(
    why: &str,
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
        Some(request) => decided(request, &envelope, facts, policy, now),
        None => passed(&envelope, None),
    }
}

/// Answers one review of the mutating phase, in which an answer may change the object. Where the policy
/// wants it, a HelmRelease gets what keeps the engine and is not judged: the validating phase judges what
/// has become of it. Everything else is answered as by [`answer`].
#[must_use]
pub fn amend(body: &[u8], facts: &Facts, policy: &Policy, now: Timestamp) -> Answer {
    amend_within(Budget::ENGINE, body, facts, policy, now)
}

/// As [`amend`], within a budget.
#[must_use]
pub fn amend_within(
    budget: Budget,
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
        return judged(budget, body, &envelope, facts, policy, now);
    }
    let request = match review::changed(body, &envelope, budget) {
        Ok(Some(request)) => request,
        Ok(None) => return passed(&envelope, None),
        Err(reason) => return unread(&envelope, reason),
    };
    let case = Case {
        request: &request,
        facts,
        policy,
        now,
    };
    if !request.gaps.is_empty() {
        return decided(request, &envelope, facts, policy, now);
    }
    if !mutation::is_due(&case) {
        return passed(&envelope, Some(request));
    }
    match patched(body) {
        Ok(patch) => amended(&envelope, &patch, request),
        Err(why) => {
            let request = review::with_gap(request, &envelope, why);
            decided(request, &envelope, facts, policy, now)
        }
    }
}

fn judged(
    budget: Budget,
    body: &[u8],
    envelope: &Envelope,
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Answer {
    match review::read(body, envelope, budget) {
        Ok(None) => passed(envelope, None),
        Ok(Some(request)) => decided(request, envelope, facts, policy, now),
        Err(reason) => unread(envelope, reason),
    }
}

fn decided(
    request: Request,
    envelope: &Envelope,
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Answer {
    let verdict = judge(&request, facts, policy, now);
    let body = response::judged(envelope, &verdict);
    let outcome = Outcome::Judged(verdict.decision());
    Answer {
        status: 200,
        body,
        door: Some(request.door),
        outcome,
        verdict,
        request: Some(request),
    }
}

/// The patch that adds to an object what is due. What cannot be added is told: a HelmRelease that looks as
/// if it were kept, and is not, is worse than one that is refused.
fn patched(body: &[u8]) -> Result<Patch, String> {
    mutation::patch(&review::object(body)?).map_err(|why| review::unpatched(&why))
}

fn amended(envelope: &Envelope, patch: &Patch, request: Request) -> Answer {
    Answer {
        status: 200,
        body: response::amended(envelope, patch),
        door: Some(envelope.door()),
        outcome: Outcome::Amended,
        verdict: Verdict::default(),
        request: Some(request),
    }
}

fn passed(envelope: &Envelope, request: Option<Request>) -> Answer {
    let verdict = Verdict::default();
    let body = response::judged(envelope, &verdict);
    let outcome = Outcome::Judged(Decision::Allow);
    Answer {
        status: 200,
        body,
        door: Some(envelope.door()),
        outcome,
        verdict,
        request,
    }
}

fn unread(envelope: &Envelope, reason: String) -> Answer {
    let body = response::unread(envelope, &reason);
    let (door, verdict) = (Some(envelope.door()), Verdict::default());
    Answer {
        status: 200,
        body,
        door,
        outcome: Outcome::Unread(reason),
        verdict,
        request: None,
    }
}

fn rejected(malformed: &Malformed) -> Answer {
    let reason = malformed.to_string();
    Answer {
        status: 400,
        body: format!("{reason}\n").into_bytes(),
        door: None,
        outcome: Outcome::Unread(reason),
        verdict: Verdict::default(),
        request: None,
    }
}
