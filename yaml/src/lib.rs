//! Streams of documents, YAML or JSON, read in part; and edits of YAML in place.
//!
//! YAML is read as the Go readers of kubectl and Helm do: `yes` and `on` are booleans, of two equal
//! keys the later one counts. What is said about a document that is not readable never repeats a
//! value of it: it may be a Secret.

mod blocks;
pub mod edit;
mod json;
mod lean;
mod margin;
mod paths;
mod plain;
mod scan;
mod split;

#[cfg(test)]
mod tests;

pub use json::{json, shape};
pub use lean::{is_unread, lean};
pub use paths::Paths;
pub use split::{documents, newlines, split, whole};

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Budget, Error};

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
    /// Whether every reader sees the lines of the text end at the same places: a carriage return alone, and
    /// some characters beyond ASCII, end one for some only.
    pub lines_are_sure: bool,
    /// Whether each line at its margin is blank, a comment or an item, or begins with a letter; and one only with
    /// `metadata`. What is not sure is said not to be so.
    pub margin_is_plain: bool,
}

const METADATA: &str = "metadata";

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

/// A document whose unread blocks are left out: see [`lean`].
#[derive(Debug, Clone)]
pub struct Lean<'a> {
    document: Document<'a>,
    text: Cow<'a, str>,
}

impl<'a> Document<'a> {
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
    /// When it is neither YAML nor JSON, or nested or aliased beyond all measure. The place is that in the stream.
    pub fn read_paths(&self, paths: &'static Paths) -> Result<Value, Unread> {
        if self.is_json {
            return json(self.text.as_bytes(), paths).map_err(|error| self.not_json(&error));
        }
        Ok(paths::project(self.lean().read()?, paths))
    }

    /// Says that the document, JSON, is not readable.
    fn not_json(&self, error: &serde_json::Error) -> Unread {
        self.unread(error.line() as u64, error.column() as u64, shape(error))
    }

    /// The document without what is never read.
    #[must_use]
    pub fn lean(&self) -> Lean<'a> {
        let is_sure = self.lines_are_sure && !self.is_json;
        Lean {
            document: *self,
            text: if is_sure {
                lean(self.text)
            } else {
                Cow::Borrowed(self.text)
            },
        }
    }

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

impl Lean<'_> {
    /// What is left of the document.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the document is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.document.is_json
    }

    /// Reads the document.
    ///
    /// # Errors
    /// When it is neither YAML nor JSON, nested or aliased beyond all measure, or when a value has
    /// another type than `T` wants. The place is that in the stream.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Unread> {
        if self.is_json() {
            return serde_json::from_str(&self.text)
                .map_err(|error| self.document.not_json(&error));
        }
        let node = self
            .document
            .lines_are_sure
            .then(|| plain::read(&self.text))
            .flatten();
        if let Some(Ok(value)) = node.as_ref().map(T::deserialize) {
            return Ok(value);
        }
        if let Ok(value) = parse(&self.text, DuplicateKeyPolicy::PassThrough) {
            return Ok(value);
        }
        // The whole text once more: for the place of the error, for a key that stands twice (rare, and
        // slower to read), and in case only this one was bad.
        parse(self.document.text, DuplicateKeyPolicy::LastWins).map_err(|error| {
            let (line, column) = error
                .location()
                .map_or((1, 1), |at| (at.line(), at.column()));
            self.document.unread(line, column, reason(&error))
        })
    }

    /// Says that an item of the document, a list, is not readable.
    #[must_use]
    pub fn unread(&self, index: usize, error: &serde_json::Error) -> Unread {
        let message = format!("item {index} of the list: {}", shape(error));
        self.document.unread(1, 1, message)
    }
}

fn parse<T: DeserializeOwned>(
    text: &str,
    duplicate_keys: DuplicateKeyPolicy,
) -> Result<T, Box<Error>> {
    let options = serde_saphyr::options! {
        budget: budget(),
        duplicate_keys: duplicate_keys,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<T>(text, options).map_err(Box::new)
}

/// Beyond every real document: the largest CRD of Flux has 20,000 events and 40 levels.
fn budget() -> Option<Budget> {
    serde_saphyr::budget! {
        max_events: 2_000_000,
        max_depth: 200,
        max_aliases: 1_000,
        max_anchors: 1_000,
    }
}

/// The parser's own words may repeat the value that it met; what it expected is safe to tell.
fn reason(error: &Error) -> String {
    match error.without_snippet() {
        Error::Budget { .. } => "nested, aliased or long beyond all measure".to_owned(),
        Error::Unexpected { expected, .. } => format!("something else than {expected}"),
        Error::Message { .. } => "a value has the wrong type".to_owned(),
        _ => "it is not YAML".to_owned(),
    }
}
