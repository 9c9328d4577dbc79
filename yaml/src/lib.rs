//! Streams of documents, YAML or JSON, read in part; and edits of YAML in place.
//!
//! YAML is read as Kubernetes' Go programs read it: a document gives the JSON that sigs.k8s.io/yaml gives, or it is
//! refused; never another value. The suite compares both over mutated documents. What is said about a document that is
//! not readable never repeats a value of it: it may be a Secret.

mod budget;
pub mod edit;
mod json;
mod odd;
mod paths;
mod reader;
mod scalar;
mod scan;
mod skip;
mod split;

#[cfg(test)]
mod tests;

pub use budget::Budget;
pub use json::{json, shape};
pub use paths::Paths;
pub use split::{documents, newlines, split, whole};

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::odd::OddPlaces;
use crate::reader::Broken;

/// A document that is read whole, by a caller that does not name its parts.
#[derive(Debug, Clone, Copy)]
pub struct Lean<'a> {
    document: Document<'a>,
}

/// The key of an object's metadata, which is what is edited most.
const METADATA: &str = "metadata";

/// One document of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document<'a> {
    /// Its text, a leading `---` included.
    pub text: &'a str,
    /// The byte of the stream at which its text begins.
    pub offset: usize,
    /// The line of the stream, from 1, at which its text begins.
    pub line: u32,
    /// The line of the stream at which its content begins, behind markers and comments.
    pub content: u32,
    /// Whether it is JSON.
    pub is_json: bool,
    /// The byte of its text at which begins what Go's reader is given: behind the line of the marker, unless the stream
    /// or another marker stands in front of that, and behind a byte order mark.
    body: usize,
}

/// Why a document is not readable, and where in the stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Unread {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// What is wrong, without a value.
    pub message: String,
}

impl<'a> Document<'a> {
    /// A text that is one document of YAML, wherever else a stream would be cut.
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

    /// The same document in a stream that has so many bytes and lines more in front.
    #[must_use]
    pub fn behind(self, bytes: usize, lines: u32) -> Self {
        let Self {
            offset,
            line,
            content,
            ..
        } = self;
        Self {
            offset: offset + bytes,
            line: line + lines,
            content: content + lines,
            ..self
        }
    }

    /// Reads the parts of the document. A document that holds nothing is null.
    ///
    /// # Errors
    /// When it is neither YAML nor JSON, when a part that is read is nested deeper than 127 levels, and when it is longer
    /// or more aliased than the usual [`Budget`]. The place is that in the stream.
    pub fn read_paths(&self, paths: &'static Paths) -> Result<Value, Unread> {
        self.read_within(paths, &mut Budget::default())
    }

    /// As [`read_paths`](Self::read_paths), and takes what it reads from a budget that other documents may share.
    ///
    /// # Errors
    /// As [`read_paths`](Self::read_paths); and when the budget does not suffice, which [`Budget::is_spent`] tells.
    pub fn read_within(&self, paths: &'static Paths, budget: &mut Budget) -> Result<Value, Unread> {
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

    fn read_body(body: &str, paths: &'static Paths, budget: &mut Budget) -> Result<Value, Broken> {
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

    /// The document, to be read whole.
    #[must_use]
    pub const fn lean(self) -> Lean<'a> {
        Lean { document: self }
    }

    /// Says that the document, JSON, is not readable.
    fn not_json(&self, error: &serde_json::Error) -> Unread {
        self.unread(error.line() as u64, error.column() as u64, shape(error))
    }

    /// Says that the document is not readable, at a line and column of its text, from 1.
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

/// A text whose last line ends: Go's reader of streams ends it, too.
fn ended(text: &str) -> Cow<'_, str> {
    if text.is_empty() || text.ends_with('\n') {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("{text}\n"))
    }
}

impl<'a> Lean<'a> {
    /// The text of the document.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.document.text
    }

    /// Whether the document is JSON.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.document.is_json
    }

    /// Reads the document.
    ///
    /// # Errors
    /// As [`Document::read_paths`]; and when a value has another type than `T` wants.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Unread> {
        let Document { text, is_json, .. } = self.document;
        if is_json {
            return serde_json::from_str(text).map_err(|error| self.document.not_json(&error));
        }
        let value = self.document.read_paths(&Paths::Whole)?;
        let wrong = |_| {
            self.document
                .unread(1, 1, "a value has the wrong type".to_owned())
        };
        T::deserialize(value).map_err(wrong)
    }

    /// Says that an item of the document, a list, is not readable.
    #[must_use]
    pub fn unread(&self, index: usize, error: &serde_json::Error) -> Unread {
        let message = format!("item {index} of the list: {}", shape(error));
        self.document.unread(1, 1, message)
    }
}
