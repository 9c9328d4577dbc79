//! A change of files that ends a finding.

use std::ops::Range;

use crate::object::SourceLocation;

/// A change of files that ends a finding, and changes nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// The change in a few words.
    pub description: String,
    /// The replacements, in the order of files and bytes.
    pub edits: Vec<Edit>,
}

/// A replacement in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The place of the first replaced byte.
    pub start: SourceLocation,
    /// The line and column behind the last replaced byte.
    pub end: (u32, u32),
    /// The replaced bytes.
    pub bytes: Range<usize>,
    /// The new text.
    pub text: String,
}
