//! A CRD that changes between `Namespaced` and `Cluster`.
//!
//! The scope of an established CRD is immutable: the apiserver refuses it half-way through an apply.

use crate::finding::{Finding, Level};
use crate::request::Door;
use crate::rule::{Case, Found, Need, Rule};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "crd-scope-changed",
    level: Level::Enforce,
    catches: "a CRD whose scope changes, which the apiserver refuses half-way through an apply",
    breaks: "the apiserver refuses the CRD half-way through the apply, and remediation follows",
    doors: &[Door::ReleaseRecord, Door::Crd, Door::Preflight],
    needs: &[Need::Definitions],
    check,
};

fn check(case: &Case<'_>) -> Found {
    super::known_definitions(case)?;
    let changed = super::definitions(case).filter(|(_, new, live)| new.scope != live.scope);
    let finding = |(object, new, live)| {
        let (new, live): (&crate::crd::Definition, &crate::crd::Definition) = (new, live);
        let message = format!("the scope is {} and would be {}; it can never change", live.scope, new.scope);
        let remedy = format!("Keep scope: {}, or give the new definition another name", live.scope);
        Finding::about(object, "/spec/scope", message, remedy)
    };
    Ok(changed.map(finding).collect())
}
