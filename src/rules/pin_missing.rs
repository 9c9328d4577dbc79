//! A chart or a boot command that installs Flux without any version.

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Rule, RuleResult};
use crate::repository::{Comes, PinRole};
use crate::rules::pin_floating::level;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "pin-missing",
    level: Level::Enforce,
    catches: "a chart or command that installs Flux without a version",
    breaks: "the cluster gets whatever is newest on the day, beside another place that names its own",
    when: Moment::Later,
    doors: &[Door::Check],
    needs: &[],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    let Some(repository) = case.repository() else {
        return Ok(Vec::new());
    };
    let mut findings = Vec::new();
    for pin in repository
        .pins
        .iter()
        .filter(|pin| pin.counts && pin.role != PinRole::Mirrors)
    {
        let is_missing = pin.text().is_empty() && matches!(pin.comes, Comes::Floating { .. });
        let Some(level) = level(repository, pin).filter(|_| is_missing) else {
            continue;
        };
        let today = pin
            .flux()
            .map(|flux| format!(": today it comes to Flux {flux}"));
        let message = format!(
            "{} is named without a version{}",
            pin.thing,
            today.unwrap_or_default()
        );
        let finding = Finding::at(
            repository.place(pin),
            message,
            "Name one version".to_owned(),
        );
        findings.push(finding.at_most(level));
    }
    Ok(findings)
}
