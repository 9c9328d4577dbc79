//! A Flux release that lacks one of Flux's four core controllers.
//!
//! A chart with a core controller switched off or scaled to zero installs a Flux that cannot
//! reconcile. A controller that another release or tool runs is not missing. A running Flux may
//! lack one on purpose. For a FluxInstance only a controller that it applied can go missing.

mod repository;

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::flux::applier::is_paused;
use crate::flux::engine::CORE;
use crate::object::Object;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "controller-missing",
    level: Level::Enforce,
    catches: "a Flux release without one of its four core controllers, or with one scaled to zero",
    breaks: "Flux runs without source, kustomize, helm or notification controller and stops reconciling",
    when: Moment::Run,
    doors: &[
        Door::FluxInstance,
        Door::ReleaseRecord,
        Door::Preflight,
        Door::Check,
    ],
    needs: &[Need::Documents],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    if let Some(repository) = case.repository() {
        return Ok(repository::switched_off(repository));
    }
    if case.request.door == Door::FluxInstance {
        return Ok(taken_away(case));
    }
    // A manifest of no release may be a part of what is applied.
    if case.request.door == Door::Preflight && case.owner().is_none() {
        return Ok(Vec::new());
    }
    let brought = deployments(case.engine_written().map(|(_, new, _)| new));
    let Some(sibling) = brought.iter().min_by_key(|one| one.key()).copied() else {
        return Ok(Vec::new());
    };
    case.require_whole()?;
    let mut findings = Vec::new();
    for name in CORE {
        if runs(&brought, name) || is_others(case, &brought, name) || lacks(case, sibling, name) {
            continue;
        }
        let scaled = brought.iter().find(|one| one.name == name);
        findings.push(match scaled {
            Some(scaled) => scaled_to_zero(scaled),
            None => absent(sibling, name),
        });
    }
    Ok(findings)
}

/// The controllers that a FluxInstance applied and no longer lists: flux-operator deletes them.
fn taken_away(case: &Case<'_>) -> Vec<Finding> {
    let written = case.change().and_then(|change| change.new.as_ref());
    let running = written.filter(|object| !is_paused(object));
    let Some((object, instance)) = running.and_then(|one| Some((one, one.flux_instance()?))) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for name in instance.takes_away() {
        let level = if CORE.contains(&name) {
            Level::Enforce
        } else {
            Level::Warn
        };
        let message = format!(
            "flux-operator deletes {name}, which it applied, its CRDs and all their objects"
        );
        let remedy = format!("Add {name} to spec.components again");
        let finding = Finding::about(object, "/spec/components", message, remedy);
        findings.push(finding.at_most(level));
    }
    findings
}

/// Keeps the Deployments of core controllers.
fn deployments<'a>(objects: impl Iterator<Item = &'a Object>) -> Vec<&'a Object> {
    objects
        .filter(|one| one.kind == "Deployment" && CORE.contains(&one.name.as_str()))
        .collect()
}

fn runs(deployments: &[&Object], name: &str) -> bool {
    deployments
        .iter()
        .any(|one| one.name == name && !one.is_scaled_to_zero())
}

/// True if a Deployment that another release or tool owns runs the controller and stays.
fn is_others(case: &Case<'_>, brought: &[&Object], name: &str) -> bool {
    let is_rewritten = |live: &Object| brought.iter().any(|new| new.key() == live.key());
    let owner = case.owner();
    let others = deployments(case.facts.engine(case.engine())).into_iter();
    let others: Vec<&Object> = others
        .filter(|live| live.owner().is_none() || live.owner() != owner)
        .filter(|live| !is_rewritten(live))
        .collect();
    runs(&others, name)
}

/// True if Flux runs in the sibling's namespace today, but without this controller.
fn lacks(case: &Case<'_>, sibling: &Object, name: &str) -> bool {
    let mut beside = deployments(case.facts.engine(case.engine()));
    beside.retain(|live| live.namespace == sibling.namespace);
    CORE.iter().any(|other| runs(&beside, other)) && !runs(&beside, name)
}

fn absent(sibling: &Object, name: &str) -> Finding {
    let absent = Object {
        name: name.to_owned(),
        ..sibling.clone()
    };
    let message = format!(
        "the release brings {} but not {name}, and nothing else runs it",
        sibling.name
    );
    let remedy = format!("Enable {name} in the chart's values");
    Finding::about(&absent, "", message, remedy)
}

fn scaled_to_zero(object: &Object) -> Finding {
    let message = format!(
        "the release brings {} with replicas: 0, and nothing else runs it",
        object.name
    );
    let remedy = "Set spec.replicas to 1 in the chart's values".to_owned();
    Finding::about(object, "/spec/replicas", message, remedy)
}
