//! A storage flag that moves to an older version.
//!
//! The apiserver accepts the change, stores new objects in the older version and drops newer
//! fields. `storedVersions` gains a version that blocks the next upgrade.

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::crd::kube_version::compare;
use crate::rules::{Redefined, redefined};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "storage-version-regressed",
    level: Level::Warn,
    catches: "a storage flag that moves to an older version (Kubernetes version order)",
    breaks: "objects are written in the older version, and the next upgrade that drops it is refused",
    when: Moment::Later,
    doors: &[Door::ReleaseRecord, Door::Crd, Door::Preflight],
    needs: &[Need::Definitions, Need::LiveObjects],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    Ok(redefined(case)?.filter_map(finding).collect())
}

fn finding(Redefined { object, new, live }: Redefined<'_>) -> Option<Finding> {
    let (to, from) = (new.storage()?, live.storage()?);
    let message =
        format!("objects are stored as {from} now and would be stored as {to}, which is older");
    let remedy = format!("Install a release whose CRD stores {from} or a newer version");
    compare(to, from)
        .is_lt()
        .then(|| Finding::about(object, "/spec/versions", message, remedy))
}
