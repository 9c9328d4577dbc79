//! Workflow commands of GitHub Actions: annotations at the lines of the findings.
//!
//! GitHub shows ten errors and ten warnings of a step. The last line counts all findings.

use std::fmt::Write;

use super::{printable, text};
use crate::case::finding::{Finding, Outcome};
use crate::case::verdict::Verdict;

/// Most annotations of a kind that GitHub shows for a step.
const MOST: usize = 10;

/// The annotations, then the sum and its end.
pub(super) fn render(verdict: &Verdict, end: &str) -> String {
    let mut commands = String::new();
    let mut hidden = 0;
    for (command, outcome) in [("error", Outcome::Refused), ("warning", Outcome::Warned)] {
        for finding in verdict.with(outcome).take(MOST) {
            annotate(&mut commands, command, finding);
        }
        hidden += verdict.with(outcome).count().saturating_sub(MOST);
    }
    commands += &text::sum(verdict, false);
    if hidden > 0 {
        // Writing to a string cannot fail.
        let _ = write!(commands, "; {hidden} of them without an annotation");
    }
    commands + end
}

fn annotate(commands: &mut String, command: &str, finding: &Finding) {
    let mut properties = vec![("title", finding.rule.to_owned())];
    if let Some(source) = &finding.source {
        properties.push(("file", source.file.clone()));
        properties.push(("line", source.line.to_string()));
        properties.push(("col", source.column.to_string()));
        properties.extend(source.end.map(|end| ("endColumn", end.to_string())));
    }
    let properties: Vec<String> = properties
        .iter()
        .map(|(name, value)| format!("{name}={}", property(value)))
        .collect();
    // The annotation itself stands at a file.
    let message = if finding.object.kind == "File" {
        finding.sentences()
    } else {
        format!("{}: {}", finding.object, finding.sentences())
    };
    let _ = writeln!(
        commands,
        "::{command} {}::{}",
        properties.join(","),
        data(&printable(&message))
    );
}

/// Escapes a message as GitHub's toolkit does.
fn data(text: &str) -> String {
    let text = text.replace('%', "%25");
    text.replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property's value as GitHub's toolkit does.
fn property(text: &str) -> String {
    data(&printable(text))
        .replace(':', "%3A")
        .replace(',', "%2C")
}
