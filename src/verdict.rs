//! The judge's answer.

use crate::finding::{Finding, Level, Outcome};
use crate::rule::Need;

/// What is to happen with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// It goes through.
    Allow,
    /// It goes through, and the person is told what to look at.
    Warn,
    /// It does not go through.
    Refuse,
}

impl Decision {
    /// Its name in metrics and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Refuse => "refuse",
        }
    }
}

/// Everything that the rules found, sorted by rule, object, path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What was found, overridden findings included.
    pub findings: Vec<Finding>,
    /// The rules that could not judge, each with the fact that it lacked.
    pub abstained: Vec<Abstained>,
}

/// A rule that could not judge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Abstained {
    /// The rule's id.
    pub rule: &'static str,
    /// What it lacked.
    pub needs: Need,
}

impl Verdict {
    /// Refuse where a finding refuses, warn where one warns, else allow.
    #[must_use]
    pub fn decision(&self) -> Decision {
        let worst = self.standing().map(|finding| finding.level).max();
        match worst {
            Some(Level::Enforce) => Decision::Refuse,
            Some(Level::Warn) => Decision::Warn,
            _ => Decision::Allow,
        }
    }

    /// The findings that no override lets through.
    pub fn standing(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.excused.is_none())
    }

    /// The findings with this outcome.
    pub fn with(&self, outcome: Outcome) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.outcome() == outcome)
    }
}
