//! A comment `fluxkeep: allow …` that lets nothing through.
//!
//! It was left behind, or names another rule than the one that finds: the next mistake on its line
//! would pass unseen.

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Rule, RuleResult};
use crate::rules::RULES;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "allowance-unused",
    level: Level::Warn,
    catches: "a comment `fluxkeep: allow` that lets nothing through",
    breaks: "the next mistake on that line passes unseen",
    when: Moment::Later,
    doors: &[Door::Check],
    needs: &[],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    let Some(repository) = case.repository() else {
        return Ok(Vec::new());
    };
    let allowances = repository.allowances();
    if allowances.is_empty() {
        return Ok(Vec::new());
    }
    let mut findings = Vec::new();
    let others = RULES.into_iter().filter(|rule| rule.id != RULE.id);
    for rule in others.filter(|rule| rule.doors.contains(&Door::Check)) {
        for found in (rule.check)(case).unwrap_or_default() {
            findings.push(Finding {
                rule: rule.id,
                ..found
            });
        }
    }
    let mut unused = Vec::new();
    for allowance in allowances {
        if findings.iter().any(|finding| allowance.meets(finding)) {
            continue;
        }
        let message = format!(
            "the comment allows {}, which finds nothing here",
            allowance.rule
        );
        let remedy = "Take the comment out, or name the rule that finds".to_owned();
        unused.push(Finding::at(Some(allowance.source), message, remedy));
    }
    Ok(unused)
}
