//! A deleted source, read by the Kustomization that applies Flux.
//!
//! Flux then keeps running on the last fetched state and applies nothing new. Sources of other
//! Kustomizations are ignored.

use super::engine_deleted::applies;
use crate::case::finding::{Finding, Level};
use crate::case::request::{Door, Operation};
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::object::Object;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "engine-source-deleted",
    level: Level::Warn,
    catches: "a DELETE of the source from which a Kustomization applies Flux",
    breaks: "Flux keeps running, but that Kustomization applies nothing new",
    when: Moment::Run,
    doors: &[Door::Engine],
    needs: &[Need::Kustomizations],
    check,
};

const GROUP: &str = "source.toolkit.fluxcd.io";

fn check(case: &Case<'_>) -> RuleResult {
    let deleted = case.request.operation == Operation::Delete;
    let old = case.change().filter(|_| deleted);
    let Some(source) = old.and_then(|change| change.old.as_ref()) else {
        return Ok(Vec::new());
    };
    let mut findings = Vec::new();
    for live in case.facts.objects() {
        if source.group() == GROUP && reads(live, source) && applies_flux(case, live) {
            findings.push(finding(source, live));
        }
    }
    Ok(findings)
}

/// True if a Kustomization that is not suspended reads from this source.
fn reads(live: &Object, source: &Object) -> bool {
    let Some(kustomization) = live.kustomization() else {
        return false;
    };
    let [kind, namespace, name] = &kustomization.source;
    let own = live.namespace.as_ref();
    let namespace = if namespace.is_empty() {
        own
    } else {
        Some(namespace)
    };
    !kustomization.suspended
        && *kind == source.kind
        && *name == source.name
        && namespace == source.namespace.as_ref()
}

fn applies_flux(case: &Case<'_>, kustomization: &Object) -> bool {
    let mut engine = case.facts.engine(case.engine());
    engine.any(|live| applies(kustomization, live))
}

fn finding(source: &Object, kustomization: &Object) -> Finding {
    let message = format!("{kustomization} applies Flux from it, and would apply nothing new");
    let namespace = kustomization.namespace.as_deref().unwrap_or_default();
    let remedy = format!(
        "Point the Kustomization at another source first, or suspend it: flux suspend kustomization {} -n {namespace}",
        kustomization.name
    );
    Finding::about(source, "", message, remedy)
}
