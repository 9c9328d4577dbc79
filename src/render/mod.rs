//! Renders a verdict for people and programs. Every format has the same findings.
//!
//! Text orders findings by the [`Moment`](crate::case::rule::Moment) of the breakage, earliest first.
//! JSON, SARIF and JUnit stay sorted by rule, object and path.

mod check;
mod github;
mod json;
mod junit;
pub mod message;
pub mod page;
mod sarif;
mod snippet;
mod text;

pub use check::{Shown, check};
pub(crate) use json::{Report, report};

use crate::case::verdict::Verdict;

/// The output format of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text for people.
    Text,
    /// fluxkeep's own JSON.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit's XML, for CI.
    Junit,
    /// Workflow commands of GitHub Actions, which annotate changed lines.
    Github,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [
        Self::Text,
        Self::Json,
        Self::Sarif,
        Self::Junit,
        Self::Github,
    ];

    /// The name on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Sarif => "sarif",
            Self::Junit => "junit",
            Self::Github => "github",
        }
    }
}

/// Renders a verdict. Colour applies to text only.
#[must_use]
pub fn render(verdict: &Verdict, format: Format, colour: bool) -> String {
    match format {
        Format::Text => text::render(verdict, colour),
        Format::Json => json::render(verdict),
        Format::Sarif => sarif::render(verdict),
        Format::Junit => junit::render(verdict),
        Format::Github => github::render(verdict, "\n"),
    }
}

/// Replaces characters that move a terminal's cursor or that XML forbids.
pub(crate) fn printable(text: &str) -> String {
    let plain = |one: char| {
        if one.is_control() && one != '\n' {
            '\u{fffd}'
        } else {
            one
        }
    };
    text.chars().map(plain).collect()
}

/// A document as indented JSON with a line end.
pub(crate) fn pretty(document: &impl serde::Serialize) -> String {
    // The document has only strings, numbers and lists, which `serde_json` always accepts.
    serde_json::to_string_pretty(document).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests;
