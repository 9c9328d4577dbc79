//! Formats the story for a terminal.

use fluxkeep::admission::Envelope;
use serde_json::Value;
use textwrap::{Options, WordSplitter};

use super::review::Ask;

/// Columns of text at most: fits a page.
const WIDEST: usize = 100;
/// Columns of text at least: below, the indentation leaves no room.
const NARROWEST: usize = 40;
/// The indentation below a label, as wide as the label.
const INDENT: &str = "             ";

/// Text wrapped to the width.
pub(super) fn paragraph(text: &str) -> String {
    filled(text, "", "")
}

/// `label` with text beside it; further lines are indented to the text.
pub(super) fn beside(label: &str, text: &str) -> String {
    filled(text, &format!("   {label:<10}"), INDENT)
}

/// A line of an answer; its wrapped lines are indented a little more.
pub(super) fn quoted(line: &str) -> String {
    filled(line, INDENT, &format!("{INDENT}  "))
}

/// Wraps at blanks only: a broken URL or user name cannot be copied.
fn filled(text: &str, first: &str, next: &str) -> String {
    let terminal = terminal_size::terminal_size();
    let columns = terminal.map(|(columns, _)| usize::from(columns.0));
    filled_to(width(columns), text, first, next)
}

/// The width of text on a terminal of so many columns; `None` for a pipe or a file.
fn width(columns: Option<usize>) -> usize {
    columns.unwrap_or(WIDEST).clamp(NARROWEST, WIDEST)
}

fn filled_to(width: usize, text: &str, first: &str, next: &str) -> String {
    let options = Options::new(width)
        .word_splitter(WordSplitter::NoHyphenation)
        .break_words(false);
    textwrap::fill(text, options.initial_indent(first).subsequent_indent(next)) + "\n"
}

/// Text in a colour, if colours are on.
pub(super) fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// The request and its user, in a line.
pub(super) fn question(ask: &Ask) -> String {
    let user = ask.user.rsplit(':').next().unwrap_or_default();
    format!("{}, by {user}", ask.line())
}

/// An answer: allowed or not, the refusal's message and rules, and the warnings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) allowed: bool,
    pub(super) message: String,
    pub(super) refused_by: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl Heard {
    /// Parses an AdmissionReview's response as the apiserver would. `None` if the response does not
    /// answer the review.
    pub(super) fn read(review: &str, answer: &[u8]) -> Option<Self> {
        let answer: Value = serde_json::from_slice(answer).ok()?;
        let response = answer.get("response")?;
        let uid = Envelope::read(review.as_bytes()).ok()?.uid;
        if response.get("uid")?.as_str()? != uid {
            return None;
        }
        let strings = |pointer: &str, key: &str| {
            let items = response
                .pointer(pointer)
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let text = |item: &Value| {
                (if key.is_empty() {
                    Some(item)
                } else {
                    item.get(key)
                })?
                .as_str()
                .map(str::to_owned)
            };
            items.filter_map(text).collect::<Vec<String>>()
        };
        let mut refused_by = strings("/status/details/causes", "reason");
        refused_by.dedup();
        Some(Self {
            allowed: response.get("allowed")?.as_bool()?,
            message: response
                .pointer("/status/message")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            refused_by,
            warnings: strings("/warnings", ""),
        })
    }

    /// The rules that warned.
    pub(super) fn warned_by(&self) -> Vec<String> {
        let rule = |warning: &String| warning.split_once(": ").map(|(rule, _)| rule.to_owned());
        let mut rules: Vec<String> = self.warnings.iter().filter_map(rule).collect();
        rules.dedup();
        rules
    }
}

/// The samples of a scrape about reviews, findings and controllers, without zeroes.
pub(super) fn samples(metrics: &str) -> String {
    let told = [
        "fluxkeep_admission_reviews_total",
        "fluxkeep_findings_total",
        "fluxkeep_engine_controllers",
    ];
    let counts =
        |line: &&str| told.iter().any(|name| line.starts_with(name)) && !line.ends_with(" 0");
    let mut lines: Vec<&str> = metrics.lines().filter(counts).collect();
    lines.sort_unstable();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_as_wide_as_the_terminal_but_fits_a_page() {
        assert_eq!(
            [None, Some(50), Some(300), Some(3)].map(width),
            [100, 50, 100, 40]
        );
        let text = "a word and another ".repeat(20);
        let told = filled_to(width(Some(50)), &text, "   asked     ", INDENT);
        let widest = told.lines().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| widest <= 50), "{told}");
    }
}
