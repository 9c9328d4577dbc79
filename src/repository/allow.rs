//! Comments that let a finding through where it stands: `# fluxkeep: allow RULE, reason`.
//!
//! A comment counts for its own line and the next. It needs a reason and no end: Git keeps its
//! history, and a check must not begin to fail without a commit.

use super::{Repository, Zone};
use crate::case::finding::{Finding, Override};
use crate::object::SourceLocation;

const MARK: &str = "fluxkeep: allow ";

/// A comment that lets findings of a rule through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// The place of the comment.
    pub source: SourceLocation,
    /// The rule's id as written.
    pub rule: String,
    /// The reason; may be empty, and then the comment does not count.
    pub reason: String,
}

impl Allowance {
    /// True if the comment is about this finding.
    #[must_use]
    pub fn meets(&self, finding: &Finding) -> bool {
        let related = finding.related.iter().map(|related| &related.source);
        let mut places = finding.source.iter().chain(related);
        let is_near = |place: &SourceLocation| {
            let next = self.source.line.saturating_add(1);
            place.file == self.source.file && (place.line == self.source.line || place.line == next)
        };
        self.rule == finding.rule && places.any(is_near)
    }

    /// The override of the comment, or the reason why it does not count.
    ///
    /// # Errors
    /// If the comment has no reason.
    pub fn claim(&self) -> Result<Override, String> {
        let by = format!("the comment at {}:{}", self.source.file, self.source.line);
        if self.reason.is_empty() {
            return Err(format!("{by} does not count: it has no reason"));
        }
        Ok(Override {
            reason: self.reason.clone(),
            until: None,
            by,
        })
    }
}

impl Repository {
    /// The comments of all files but examples, in their order.
    #[must_use]
    pub fn allowances(&self) -> Vec<Allowance> {
        let mut allowances = Vec::new();
        for text in self.texts.iter().filter(|text| text.zone != Zone::Example) {
            for at in memchr::memmem::find_iter(text.text.as_bytes(), MARK.as_bytes()) {
                let line = text.line(at);
                let before = text.slice(line.start..at).trim_end();
                if !before.ends_with('#') && !before.ends_with("//") {
                    continue;
                }
                let told = text.slice(at + MARK.len()..line.end);
                let (rule, reason) = told.split_once(',').unwrap_or((told, ""));
                allowances.push(Allowance {
                    source: text.place(at),
                    rule: rule.trim().to_owned(),
                    reason: reason.trim().to_owned(),
                });
            }
        }
        allowances
    }
}
