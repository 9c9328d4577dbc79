//! The engine's label removed from an object, or the hook annotation added to it.
//!
//! The label is the only mark of some objects, and a hook's annotation takes it away. Deleting such
//! an object only warns, so the change only warns, too. An object known by name stays guarded. CRDs
//! are known by their group and need no label. The ClusterRoles `flux-edit` and `flux-view` need
//! none either: the community's chart renders them without it.
//!
//! A release is refused if it brings an object known by name as a hook. Helm deletes a hook before
//! it creates the hook anew, and cannot create an existing CRD. So an engine object that a release
//! brings as a hook is deleted or fails. Helm's uninstall skips hooks that are stored in the
//! manifest, and so do tools that go by the annotation.

use crate::case::finding::{Finding, Level};
use crate::case::request::{Door, Operation};
use crate::case::rule::{Case, Moment, Rule, RuleResult};
use crate::flux::engine::{Part, is_labelled};
use crate::helm::HOOK;
use crate::object::{Object, PART_OF};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "engine-label-removed",
    level: Level::Enforce,
    catches: "removing the label that identifies a Flux object, marking the object as a hook, or a release \
              that brings it as a hook",
    breaks: "Helm deletes the object as a hook; for an update of the object the rule only warns, as it does for the \
             deletion of an object known by label only",
    when: Moment::Later,
    doors: &[Door::Engine, Door::ReleaseRecord],
    needs: &[],
    check,
};

const LABEL_PATH: &str = "/metadata/labels/app.kubernetes.io~1part-of";
const HOOK_PATH: &str = "/metadata/annotations/helm.sh~1hook";

fn check(case: &Case<'_>) -> RuleResult {
    if case.release().is_some() {
        return Ok(case
            .brought()
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
    let findings = [unlabelled(case, old, new), hooked(case, old, new)];
    Ok(findings
        .into_iter()
        .flatten()
        .map(|finding| finding.at_most(Level::Warn))
        .collect())
}

fn unlabelled(case: &Case<'_>, old: &Object, new: &Object) -> Option<Finding> {
    let message = match new.labels.get(PART_OF) {
        Some(value) => format!("{PART_OF}=flux would become {value:?}"),
        None => format!("{PART_OF}=flux would be removed"),
    };
    let remedy = format!("Keep the label {PART_OF}=flux");
    let taken = is_asked_for_label(case, old) && !is_labelled(new);
    taken.then(|| Finding::about(new, LABEL_PATH, message, remedy))
}

/// Helm creates and removes hooks on its own, so the label alone guards no hook.
fn hooked(case: &Case<'_>, old: &Object, new: &Object) -> Option<Finding> {
    let value = new.annotations.get(HOOK)?;
    if old.is_hook() {
        return None;
    }
    case.engine().part(old)?;
    let message = format!("{HOOK}={value:?} would mark it as a hook, which may be deleted");
    let remedy = format!("Remove the annotation {HOOK}");
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

/// The finding for an engine object that a release marks as a hook or runs as a hook.
fn brought_as_hook(case: &Case<'_>, object: &Object) -> Option<Finding> {
    let value = object.annotations.get(HOOK)?;
    let part = case.engine().part(object)?;
    let lives = case.facts.live(&object.key()).is_some();
    let harm = if object.applied {
        "marks it as a hook, which tools then ignore or delete"
    } else if part == Part::Definition {
        "creates it as a hook, which fails half-way through the release if it exists"
    } else {
        "runs it as a hook, and Helm deletes a hook before it creates it again"
    };
    let message = format!("{HOOK}={value:?}: the release {harm}");
    let remedy = format!("Remove the annotation {HOOK} in the chart or in its post-renderer");
    let level = if !case.engine().names(object) || !object.applied && !lives {
        Level::Warn
    } else {
        Level::Enforce
    };
    Some(Finding::about(object, HOOK_PATH, message, remedy).at_most(level))
}
