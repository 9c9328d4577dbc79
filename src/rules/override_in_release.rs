//! A release that brings an override.
//!
//! An override is the decision of a person who runs the cluster. An override in a chart is its
//! author's. Helm may write anything, so an installed override opens the guard for everybody. The
//! override excuses nothing while its release is judged; this rule keeps it out of the cluster.
//!
//! On a CRD of a stranger the rule only warns: that override excuses the one CRD alone.

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Rule, RuleResult};
use crate::flux::engine::Engine;
use crate::object::{ALLOW, Object};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "override-in-release",
    level: Level::Enforce,
    catches: "a release that brings an override on an object of Flux, a HelmRelease, a \
              FluxInstance, a Kustomization or a CRD",
    breaks: "the chart's author then permits every user what the override names, even deleting Flux; on a CRD that \
             is not Flux's it only warns",
    when: Moment::Later,
    doors: &[Door::ReleaseRecord],
    needs: &[],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    let mut findings = Vec::new();
    for object in case.brought() {
        let Some(rules) = object.annotations.get(ALLOW) else {
            continue;
        };
        if let Some(level) = weight(case.engine(), object) {
            findings.push(finding(object, rules).at_most(level));
        }
    }
    Ok(findings)
}

/// The level of an override on this object. `None` if no override counts there.
fn weight(engine: &Engine, object: &Object) -> Option<Level> {
    let is_applier = object.flux_instance().is_some() || object.kustomization().is_some();
    if engine.part(object).is_some() || object.helm_release().is_some() || is_applier {
        Some(Level::Enforce)
    } else if object.definition().is_some() {
        Some(Level::Warn)
    } else {
        None
    }
}

fn finding(object: &Object, rules: &str) -> Finding {
    let message = format!("the release brings the override {ALLOW}={rules:?}");
    let remedy = format!(
        "Remove {ALLOW} from the chart and its post-renderers; a user who may grant overrides annotates the live object"
    );
    Finding::about(
        object,
        "/metadata/annotations/fluxkeep.io~1allow",
        message,
        remedy,
    )
}
