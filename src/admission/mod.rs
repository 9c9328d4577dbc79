//! The admission seam: the bytes of an AdmissionReview in, the bytes of its answer out.
//!
//! Everything around it, TLS, HTTP, metrics, only carries. No failure loses the uid: the envelope is
//! read before anything else.

mod envelope;
mod lean;
mod response;
mod review;

use jiff::Timestamp;

use crate::facts::Facts;
use crate::judge::judge;
use crate::policy::Policy;
use crate::request::{Door, Request};
use crate::verdict::{Decision, Verdict};

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
    /// The review could not be read, for this reason; refused, so that nothing passes unseen.
    Unread(String),
}

impl Outcome {
    /// Its name in metrics: a decision, or `error`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Judged(decision) => decision.name(),
            Self::Unread(_) => "error",
        }
    }
}

/// Answers one review.
#[must_use]
pub fn answer(body: &[u8], facts: &Facts, policy: &Policy, now: Timestamp) -> Answer {
    let envelope = match Envelope::read(body) {
        Ok(envelope) => envelope,
        Err(malformed) => return rejected(&malformed),
    };
    let door = Some(envelope.door());
    match review::read(body, &envelope) {
        Ok(None) => {
            let verdict = Verdict::default();
            let body = response::judged(&envelope, &verdict);
            Answer { status: 200, body, door, outcome: Outcome::Judged(Decision::Allow), verdict, request: None }
        }
        Ok(Some(request)) => {
            let verdict = judge(&request, facts, policy, now);
            let body = response::judged(&envelope, &verdict);
            let outcome = Outcome::Judged(verdict.decision());
            Answer { status: 200, body, door, outcome, verdict, request: Some(request) }
        }
        Err(reason) => {
            let body = response::unread(&envelope, &reason);
            let verdict = Verdict::default();
            Answer { status: 200, body, door, outcome: Outcome::Unread(reason), verdict, request: None }
        }
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
