//! Edits a document in place: finds spans, plans, and splices bytes.
//!
//! What is wanted is a JSON merge patch (RFC 7396), with one thing more: laid on a sequence, its keys
//! are indices, and `-` stands for the item behind the last. Every byte that the patch gives no reason to touch stays: comments, quoting, order,
//! line ends, anchors. What is written reads the same under YAML 1.1 and 1.2, and where another node
//! takes its meaning from the one that is edited (an alias, a merge), that other node keeps it.
//!
//! A patch that is laid on again changes nothing, unless it appends.

mod copy;
mod events;
mod find;
mod lend;
mod lines;
mod patch;
mod place;
mod tree;
mod write;

#[cfg(test)]
mod tests;

use std::iter;
use std::ops::Range;

use serde_json::Value;

use super::{Document, Unread};

/// One piece of text in the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    /// The bytes that go, by their offset in the stream.
    pub range: Range<usize>,
    /// What comes instead.
    pub text: String,
}

/// What has to be written, so that the document is as the patch wants it. Ordered, never overlapping;
/// none where it is so already.
///
/// # Errors
/// When the document is not YAML, when a key that the patch names stands twice, when a map that the
/// patch names is something else, and when the meaning of another node would change.
pub fn edit(document: &Document<'_>, patch: &Value) -> Result<Vec<Splice>, Unread> {
    let mut splices = match lines::read(document, patch) {
        Some(tree) => patch::splices(&tree, patch).map_err(|doubt| doubt.at(document))?,
        None => unmistakable(document, patch)?,
    };
    for splice in &mut splices {
        splice.range = splice.range.start + document.offset..splice.range.end + document.offset;
    }
    Ok(splices)
}

/// The splices of a document that takes a parser to understand. What they make of it is read once more:
/// a way of writing that nobody thought of is refused, not broken.
fn unmistakable(document: &Document<'_>, patch: &Value) -> Result<Vec<Splice>, Unread> {
    let plan = |document: &Document<'_>| {
        patch::splices(&events::read(document, patch)?, patch).map_err(|doubt| doubt.at(document))
    };
    let splices = plan(document)?;
    let after = splice(document.text, &splices);
    let again = plan(&Document {
        text: &after,
        ..*document
    });
    if again.is_ok_and(|again| again.is_empty() || appends(patch)) {
        return Ok(splices);
    }
    Err(document.unread(
        1,
        1,
        "it cannot be edited as it is written; write it one key a line, without `?`".to_owned(),
    ))
}

/// Whether a patch adds an item each time.
fn appends(patch: &Value) -> bool {
    patch
        .as_object()
        .is_some_and(|wants| wants.iter().any(|(key, want)| key == "-" || appends(want)))
}

/// The pieces of a text with its splices in place, one after another: nothing is copied.
pub fn pieces<'a>(text: &'a [u8], splices: &'a [Splice]) -> impl Iterator<Item = &'a [u8]> {
    let piece = move |(range, written): (Range<usize>, &'a str)| {
        [text.get(range).unwrap_or_default(), written.as_bytes()]
    };
    spliced(text.len(), splices).flat_map(piece)
}

/// A text with its splices in place.
#[must_use]
pub fn splice(text: &str, splices: &[Splice]) -> String {
    let pieces = spliced(text.len(), splices);
    pieces
        .flat_map(|(range, written)| [text.get(range).unwrap_or_default(), written])
        .collect()
}

/// What is kept of so many bytes, and what is written behind it.
fn spliced(length: usize, splices: &[Splice]) -> impl Iterator<Item = (Range<usize>, &str)> {
    let ends = splices.iter().map(|splice| splice.range.end);
    let starts = splices
        .iter()
        .map(|splice| splice.range.start)
        .chain([length]);
    let kept = iter::once(0)
        .chain(ends)
        .zip(starts)
        .map(|(from, to)| from..to);
    kept.zip(
        splices
            .iter()
            .map(|splice| splice.text.as_str())
            .chain([""]),
    )
}

/// Why a patch cannot be laid on, and where.
#[derive(Debug)]
struct Doubt {
    at: usize,
    message: String,
}

impl Doubt {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }

    fn at(self, document: &Document<'_>) -> Unread {
        let before = document.text.get(..self.at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        document.unread(line as u64, column as u64, self.message)
    }
}
