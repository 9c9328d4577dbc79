//! An object that another release or tool owns.
//!
//! Two owners undo each other's work. The first owner that is removed takes the object along.

use crate::adoption::owners::{Holder, holder};
use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::helm::Owner;
use crate::object::Object;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "foreign-owner",
    level: Level::Enforce,
    catches: "an object that another release or tool owns",
    breaks: "two owners revert each other, and removing one deletes Flux; objects of others only warn",
    when: Moment::Apply,
    doors: &[Door::ReleaseRecord, Door::Preflight],
    needs: &[Need::ReleaseName, Need::LiveObjects],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    let owner = case.owner();
    let mut findings = Vec::new();
    for (new, live) in case.rewritten() {
        let Some(holder) = stranger(live, owner.as_ref())? else {
            continue;
        };
        // A manifest that names no release may come from the owner itself.
        if owner.is_none() || holder.is_gone(case.facts, case.engine()) {
            continue;
        }
        let level = if case.engine().part(live).is_some() {
            Level::Enforce
        } else {
            Level::Warn
        };
        findings.push(finding(new, live, &holder).at_most(level));
    }
    Ok(findings)
}

/// The owner of a live object, unless the owner is this release.
///
/// # Errors
/// If a release owns the object, and the name of the judged release is unknown.
pub(crate) fn stranger(live: &Object, owner: Option<&Owner>) -> Result<Option<Holder>, Need> {
    let Some(holder) = holder(live) else {
        return Ok(None);
    };
    if let Some(release) = holder.release() {
        let owner = owner.ok_or(Need::ReleaseName)?;
        return Ok((release != *owner).then_some(holder));
    }
    Ok(Some(holder))
}

fn finding(new: &Object, live: &Object, holder: &Holder) -> Finding {
    let deletes_by = holder.tool.deletes_by;
    Finding::about(
        new,
        "/metadata",
        format!("{holder} owns it in the cluster, and {deletes_by} would delete it"),
        format!("Remove it from this release, or {}", holder.freed(live)),
    )
}
