//! A revision that drops an engine object which this release owns.
//!
//! Helm deletes objects that only the old revision has, unless the live object is kept. Hooks do
//! not count as part of a revision, so an object that becomes a hook is deleted, too.

use std::collections::BTreeSet;

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::flux::engine::Part;
use crate::helm::RESOURCE_POLICY;
use crate::object::{Key, Object};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "engine-object-removed",
    level: Level::Enforce,
    catches: "a revision that drops a Flux object which this release owns",
    breaks: "Helm deletes the object, and with a CRD all its custom resources; optional controllers and \
             NetworkPolicies only warn",
    when: Moment::Done,
    doors: &[Door::ReleaseRecord],
    needs: &[Need::RunningFlux, Need::Documents, Need::LiveObjects],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    let Some(owner) = case.owner().filter(|_| case.release().is_some()) else {
        return Ok(Vec::new());
    };
    case.require_whole()?;
    let owners = case.owners()?;
    let applied = case.brought().filter(|new| !new.is_hook());
    let applied: BTreeSet<Key> = applied.map(Object::key).collect();
    let stays = |live: &Object| applied.contains(&live.key());
    let parts = case
        .facts
        .engine(case.engine())
        .filter(|live| live.owner().as_ref() == Some(&owner));
    // Helm's upgrade reads the live annotation and wants exactly `keep`; its uninstall does not.
    let kept = |live: &Object| {
        live.annotations
            .get(RESOURCE_POLICY)
            .is_some_and(|policy| policy == "keep")
    };
    let gone = parts.filter(|live| !kept(live) && !stays(live));
    let findings: Vec<_> = gone
        .filter_map(|live| Some(finding(live, case.engine().part(live)?)))
        .collect();
    let unread = case
        .facts
        .engine(case.engine())
        .filter(|live| live.is_unread());
    let may_be_gone = owners.contains(&owner) && unread.into_iter().any(|live| !stays(live));
    if findings.is_empty() && may_be_gone {
        return Err(Need::LiveObjects);
    }
    Ok(findings)
}

fn finding(live: &Object, part: Part) -> Finding {
    let level = match part {
        Part::Definition | Part::Vital => Level::Enforce,
        Part::Optional | Part::Shield => Level::Warn,
    };
    let loss = if part == Part::Definition {
        ", and with it every custom resource of its kind"
    } else {
        ""
    };
    let message =
        format!("the release owns it, but the new revision lacks it: Helm deletes it{loss}");
    let remedy =
        format!("Keep it in the chart, or first annotate the live object {RESOURCE_POLICY}: keep");
    Finding::about(live, "", message, remedy).at_most(level)
}
