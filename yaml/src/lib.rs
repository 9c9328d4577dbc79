//! Streams of documents, YAML or JSON, read in part; and edits of YAML in place.
//!
//! YAML is read like in Kubernetes' Go programs: a document gives the JSON of sigs.k8s.io/yaml, or
//! is refused, but never gives another value. The test suite compares both over mutated documents.
//! Error messages never repeat a value of the document: it may be a Secret.

mod budget;
pub mod edit;
mod json;
mod odd;
mod paths;
mod reader;
mod scalar;
mod scan;
mod skip;
pub mod spans;
mod split;

#[cfg(test)]
mod tests;

pub use budget::NodeBudget;
pub use json::{json, scalar_at, shape};
pub use paths::Paths;
pub use split::{Documents, documents};

use std::borrow::Cow;

use serde_json::Value;

use crate::odd::OddPlaces;
use crate::reader::Broken;
use crate::split::newlines;

/// The key of an object's metadata, the most edited field.
const METADATA: &str = "metadata";

/// A document of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document<'a> {
    /// The document's text, including a leading `---`.
    pub text: &'a str,
    /// The offset of the text in the stream, in bytes.
    pub offset: usize,
    /// The line in the stream, from 1, at which the text begins.
    pub line: u32,
    /// The line in the stream at which the content begins, behind markers and comments.
    pub content: u32,
    /// True for JSON.
    pub is_json: bool,
    /// The offset in the text at which Go's reader begins. The reader skips a marker line, but not
    /// at the start of the stream or behind another marker. It also skips a byte order mark.
    body: usize,
}

/// The reason why a document is unreadable, and its place in the stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Unread {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// The defect, without a value.
    pub message: String,
}

impl<'a> Document<'a> {
    /// A text that is a single YAML document, even if a stream would be cut within.
    #[must_use]
    pub const fn of(text: &'a str) -> Self {
        Self {
            text,
            offset: 0,
            line: 1,
            content: 1,
            is_json: false,
            body: 0,
        }
    }

    /// The same document, this many bytes further in its stream.
    #[must_use]
    pub const fn behind(mut self, bytes: usize) -> Self {
        self.offset += bytes;
        self
    }

    /// Reads fields of the document. An empty document is null.
    ///
    /// # Errors
    /// If the document is neither YAML nor JSON, or exceeds the usual [`NodeBudget`]. Also if a read
    /// field is nested deeper than 127 levels. The place is that in the stream.
    pub fn read_paths(&self, paths: &'static Paths) -> Result<Value, Unread> {
        self.read_within(paths, &mut NodeBudget::default())
    }

    /// Like [`read_paths`](Self::read_paths), within a budget that other documents may share.
    ///
    /// # Errors
    /// Like [`read_paths`](Self::read_paths), and if the budget is spent: see [`NodeBudget::is_spent`].
    pub fn read_within(
        &self,
        paths: &'static Paths,
        budget: &mut NodeBudget,
    ) -> Result<Value, Unread> {
        if self.is_json {
            return json(self.text.as_bytes(), paths).map_err(|error| self.not_json(&error));
        }
        let body = self.text.get(self.body..).unwrap_or_default();
        let read = Self::read_body(body, paths, budget);
        read.map_err(|broken| {
            let before = newlines(self.text.get(..self.body).unwrap_or_default());
            self.unread(
                u64::from(before) + broken.line as u64,
                broken.column as u64,
                broken.message.to_owned(),
            )
        })
    }

    fn read_body(
        body: &str,
        paths: &'static Paths,
        budget: &mut NodeBudget,
    ) -> Result<Value, Broken> {
        let odd = OddPlaces::of(body).map_err(|at| reader::refused_character(body, at))?;
        let reads_a_part = matches!(paths, Paths::Keys(_) | Paths::Items(_));
        if reads_a_part && odd.is_empty() && !odd::has_other_ends(body) {
            let skipped = skip::skip(body, paths);
            let read = reader::read(&ended(&skipped.text), odd, paths, budget);
            return read.map_err(|broken| Broken {
                line: skipped.line(broken.line),
                ..broken
            });
        }
        reader::read(&ended(body), odd, paths, budget)
    }

    /// The error for a JSON document that is unreadable.
    fn not_json(&self, error: &serde_json::Error) -> Unread {
        self.unread(error.line() as u64, error.column() as u64, shape(error))
    }

    /// The error for an unreadable document, at a line and column of its text, from 1.
    fn unread(&self, line: u64, column: u64, message: String) -> Unread {
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let line = self.line.saturating_add(narrow(line)).saturating_sub(1);
        Unread {
            line,
            column: narrow(column),
            message,
        }
    }
}

/// The values of a stream's documents, each read whole.
///
/// # Errors
/// Like [`Document::read_paths`], at the first unreadable document.
pub fn values(text: &str) -> Result<Vec<Value>, Unread> {
    documents(text)
        .map(|document| document.read_paths(&Paths::Whole))
        .collect()
}

/// A text with an ended last line, as Go's reader of streams makes it.
fn ended(text: &str) -> Cow<'_, str> {
    if text.is_empty() || text.ends_with('\n') {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("{text}\n"))
    }
}
