//! The admission seam: the bytes of an AdmissionReview in, the bytes of its answer out.
//!
//! TLS, HTTP and metrics around this module only carry the bytes. No failure loses the uid: the
//! envelope is read first.

mod budget;
mod envelope;
mod envelope_only;
mod lean;
pub mod mutation;
mod record;
mod response;
mod review;

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
pub use envelope_only::EnvelopeOnly;

/// The longest body that is judged: two objects of 1.5 MiB, etcd's limit, with a quarter of their
/// bytes escaped. The apiserver writes `<`, `>` and `&` as six bytes each.
pub const LONGEST_BODY: usize = 8 << 20;

/// Seconds after which a client tries a review again for which the server had no time. client-go
/// does so ten times.
pub const RETRY_AFTER_SECONDS: u32 = 1;

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
    NotAReview(String),
}

impl ReviewOutcome {
    /// The name in metrics: a decision, or `error`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Judged(decision) => decision.name(),
            Self::Amended => Decision::Warn.name(),
            Self::NotAReview(_) => "error",
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
        Ok(envelope) => read_and_judge(budget, body, envelope, facts, policy, now),
        Err(malformed) => bad_request(&malformed),
    }
}

/// Answers a review of which only the envelope is read. The judge decides: rule
/// `review-unreadable` refuses what may be about the engine, and warns about everything else.
#[must_use]
pub fn answer_by_envelope(
    why: EnvelopeOnly,
    body: &[u8],
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Answer {
    let envelope = match Envelope::read(body) {
        Ok(envelope) => envelope,
        Err(malformed) => return bad_request(&malformed),
    };
    match review::envelope_request(&envelope, why) {
        Some(request) => judge_request(request, envelope, facts, policy, now),
        None => pass(envelope, None),
    }
}

/// Answers a review of the mutating phase.
///
/// If the policy mutates HelmReleases, a HelmRelease gets the post-renderer that keeps the engine
/// where one is due, and passes: the validating phase judges the result. A HelmRelease that is
/// unreadable or cannot be patched is judged here. All other reviews are answered as by [`answer`].
#[must_use]
pub fn answer_mutating(body: &[u8], facts: &Facts, policy: &Policy, now: Timestamp) -> Answer {
    answer_mutating_within(ReviewBudget::ENGINE, body, facts, policy, now)
}

/// Like [`answer_mutating`], within a budget.
#[must_use]
pub fn answer_mutating_within(
    budget: ReviewBudget,
    body: &[u8],
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Answer {
    let body = &*lean::of_definition(body);
    let envelope = match Envelope::read(body) {
        Ok(envelope) => envelope,
        Err(malformed) => return bad_request(&malformed),
    };
    if !policy.mutates_helm_releases || envelope.door() != Door::HelmRelease {
        return read_and_judge(budget, body, envelope, facts, policy, now);
    }
    let request = match review::read(body, &envelope, budget) {
        Ok(Some(request)) => request,
        Ok(None) => return pass(envelope, None),
        Err(reason) => return not_a_review(envelope, reason),
    };
    let case = Case {
        request: &request,
        facts,
        policy,
        now,
    };
    if !request.gaps.is_empty() {
        return judge_request(request, envelope, facts, policy, now);
    }
    if !mutation::is_due(&case) {
        return pass(envelope, Some(request));
    }
    match post_renderer_patch(body, &envelope) {
        Ok(patch) => patch_answer(envelope, &patch, request),
        Err(why) => {
            let request = review::with_gap(request, &envelope, why);
            judge_request(request, envelope, facts, policy, now)
        }
    }
}

fn read_and_judge(
    budget: ReviewBudget,
    body: &[u8],
    envelope: Envelope,
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Answer {
    match review::read_if_changed(body, &envelope, budget) {
        Ok(None) => pass(envelope, None),
        Ok(Some(request)) => judge_request(request, envelope, facts, policy, now),
        Err(reason) => not_a_review(envelope, reason),
    }
}

fn judge_request(
    request: Request,
    envelope: Envelope,
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Answer {
    let verdict = judge(&request, facts, policy, now);
    let is_busy = |gap: &Gap| gap.obstacle == Obstacle::Time;
    let retry_after = request
        .gaps
        .iter()
        .any(is_busy)
        .then_some(RETRY_AFTER_SECONDS);
    let body = response::verdict_response(&envelope, &verdict, retry_after);
    let outcome = ReviewOutcome::Judged(verdict.decision());
    Answer {
        verdict,
        request: Some(request),
        ..Answer::of(envelope, body, outcome)
    }
}

/// The patch with the due addition. A failure is reported: a HelmRelease that only looks
/// kept is worse than a refused one.
fn post_renderer_patch(body: &[u8], envelope: &Envelope) -> Result<Patch, String> {
    mutation::patch(&review::object(body, envelope)?).map_err(|why| review::unpatched(&why))
}

fn patch_answer(envelope: Envelope, patch: &Patch, request: Request) -> Answer {
    let body = response::patch_response(&envelope, patch);
    Answer {
        request: Some(request),
        ..Answer::of(envelope, body, ReviewOutcome::Amended)
    }
}

fn pass(envelope: Envelope, request: Option<Request>) -> Answer {
    let body = response::verdict_response(&envelope, &Verdict::default(), None);
    Answer {
        request,
        ..Answer::of(envelope, body, ReviewOutcome::Judged(Decision::Allow))
    }
}

fn not_a_review(envelope: Envelope, reason: String) -> Answer {
    let body = response::error_response(&envelope, &reason);
    Answer::of(envelope, body, ReviewOutcome::NotAReview(reason))
}

fn bad_request(malformed: &Malformed) -> Answer {
    let reason = malformed.to_string();
    Answer {
        status: 400,
        body: format!("{reason}\n").into_bytes(),
        envelope: None,
        outcome: ReviewOutcome::NotAReview(reason),
        verdict: Verdict::default(),
        request: None,
    }
}
