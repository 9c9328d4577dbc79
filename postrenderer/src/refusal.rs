//! A refusal that Helm 4 shows. Helm 4 hides a post-renderer's stderr, but shows the name of a
//! document with an unknown kind. Helm 4 looks up the kinds before it stores anything.

use fluxkeep::case::verdict::Verdict;
use serde_json::json;

/// Length in bytes that a terminal and an event show without truncation.
const LONGEST: usize = 1_000;

/// Returns the refusing findings on one line: the first, and further ones while they fit.
#[must_use]
pub fn line(verdict: &Verdict) -> String {
    let mut found = verdict
        .with(fluxkeep::case::finding::Outcome::Refused)
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

/// Returns a document of a kind that no cluster has, with the refusal as its name. The document is
/// JSON, because the refusal may contain any character.
#[must_use]
pub fn document(line: &str) -> String {
    let name = format!("fluxkeep refuses: {line}");
    json!({"apiVersion": "fluxkeep.io/v1", "kind": "Refusal", "metadata": {"name": name}})
        .to_string()
        + "\n"
}
