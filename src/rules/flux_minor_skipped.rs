//! More than one minor of Flux at once.
//!
//! Flux supports upgrades from minor to minor. CRDs may drop versions that the skipped release
//! would have migrated.

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::case::target_flux;
use crate::repository::{Repository, minor};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "flux-minor-skipped",
    level: Level::Warn,
    catches: "an upgrade of Flux by more than one minor version",
    breaks: "CRDs may drop versions that the skipped release would have migrated",
    when: Moment::Run,
    doors: &[
        Door::HelmRelease,
        Door::FluxInstance,
        Door::ReleaseRecord,
        Door::Preflight,
        Door::Check,
    ],
    needs: &[Need::RunningFlux, Need::ChartFlux, Need::FluxOrder],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    if let Some(repository) = case.repository() {
        return Ok(committed(repository));
    }
    let Some((target, running)) = target_flux::over_running(case)? else {
        return Ok(Vec::new());
    };
    if target.is_beside {
        return Ok(Vec::new());
    }
    let from = running.minor().ok_or(Need::FluxOrder)?;
    let to = target.flux.minor().ok_or(Need::FluxOrder)?;
    let next = (from.0, from.1 + 1);
    if to <= next {
        return target.passes();
    }
    let message = format!("{running} would be upgraded to {} in one step", target.flux);
    let remedy = format!("Upgrade minor by minor: Flux {}.{} is next", next.0, next.1);
    Ok(vec![Finding::about(
        target.object,
        &target.path,
        message,
        remedy,
    )])
}

/// The groups of a repository that a change moves over a minor.
fn committed(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for moved in repository.moves() {
        let (major, from) = minor(&moved.from);
        if minor(&moved.to) <= (major, from + 1) {
            continue;
        }
        let groups = repository.of_groups(&[moved.group]);
        let message = format!(
            "the change moves Flux{groups} from {} to {} in one step",
            moved.from, moved.to
        );
        let remedy = format!("Upgrade minor by minor: Flux {major}.{} is next", from + 1);
        findings.extend(repository.about_move(&moved, message, remedy));
    }
    findings
}
