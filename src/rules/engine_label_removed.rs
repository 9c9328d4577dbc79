//! The label by which the engine is known, taken off, or the mark of a hook, put on.
//!
//! Either is the first step around a guard that goes by label and leaves hooks alone, so it is refused
//! on an object that is known by its label alone. An object that is known by name stays guarded
//! whatever its marks say: there it only warns. The label is not asked of CRDs, known by their group,
//! nor of ClusterRoles `flux-edit` and `flux-view`, which the community's chart renders without it.
//!
//! Where Helm writes, the release is half-way through already: refusing there would start its
//! remediation, so it warns. A release's record comes before all of that. A release that brings an
//! engine object as a hook over one that lives fails or deletes it: Helm deletes a hook before it
//! creates it anew, and cannot create a CRD that is there. What such a release stores in its manifest
//! with the mark of a hook is left out by Helm's uninstall and by every tool that goes by the mark.

use crate::engine::{Part, is_labelled};
use crate::finding::{Finding, Level};
use crate::helm::HOOK;
use crate::object::{Object, PART_OF};
use crate::request::{Door, Operation};
use crate::rule::{Case, Found, Moment, Rule};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "engine-label-removed",
    level: Level::Enforce,
    catches: "taking off the label by which an object of the engine is known, marking it as a hook, or a release \
              that brings it as a hook",
    breaks: "the object is no longer guarded, or a hook deletes it; it only warns where Helm writes, and where the \
             object is known by its name",
    when: Moment::Later,
    doors: &[Door::Engine, Door::ReleaseRecord],
    needs: &[],
    check,
};

const LABEL_PATH: &str = "/metadata/labels/app.kubernetes.io~1part-of";
const HOOK_PATH: &str = "/metadata/annotations/helm.sh~1hook";

fn check(case: &Case<'_>) -> Found {
    if let Some(release) = case.release() {
        let brought = release.objects.iter();
        return Ok(brought
            .filter_map(|object| brought_as_hook(case, object))
            .collect());
    }
    let change = case
        .change()
        .filter(|_| case.request.operation == Operation::Update);
    let Some((old, new)) =
        change.and_then(|change| Some((change.old.as_ref()?, change.new.as_ref()?)))
    else {
        return Ok(Vec::new());
    };
    let stays_guarded = case.engine().names(old);
    let level = if stays_guarded || case.request.writer.is_helm() {
        Level::Warn
    } else {
        Level::Enforce
    };
    let findings = [unlabelled(case, old, new), hooked(case, old, new)];
    Ok(findings
        .into_iter()
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
    let taken = is_asked_for_label(case, old) && !is_labelled(new);
    taken.then(|| Finding::about(new, LABEL_PATH, message, remedy))
}

/// Helm creates and removes hooks on its own, so the label alone guards none.
fn hooked(case: &Case<'_>, old: &Object, new: &Object) -> Option<Finding> {
    let value = new.annotations.get(HOOK)?;
    if old.is_hook() {
        return None;
    }
    case.engine().part(old)?;
    let message = format!("{HOOK}={value:?} would mark it as a hook, which may be deleted");
    let remedy = format!("Leave the annotation {HOOK} off it");
    Some(Finding::about(new, HOOK_PATH, message, remedy))
}

fn is_asked_for_label(case: &Case<'_>, old: &Object) -> bool {
    let asked = match case.engine().part(old) {
        None | Some(Part::Definition) => false,
        Some(Part::Shield) => old.kind != "ClusterRole",
        Some(Part::Vital | Part::Optional) => true,
    };
    asked && is_labelled(old)
}

/// An object of the engine that a release marks as a hook, or runs as one.
fn brought_as_hook(case: &Case<'_>, object: &Object) -> Option<Finding> {
    let value = object.annotations.get(HOOK)?;
    let part = case.engine().part(object)?;
    let lives = case.facts.live(&object.key()).is_some();
    let harm = if object.applied {
        "marks as a hook what guards and tools then leave alone or delete"
    } else if part == Part::Definition {
        "creates it as a hook, which fails where it lives, half-way through the release"
    } else {
        "runs it as a hook, and Helm deletes a hook before it creates it anew"
    };
    let message = format!("{HOOK}={value:?}: the release {harm}");
    let remedy = format!("Take the annotation {HOOK} off it, in the chart or in its post-renderer");
    let level = if !case.engine().names(object) || !object.applied && !lives {
        Level::Warn
    } else {
        Level::Enforce
    };
    Some(Finding::about(object, HOOK_PATH, message, remedy).at_most(level))
}
