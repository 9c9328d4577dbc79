//! A Flux release without one of its four core controllers.
//!
//! A chart with one of them switched off installs a Flux that cannot reconcile. A controller that
//! another release or tool runs is not missing.

use crate::engine::CORE;
use crate::finding::{Finding, Level};
use crate::object::Object;
use crate::request::Door;
use crate::rule::{Case, Found, Need, Rule};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "controller-missing",
    level: Level::Enforce,
    catches: "a Flux release without one of its four core controllers",
    breaks: "Flux runs without source, kustomize, helm or notification controller and reconciles no more",
    doors: &[Door::ReleaseRecord],
    needs: &[Need::Documents],
    check,
};

fn check(case: &Case<'_>) -> Found {
    let brought: Vec<&Object> = deployments(case.engine_written().map(|(_, new, _)| new)).collect();
    let Some(sibling) = brought.iter().min_by_key(|one| one.key()) else {
        return Ok(Vec::new());
    };
    case.is_whole()?;
    let others = deployments(case.facts.engine(case.engine()))
        .filter(|live| live.owner().is_none() || live.owner() != case.owner());
    let known: Vec<&str> = brought
        .iter()
        .copied()
        .chain(others)
        .map(|one| one.name.as_str())
        .collect();
    let missing = CORE.into_iter().filter(|name| !known.contains(name));
    Ok(missing.map(|name| finding(sibling, name)).collect())
}

/// The core controllers' Deployments.
fn deployments<'a>(objects: impl Iterator<Item = &'a Object>) -> impl Iterator<Item = &'a Object> {
    objects.filter(|one| one.kind == "Deployment" && CORE.contains(&one.name.as_str()))
}

fn finding(sibling: &Object, name: &str) -> Finding {
    let absent = Object {
        name: name.to_owned(),
        ..sibling.clone()
    };
    let message = format!(
        "the release brings {} and not {name}, and nothing else runs it",
        sibling.name
    );
    let remedy = format!("Switch {name} on in the chart's values");
    Finding::about(&absent, "", message, remedy)
}
