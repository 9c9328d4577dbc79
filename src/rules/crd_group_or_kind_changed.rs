//! A CRD that changes its group, kind or plural.
//!
//! All three are immutable once the CRD is established. The apiserver refuses the change half-way
//! through an apply.

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::rules::{Redefined, redefined};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "crd-group-or-kind-changed",
    level: Level::Enforce,
    catches: "a CRD whose group, kind or plural changes",
    breaks: "the apiserver refuses the CRD half-way through the apply, and remediation follows",
    when: Moment::Apply,
    doors: &[Door::ReleaseRecord, Door::Crd, Door::Preflight],
    needs: &[Need::Definitions, Need::LiveObjects],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    Ok(redefined(case)?.flat_map(changes).collect())
}

fn changes(Redefined { object, new, live }: Redefined<'_>) -> Vec<Finding> {
    let fields = [
        ("/spec/group", &live.group, &new.group),
        ("/spec/names/kind", &live.kind, &new.kind),
        ("/spec/names/plural", &live.plural, &new.plural),
    ];
    let changed = fields.into_iter().filter(|(_, was, is)| was != is);
    let finding = |(path, was, is): (&str, &String, &String)| {
        let message = format!("{was:?} would become {is:?}, but the field is immutable");
        let remedy = format!("Keep {was:?}, or give the new CRD another name");
        Finding::about(object, path, message, remedy)
    };
    changed.map(finding).collect()
}
