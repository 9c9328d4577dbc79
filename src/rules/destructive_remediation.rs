//! A release that owns the engine and is uninstalled or rolled back when it fails.
//!
//! An uninstall deletes Flux's controllers and helm-controller's own rights. A rollback moves every
//! controller down and up again, and deletes objects that only the failed revision has. No strategy
//! is safe. With `helm.sh/resource-policy: keep` on every object, an uninstall leaves them.
//!
//! A chart may hide that it contains Flux, but its release record shows it. The rule then checks
//! the HelmRelease behind the record, for the operation that begins. A HelmRelease that only names
//! the release warns: a tenant's could otherwise block Flux's installation.

use crate::case::finding::{Finding, Level};
use crate::case::fix::Edit;
use crate::case::request::{Door, Release};
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::case::target_flux;
use crate::flux::engine::Part;
use crate::helm::release::{Action, Hazard, HelmRelease};
use crate::object::Object;
use crate::repository::Repository;
use crate::repository::release::{Brings, EngineRelease};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "destructive-remediation",
    level: Level::Enforce,
    catches: "a release that owns Flux and has uninstall or rollback remediation",
    breaks: "one failed install or upgrade makes helm-controller delete or downgrade Flux, itself included",
    when: Moment::Later,
    doors: &[Door::HelmRelease, Door::ReleaseRecord, Door::Check],
    needs: &[Need::ChartFlux],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    if let Some(repository) = case.repository() {
        return Ok(written(repository));
    }
    if let Some(release) = case.release() {
        return Ok(recorded(case, release));
    }
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

/// The hazards of a repository's HelmReleases that bring Flux. The uninstall of a FluxInstance or
/// of its definition makes flux-operator remove Flux.
fn written(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for one in repository.flux_releases() {
        let release = one.resource.helm_release();
        if release.is_suspended() || release.is_remote() {
            continue;
        }
        for hazard in release.hazards() {
            let is_operator = one.brings == Brings::Operator;
            if is_operator && hazard.action != Action::Uninstall {
                continue;
            }
            let found = finding(
                &one.text.object(one.resource, hazard.path),
                &hazard,
                release.keeps_everything(),
            );
            let level = if is_operator {
                Level::Warn
            } else {
                Level::Enforce
            };
            let edits = switched_off(&one, &hazard);
            let description = format!("Switch the remediation of {} off", one.resource.told());
            findings.extend(found.map(|found| found.at_most(level).with_fix(description, edits)));
        }
    }
    findings
}

/// The replacement of a setting by its harmless value.
fn switched_off(one: &EngineRelease<'_>, hazard: &Hazard) -> Vec<Edit> {
    let keys: Vec<&str> = hazard.path.trim_start_matches('/').split('/').collect();
    let setting = one.resource.node.at(&keys);
    let written = setting.filter(|node| node.text().is_some() && !node.span.is_empty());
    let edits = written.map(|node| {
        one.text
            .edit(node.span.clone(), harmless(hazard).to_owned())
    });
    edits.into_iter().collect()
}

/// The value of a setting with which nothing is remediated.
fn harmless(hazard: &Hazard) -> &'static str {
    if hazard.path.ends_with("/retries") {
        "0"
    } else {
        "false"
    }
}

/// The hazards of the HelmReleases behind a release record that contains the engine.
fn recorded(case: &Case<'_>, record: &Release) -> Vec<Finding> {
    let Some(owner) = &record.owner else {
        return Vec::new();
    };
    let mut parts = case.engine_written().map(|(part, new, _)| (part, new));
    let carries = |(part, new): (Part, &Object)| {
        matches!(part, Part::Definition | Part::Vital) && !new.is_hook()
    };
    if !parts.any(carries) {
        return Vec::new();
    }
    let kept = case.engine_written().all(|(_, new, _)| new.is_kept());
    let mut findings = Vec::new();
    for object in case.facts.helm_releases(owner) {
        let Some(release) = object.helm_release() else {
            continue;
        };
        if release.is_suspended() || !is_stored_by(object, release, record) {
            continue;
        }
        let most = if case.makes(object, record) {
            Level::Enforce
        } else {
            Level::Warn
        };
        let hazards = release.hazards().into_iter();
        let due = hazards.filter(|hazard| is_due(hazard, record));
        let found = due.filter_map(|hazard| finding(object, &hazard, kept));
        findings.extend(found.map(|finding| finding.at_most(most)));
    }
    findings
}

/// False if the HelmRelease stores its records in another namespace: it is not behind this record.
fn is_stored_by(object: &Object, release: &HelmRelease, record: &Release) -> bool {
    let own = object.namespace.as_deref().unwrap_or_default();
    let stored_in = record.stored_in.as_deref();
    stored_in.is_none_or(|namespace| namespace == release.storage_namespace(own))
}

/// True if the hazard belongs to the operation that begins with this record.
fn is_due(hazard: &Hazard, record: &Release) -> bool {
    let installs = hazard.path.starts_with("/spec/install/");
    record
        .revision
        .is_none_or(|revision| installs == (revision == 1))
}

fn finding(object: &Object, hazard: &Hazard, kept: bool) -> Option<Finding> {
    let (does, level) = match (hazard.action, kept) {
        (Action::Uninstall, true) => return None,
        (Action::Uninstall, false) => ("uninstalls Flux", Level::Enforce),
        (Action::Rollback, true) => (
            "rolls Flux back (controllers move down and up again)",
            Level::Warn,
        ),
        (Action::Rollback, false) => (
            "rolls Flux back (and deletes objects that only the new revision has)",
            Level::Enforce,
        ),
    };
    let message = format!(
        "{}: helm-controller {does} when the release fails",
        hazard.setting
    );
    let off = harmless(hazard);
    let at = hazard.path.trim_start_matches('/').replace('/', ".");
    let remedy = format!("Set {at}: {off}");
    Some(Finding::about(object, hazard.path, message, remedy).at_most(level))
}
