//! Edits a document in place: finds spans, plans, and splices bytes.
//!
//! A patch is a JSON merge patch (RFC 7396) with an extension for sequences: keys are indices, and
//! `-` appends an item. Every byte without a reason to change stays: comments, quoting, order, line
//! ends, anchors. The written text reads the same under YAML 1.1 and 1.2. Another node may take its
//! meaning from the edited node, by an alias or a merge; that node keeps its meaning.
//!
//! Splices keep the meaning for every reader; no emitter of YAML does. `lines` finds the spans in
//! documents whose lines are certain, `events` in all others. A property test compares both.
//!
//! Applying a patch twice changes nothing more, unless the patch appends.

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

use std::ops::Range;

use serde_json::Value;

use super::{Document, Unread};

/// A replacement of a range of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    /// The replaced bytes, as offsets in the stream.
    pub range: Range<usize>,
    /// The new text.
    pub text: String,
}

/// The splices that apply the patch to the document, in order and without overlap. Empty if the
/// document already matches.
///
/// # Errors
/// If the document is not YAML, has a key of the patch twice, or another type in place of a map.
/// Also if the meaning of another node would change.
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

/// The splices of a document that needs a parser. The result is read again, so an unforeseen
/// notation is refused, not broken.
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
        "the document cannot be edited as it is written; write one key per line, without `?`"
            .to_owned(),
    ))
}

/// True if a patch adds an item each time.
fn appends(patch: &Value) -> bool {
    patch
        .as_object()
        .is_some_and(|wants| wants.iter().any(|(key, want)| key == "-" || appends(want)))
}

/// A text with its splices applied.
#[must_use]
pub fn splice(text: &str, splices: &[Splice]) -> String {
    let written: usize = splices.iter().map(|splice| splice.text.len()).sum();
    let mut after = String::with_capacity(text.len() + written);
    let mut from = 0;
    for Splice { range, text: new } in splices {
        after.push_str(text.get(from..range.start).unwrap_or_default());
        after.push_str(new);
        from = range.end;
    }
    after.push_str(text.get(from..).unwrap_or_default());
    after
}

/// The reason why a patch cannot be applied, and the offset.
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
