//! What the log tells of a review: rules, names and reasons, and nothing of an object's content.

use fluxkeep::admission::{Answer, Envelope, Outcome};
use fluxkeep::finding::Finding;
use fluxkeep::request::Door;

use crate::metrics::NO_DOOR;

/// One line about a review in which something was found or that could not be read.
pub(crate) fn review(body: &[u8], answer: &Answer) {
    let door = answer.door.map_or(NO_DOOR, Door::name);
    match &answer.outcome {
        Outcome::Unread(reason) => tracing::warn!(door, uid = uid(body), reason, "review not readable"),
        Outcome::Judged(decision) => {
            let decision = decision.name();
            if let Some(first) = answer.verdict.findings.first() {
                let (uid, rules) = (uid(body), rules(&answer.verdict.findings));
                let (object, findings) = (&first.object, answer.verdict.findings.len());
                tracing::info!(door, decision, uid, rules, %object, findings, "review judged");
            } else {
                tracing::debug!(door, decision, "review judged");
            }
        }
    }
}

/// By it the line is found again in the apiserver's audit log, which names the user.
fn uid(body: &[u8]) -> String {
    Envelope::read(body).map(|envelope| envelope.uid).unwrap_or_default()
}

/// Each rule once; findings are sorted by rule.
fn rules(findings: &[Finding]) -> String {
    let mut rules: Vec<_> = findings.iter().map(|finding| finding.rule).collect();
    rules.dedup();
    rules.join(",")
}
