//! A refusal that Helm 4 shows. It hides what a post-renderer says on stderr; what it does show is the
//! name of a document that it cannot map, and it looks before it stores anything.

use fluxkeep::verdict::Verdict;
use serde_json::json;

/// What a terminal and an event show without cutting.
const LONGEST: usize = 1_000;

/// The refusing findings on one line, as many as there is room for; the first always.
#[must_use]
pub fn line(verdict: &Verdict) -> String {
    let mut found = verdict
        .with(fluxkeep::finding::Outcome::Refused)
        .map(ToString::to_string);
    let mut line = found.next().unwrap_or_default();
    let mut left = 0;
    for finding in found {
        if left == 0 && line.len() + finding.len() < LONGEST {
            line = format!("{line} | {finding}");
        } else {
            left += 1;
        }
    }
    if left == 0 {
        line
    } else {
        format!("{line} | and {left} more")
    }
}

/// A document of a kind that no cluster has, with the refusal as its name. As JSON: what it says may
/// hold anything.
#[must_use]
pub fn document(line: &str) -> String {
    let name = format!("fluxkeep refuses: {line}");
    json!({"apiVersion": "fluxkeep.io/v1", "kind": "Refusal", "metadata": {"name": name}})
        .to_string()
        + "\n"
}
