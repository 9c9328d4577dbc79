//! A CRD that changes between `Namespaced` and `Cluster`.
//!
//! The scope of an established CRD is immutable: the apiserver refuses it half-way through an
//! apply.

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::rules::{Redefined, redefined};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "crd-scope-changed",
    level: Level::Enforce,
    catches: "a CRD whose scope changes between Namespaced and Cluster",
    breaks: "the apiserver refuses the CRD half-way through the apply, and remediation follows",
    when: Moment::Apply,
    doors: &[Door::ReleaseRecord, Door::Crd, Door::Preflight],
    needs: &[Need::Definitions, Need::LiveObjects],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    Ok(redefined(case)?.filter_map(finding).collect())
}

fn finding(Redefined { object, new, live }: Redefined<'_>) -> Option<Finding> {
    let message = format!(
        "the scope is {} and would become {}, but it is immutable",
        live.scope, new.scope
    );
    let remedy = format!(
        "Keep scope: {}, or give the new CRD another name",
        live.scope
    );
    (new.scope != live.scope).then(|| Finding::about(object, "/spec/scope", message, remedy))
}
