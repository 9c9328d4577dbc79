//! A review, a record or a document of a manifest that fluxkeep cannot read.
//!
//! An unread document is not judged. About the engine the rule refuses it. About a stranger it only
//! warns: Helm and the apiserver refuse bad manifests themselves.

use crate::case::finding::{Finding, Level};
use crate::case::request::{Door, Gap, Obstacle};
use crate::case::rule::{Case, Moment, Rule, RuleResult};
use crate::flux::applier::{Applied, OPERATOR};
use crate::flux::engine::MEMBERS;
use crate::helm::Owner;
use crate::helm::record;
use crate::object::Object;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "review-unreadable",
    level: Level::Enforce,
    catches: "a review, a release record or a document of a manifest that fluxkeep cannot read",
    breaks: "an unread object would pass unjudged; objects that are not Flux's only warn",
    when: Moment::Unknown,
    doors: &Door::ADMISSION,
    needs: &[],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    let gaps = case.request.gaps.iter();
    Ok(gaps.map(|gap| finding(gap, case)).collect())
}

fn finding(gap: &Gap, case: &Case<'_>) -> Finding {
    let remedy = match (gap.obstacle, case.request.door) {
        (Obstacle::Time, _) => "Try again in a second",
        (Obstacle::Length, _) => {
            "Make the object smaller; the apiserver sends <, > and & as six bytes each"
        }
        (Obstacle::Text, Door::ReleaseRecord) => "Correct its template",
        (Obstacle::Text, _) => "Correct it by the API reference of its kind",
    };
    let level = if is_engines(gap, case) {
        Level::Enforce
    } else {
        Level::Warn
    };
    Finding::about(&gap.object, "", gap.why.clone(), remedy.to_owned()).at_most(level)
}

/// True if the unread part may contain the engine.
fn is_engines(gap: &Gap, case: &Case<'_>) -> bool {
    let object = &gap.object;
    if gap.is_engines || case.engine().part(object).is_some() {
        return true;
    }
    if case.release().is_some() {
        return gap.is_opaque && goes_to_engine(object, case);
    }
    if object.group() == "helm.toolkit.fluxcd.io" && object.kind == "HelmRelease" {
        return may_hold_engine(object, case);
    }
    gap.is_opaque && (applies_engine(object, case) || may_be_labelled(object, case))
}

/// True if an unread FluxInstance or Kustomization may apply the engine: the live one did, or it is
/// a FluxInstance in a namespace of Flux, where flux-operator expects it.
fn applies_engine(object: &Object, case: &Case<'_>) -> bool {
    if let Some(live) = case.facts.live(&object.key()) {
        let instance = live.flux_instance().map(|instance| &instance.applied);
        let kustomization = live.kustomization().map(|one| &one.applied);
        let applied = instance.or(kustomization);
        if applied.is_some_and(Applied::holds_flux) {
            return true;
        }
    }
    object.group() == OPERATOR && object.kind == "FluxInstance" && is_inside(object, case)
}

/// True if a release brings part of the engine, goes to its namespaces or owns the running one.
fn goes_to_engine(record: &Object, case: &Case<'_>) -> bool {
    if case.engine_written().next().is_some() {
        return true;
    }
    if let Some(owner) = case.owner() {
        return is_engine_owner(&owner, case);
    }
    // An unreadable record shows only its name and namespace.
    let namespace = record.namespace.as_deref().unwrap_or_default();
    let release = record::release_of(&record.name).unwrap_or_default();
    let is_it = |owner: &Owner| owner.name == release && is_stored_in(owner, namespace, case);
    if case.facts.owners(case.engine()).iter().any(is_it) {
        return true;
    }
    case.engine().is_home(namespace) && !is_known_elsewhere(release, namespace, case)
}

/// True if HelmReleases beside Flux keep this record, and all of them install elsewhere. The network
/// and the certificate manager are often kept so. Only the engine's namespaces count: a tenant's
/// HelmRelease may name any record.
fn is_known_elsewhere(release: &str, namespace: &str, case: &Case<'_>) -> bool {
    let mut is_known = false;
    for object in case
        .facts
        .objects()
        .filter(|object| is_inside(object, case))
    {
        let own = object.namespace.as_deref().unwrap_or_default();
        let (Some(made), Some(spec)) = (object.installs(), object.helm_release()) else {
            continue;
        };
        if made.name != release || spec.storage_namespace(own) != namespace {
            continue;
        }
        if case.engine().is_home(&made.namespace) {
            return false;
        }
        is_known = true;
    }
    is_known
}

/// True if Helm keeps a release's records in this namespace.
fn is_stored_in(owner: &Owner, namespace: &str, case: &Case<'_>) -> bool {
    let by_controller = case.facts.helm_releases(owner).any(|object| {
        let own = object.namespace.as_deref().unwrap_or_default();
        object
            .helm_release()
            .is_some_and(|release| release.storage_namespace(own) == namespace)
    });
    owner.namespace == namespace || by_controller
}

fn is_engine_owner(owner: &Owner, case: &Case<'_>) -> bool {
    case.engine().is_home(&owner.namespace) || case.facts.owners(case.engine()).contains(owner)
}

/// True if a HelmRelease holds the engine, by its readable parts or its live object. If neither is
/// readable, its namespace decides: a release goes there by default.
fn may_hold_engine(object: &Object, case: &Case<'_>) -> bool {
    let change = case.change();
    let written = change.and_then(|change| change.new.as_ref());
    let old = change.and_then(|change| change.old.as_ref());
    let live = case.facts.live(&object.key());
    let known = [written, old, live].into_iter().flatten();
    let mut known = known.filter(|one| one.helm_release().is_some()).peekable();
    if known.peek().is_none() {
        return is_inside(object, case);
    }
    known
        .filter_map(Object::installs)
        .any(|owner| is_engine_owner(&owner, case))
}

/// True if an object whose labels were not read may carry the engine's label.
fn may_be_labelled(object: &Object, case: &Case<'_>) -> bool {
    let is_member = MEMBERS
        .iter()
        .any(|member| member.kind == object.kind && member.group == object.group());
    is_member && is_inside(object, case)
}

fn is_inside(object: &Object, case: &Case<'_>) -> bool {
    object
        .namespace
        .as_deref()
        .is_some_and(|namespace| case.engine().is_home(namespace))
}
