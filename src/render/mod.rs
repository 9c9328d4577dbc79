//! From a verdict to what people and programs read.

pub mod message;

use crate::verdict::Verdict;

/// s
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// s
    Text,
}

impl Format {
    /// s
    pub const ALL: [Self; 1] = [Self::Text];
    /// s
    #[must_use]
    pub const fn name(self) -> &'static str {
        "text"
    }
}

/// s
#[must_use]
pub fn render(verdict: &Verdict, _format: Format, _colour: bool) -> String {
    verdict.findings.iter().map(|finding| finding.to_string() + "\n").collect()
}
