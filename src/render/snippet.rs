//! Findings about files, each with the source lines and carets of all its places.
//!
//! A line shows the word of the pin alone: the rest of a boot script's line may be a token.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level as Weight, Renderer, Snippet};

use super::printable;
use crate::case::finding::{Finding, Outcome, more};
use crate::object::SourceLocation;
use crate::repository::{Repository, Text};

/// Widest indentation that is shown; a longer line begins at its word.
const WIDEST: usize = 60;
/// Most places of a finding that are shown with their lines.
const MOST_PLACES: usize = 10;
/// Longest word that is shown, in characters.
const LONGEST: usize = 120;

/// A finding as text, with a line end.
pub(super) fn render(finding: &Finding, repository: &Repository, colour: bool) -> String {
    let (weight, name) = match finding.outcome() {
        Outcome::Refused => (Weight::ERROR, "refused"),
        Outcome::Warned => (Weight::WARNING, "warning"),
        Outcome::Audited => (Weight::NOTE, "audit"),
        Outcome::Overridden => (Weight::NOTE, "overridden"),
        Outcome::Known => (Weight::NOTE, "known"),
    };
    let title = weight
        .with_name(name)
        .primary_title(printable(&finding.message))
        .id(finding.rule);
    let mut snippets = Vec::new();
    let own = finding
        .source
        .iter()
        .map(|source| (source, AnnotationKind::Primary, String::new()));
    let related = finding.related.iter();
    let related = related.map(|one| {
        (
            &one.source,
            AnnotationKind::Context,
            printable(&one.message),
        )
    });
    let hidden = (1 + finding.related.len()).saturating_sub(MOST_PLACES);
    for (source, kind, label) in own.chain(related).take(MOST_PLACES) {
        snippets.extend(snippet(repository, source, kind, label));
    }
    let mut help = vec![printable(&finding.remedy)];
    if hidden > 0 {
        help.push(format!("{hidden} more places: see --output json"));
    }
    if let Some(excuse) = &finding.excused {
        help.push(format!(
            "allowed by {}: {}",
            printable(&excuse.by),
            printable(&excuse.reason)
        ));
    }
    help.push(more(finding.rule));
    let report = [
        title.elements(snippets),
        Group::with_title(Weight::HELP.secondary_title(help.join("\n"))),
    ];
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer.render(&report) + "\n"
}

fn snippet<'a>(
    repository: &Repository,
    source: &'a SourceLocation,
    kind: AnnotationKind,
    label: String,
) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let text = repository
        .texts
        .iter()
        .find(|text| text.path == source.file)?;
    let at = offset(text, source)?;
    let word = word(text, at);
    let end = value_end(repository, text, at)
        .unwrap_or(word.end)
        .clamp(at, word.end.max(at));
    let indent = text.slice(text.line(at).start..word.start).chars().count();
    let indent = if indent > WIDEST { 0 } else { indent };
    let shown: String = text.slice(word.clone()).chars().take(LONGEST).collect();
    let start = (indent + at - word.start).min(indent + shown.len());
    let stop = (indent + end - word.start)
        .min(indent + shown.len())
        .max(start);
    let line = " ".repeat(indent) + &shown;
    let mark = kind.span(start..stop);
    let mark = if label.is_empty() {
        mark
    } else {
        mark.label(label)
    };
    let number = usize::try_from(source.line).unwrap_or_default();
    Some(
        Snippet::source(line)
            .line_start(number)
            .path(source.file.as_str())
            .annotation(mark),
    )
}

/// The byte of a place.
fn offset(text: &Text, source: &SourceLocation) -> Option<usize> {
    let line = text
        .lines()
        .nth(usize::try_from(source.line).ok()?.checked_sub(1)?)?;
    let column = usize::try_from(source.column).ok()?.checked_sub(1)?;
    let before: usize = text
        .slice(line.clone())
        .chars()
        .take(column)
        .map(char::len_utf8)
        .sum();
    Some(line.start + before)
}

/// The end of the pin that begins at a byte, on the same line.
fn value_end(repository: &Repository, text: &Text, at: usize) -> Option<usize> {
    let own =
        |pin: &&crate::repository::Pin| pin.span.start == at && repository.path(pin) == text.path;
    let pin = repository.pins.iter().find(own)?;
    Some(pin.span.end.min(text.line(at).end))
}

/// The word around a byte, without the user in a URL.
fn word(text: &Text, at: usize) -> Range<usize> {
    let line = text.line(at);
    let is_end =
        |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | ',' | '{' | '}');
    let before = text.slice(line.start..at);
    let start = before.rfind(is_end).map_or(line.start, |end| {
        line.start
            + end
            + before
                .get(end..)
                .and_then(|rest| rest.chars().next())
                .map_or(1, char::len_utf8)
    });
    let start = match text.slice(start..at).rfind('@') {
        Some(user) if text.slice(start..at).contains("://") => start + user + 1,
        _ => start,
    };
    let after = text.slice(at..line.end);
    let end = after.find(is_end).map_or(line.end, |end| at + end);
    start..end
}
