//! The judge's answer.

use crate::case::finding::{Finding, Level, Outcome};
use crate::case::rule::Need;

/// The decision about the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// The request passes.
    Allow,
    /// The request passes with a warning.
    Warn,
    /// The request is refused.
    Refuse,
}

impl Decision {
    /// The name in metrics and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Refuse => "refuse",
        }
    }
}

/// The findings of all rules, sorted by rule, object, path and message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The findings, including overridden ones.
    pub findings: Vec<Finding>,
    /// The rules that could not judge, each with the missing fact.
    pub abstained: Vec<Abstained>,
}

/// A rule that could not judge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Abstained {
    /// The rule's id.
    pub rule: &'static str,
    /// The missing fact.
    pub needs: Need,
}

impl Verdict {
    /// Refuses if a finding refuses, warns if a finding warns, else allows.
    #[must_use]
    pub fn decision(&self) -> Decision {
        let worst = self.standing().map(|finding| finding.level).max();
        match worst {
            Some(Level::Enforce) => Decision::Refuse,
            Some(Level::Warn) => Decision::Warn,
            _ => Decision::Allow,
        }
    }

    /// The findings that no override lets through, and that a change brings.
    pub fn standing(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.counts())
    }

    /// The ids of the rules that found something, each once, with commas.
    #[must_use]
    pub fn rule_ids(&self) -> String {
        let mut ids: Vec<&str> = self.findings.iter().map(|finding| finding.rule).collect();
        ids.dedup();
        ids.join(",")
    }

    /// Adds another verdict about the same change. Both stay sorted, and nothing stands twice.
    pub fn join(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.abstained.extend(other.abstained);
        self.sort();
    }

    /// Sorts findings and abstentions, and drops repeated ones.
    pub(crate) fn sort(&mut self) {
        self.findings
            .sort_by(|left, right| left.order().cmp(&right.order()));
        self.findings.dedup();
        self.abstained.sort();
        self.abstained.dedup();
    }

    /// The findings with this outcome.
    pub fn with(&self, outcome: Outcome) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.outcome() == outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Object;

    #[test]
    fn a_rule_that_found_many_things_is_named_once() {
        let found = |rule| Finding {
            rule,
            ..Finding::about(&Object::default(), "", String::new(), String::new())
        };
        let verdict = Verdict {
            findings: ["a-rule", "a-rule", "b-rule"].map(found).to_vec(),
            ..Verdict::default()
        };
        assert_eq!(verdict.rule_ids(), "a-rule,b-rule");
    }
}
