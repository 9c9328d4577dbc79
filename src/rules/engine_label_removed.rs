//! The label by which the engine is known, taken off.
//!
//! That is the first step around a guard that goes by label. Not asked of CRDs, known by their
//! group, nor of ClusterRoles `flux-edit` and `flux-view`, which the community's chart renders
//! without the label. Where Helm writes, the release is half-way through already: refusing there
//! would start its remediation, so it warns.

use crate::engine::{Part, is_labelled};
use crate::finding::{Finding, Level};
use crate::object::{Object, PART_OF};
use crate::request::{Door, Operation};
use crate::rule::{Case, Found, Rule};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "engine-label-removed",
    level: Level::Enforce,
    catches: "taking off the labels by which the engine and its ValidatingAdmissionPolicy twin are known",
    breaks: "the object is no longer guarded while the webhook is down; where Helm writes it only warns",
    doors: &[Door::Engine],
    needs: &[],
    check,
};

fn check(case: &Case<'_>) -> Found {
    let change = case.change().filter(|_| case.request.operation == Operation::Update);
    let pair = change.and_then(|change| Some((change.old.as_ref()?, change.new.as_ref()?)));
    let taken = pair.filter(|(old, new)| is_known_by_label(case, old) && !is_labelled(new));
    let level = if case.request.writer.is_helm() { Level::Warn } else { Level::Enforce };
    Ok(taken.map(|(_, new)| finding(new).at_most(level)).into_iter().collect())
}

fn is_known_by_label(case: &Case<'_>, old: &Object) -> bool {
    let known = match case.engine().part(old) {
        None | Some(Part::Definition) => false,
        Some(Part::Shield) => old.kind != "ClusterRole",
        Some(Part::Vital | Part::Optional) => true,
    };
    known && is_labelled(old)
}

fn finding(new: &Object) -> Finding {
    let message = match new.labels.get(PART_OF) {
        Some(value) => format!("{PART_OF}=flux would become {value:?}"),
        None => format!("{PART_OF}=flux would be taken off"),
    };
    let remedy = format!("Leave the label {PART_OF}=flux on it");
    Finding::about(new, "/metadata/labels/app.kubernetes.io~1part-of", message, remedy)
}
