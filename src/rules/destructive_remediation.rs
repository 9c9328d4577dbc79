//! A release that owns the engine, and would be uninstalled or rolled back when it fails.
//!
//! Uninstalling takes Flux's controllers and with them helm-controller's own rights; rolling back
//! moves every controller down and up again, and deletes what only the failed revision had. No
//! strategy is safe. With `helm.sh/resource-policy: keep` on every object an uninstall leaves them.

use crate::finding::{Finding, Level};
use crate::helm::release::{Action, Hazard};
use crate::object::Object;
use crate::target_flux;
use crate::request::Door;
use crate::rule::{Case, Found, Need, Rule};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "destructive-remediation",
    level: Level::Enforce,
    catches: "a release that owns the engine with uninstall or rollback remediation",
    breaks: "one failed install or upgrade makes helm-controller delete or downgrade Flux, itself included",
    doors: &[Door::HelmRelease],
    needs: &[Need::ChartFlux],
    check,
};

fn check(case: &Case<'_>) -> Found {
    let new = case.change().and_then(|change| change.new.as_ref());
    let Some((object, release)) = new.and_then(|new| Some((new, new.helm_release()?))) else {
        return Ok(Vec::new());
    };
    let hazards = release.hazards();
    if release.is_suspended() || hazards.is_empty() || !target_flux::holds_engine(case)? {
        return Ok(Vec::new());
    }
    let kept = release.keeps_everything();
    Ok(hazards
        .iter()
        .filter_map(|hazard| finding(object, hazard, kept))
        .collect())
}

fn finding(object: &Object, hazard: &Hazard, kept: bool) -> Option<Finding> {
    let (does, level) = match (hazard.action, kept) {
        (Action::Uninstall, true) => return None,
        (Action::Uninstall, false) => ("uninstalls Flux", Level::Enforce),
        (Action::Rollback, true) => (
            "rolls Flux back, controllers down and up again,",
            Level::Warn,
        ),
        (Action::Rollback, false) => (
            "rolls Flux back, deleting what only the new revision has,",
            Level::Enforce,
        ),
    };
    let message = format!(
        "{}: helm-controller {does} when the release fails",
        hazard.setting
    );
    let field = hazard.path.rsplit('/').next().unwrap_or_default();
    let off = if field == "retries" { "0" } else { "false" };
    let at = hazard.path.trim_start_matches('/').replace('/', ".");
    let remedy = format!("Set {at}: {off}");
    Some(Finding::about(object, hazard.path, message, remedy).at_most(level))
}
