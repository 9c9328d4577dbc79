//! The label by which the engine is known, taken off, or the mark of a hook, put on.
//!
//! Either is the first step around a guard that goes by label and leaves hooks alone. The label is
//! not asked of CRDs, known by their group, nor of ClusterRoles `flux-edit` and `flux-view`, which
//! the community's chart renders without it. Where Helm writes, the release is half-way through
//! already: refusing there would start its remediation, so it warns.

use crate::engine::{Part, is_labelled};
use crate::finding::{Finding, Level};
use crate::helm::HOOK;
use crate::object::{Object, PART_OF};
use crate::request::{Door, Operation};
use crate::rule::{Case, Found, Rule};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "engine-label-removed",
    level: Level::Enforce,
    catches: "taking off the labels by which the engine and its ValidatingAdmissionPolicy twin are known, or \
              marking its object as a hook",
    breaks: "the object is no longer guarded while the webhook is down; where Helm writes it only warns",
    doors: &[Door::Engine, Door::Crd],
    needs: &[],
    check,
};

fn check(case: &Case<'_>) -> Found {
    let change = case
        .change()
        .filter(|_| case.request.operation == Operation::Update);
    let pair = change.and_then(|change| Some((change.old.as_ref()?, change.new.as_ref()?)));
    let level = if case.request.writer.is_helm() {
        Level::Warn
    } else {
        Level::Enforce
    };
    let findings = pair
        .into_iter()
        .flat_map(|(old, new)| [unlabelled(case, old, new), hooked(case, old, new)]);
    Ok(findings
        .flatten()
        .map(|finding| finding.at_most(level))
        .collect())
}

fn unlabelled(case: &Case<'_>, old: &Object, new: &Object) -> Option<Finding> {
    let message = match new.labels.get(PART_OF) {
        Some(value) => format!("{PART_OF}=flux would become {value:?}"),
        None => format!("{PART_OF}=flux would be taken off"),
    };
    let remedy = format!("Leave the label {PART_OF}=flux on it");
    let taken = is_known_by_label(case, old) && !is_labelled(new);
    taken.then(|| {
        Finding::about(
            new,
            "/metadata/labels/app.kubernetes.io~1part-of",
            message,
            remedy,
        )
    })
}

/// Helm creates and removes hooks on its own, so nothing guards them.
fn hooked(case: &Case<'_>, old: &Object, new: &Object) -> Option<Finding> {
    let value = new.annotations.get(HOOK)?;
    let message = format!("{HOOK}={value:?} would make it a hook, which may be deleted");
    let remedy = format!("Leave the annotation {HOOK} off it");
    case.engine().part(old)?;
    Some(Finding::about(
        new,
        "/metadata/annotations/helm.sh~1hook",
        message,
        remedy,
    ))
}

fn is_known_by_label(case: &Case<'_>, old: &Object) -> bool {
    let known = match case.engine().part(old) {
        None | Some(Part::Definition) => false,
        Some(Part::Shield) => old.kind != "ClusterRole",
        Some(Part::Vital | Part::Optional) => true,
    };
    known && is_labelled(old)
}
