//! A request about the engine while the facts are too old, or while a CRD of Flux is unreadable.
//!
//! The facts may then differ from the cluster: a release may have taken Flux over, or a CRD may
//! hold more stored versions. Other rules still judge by the last known facts. A change of a CRD
//! carries its own old object, which is always true, so such changes are judged as ever.
//!
//! An unreadable CRD of Flux refuses the releases that write over it: a lost stored version could
//! not be seen. Only an administrator writes CRDs, so no tenant can cause this. Other unread
//! objects refuse no release: the rules that compare with them abstain.

use crate::case::facts::Heard;
use crate::case::finding::{Finding, Level};
use crate::case::request::{Door, Operation};
use crate::case::rule::{Case, Moment, Rule, RuleResult};
use crate::case::target_flux;
use crate::flux::applier::is_paused;
use crate::flux::engine::Part;
use crate::object::Object;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "facts-stale",
    level: Level::Enforce,
    catches: "a release of Flux that would be judged by stale or unreadable facts of the cluster",
    breaks: "whether Flux survives the release is unknown; other releases only warn",
    when: Moment::Unknown,
    doors: &[
        Door::HelmRelease,
        Door::FluxInstance,
        Door::ReleaseRecord,
        Door::Engine,
    ],
    needs: &[],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    let Some(heard) = case.facts.stale(case.now) else {
        return Ok(unread(case));
    };
    let about = match case.request.door {
        Door::HelmRelease => intent(case),
        Door::FluxInstance => version(case),
        Door::ReleaseRecord => release(case),
        _ => deletion(case),
    };
    Ok(about
        .map(|(object, level)| finding(object, &heard).at_most(level))
        .into_iter()
        .collect())
}

/// The findings for CRDs of Flux that a release writes over and that could not be read.
fn unread(case: &Case<'_>) -> Vec<Finding> {
    let Some(release) = case.release() else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for new in &release.objects {
        let is_flux = case.engine().part(new) == Some(Part::Definition);
        if is_flux && case.facts.is_unread(&new.key()) {
            let message =
                "fluxkeep cannot read the live CRD, so whether stored versions are lost is unknown";
            let remedy = format!(
                "Update fluxkeep (its log names the reason), or allow this with {}",
                lifted()
            );
            findings.push(Finding::about(new, "", message.to_owned(), remedy));
        }
    }
    findings
}

/// The policy entry that lets through the requests which this rule refuses.
fn lifted() -> String {
    format!("`levels: {{{}: warn}}` in its policy", RULE.id)
}

/// A chart that hides whether it contains Flux shows it at the next door, in its record.
fn intent<'a>(case: &Case<'a>) -> Option<(&'a Object, Level)> {
    let object = case.change()?.new.as_ref()?;
    let level = if target_flux::holds_engine(case) == Ok(true) {
        Level::Enforce
    } else {
        Level::Warn
    };
    acts(object).then_some((object, level))
}

/// A FluxInstance with another version is compared with the running Flux. Removed parts stand in
/// the FluxInstance itself, and are judged without facts. The first FluxInstance may install Flux,
/// so the rule only warns if no Flux was seen yet.
fn version<'a>(case: &Case<'a>) -> Option<(&'a Object, Level)> {
    let change = case.change()?;
    let object = change.new.as_ref()?;
    let instance = object.flux_instance()?;
    if is_paused(object) || !target_flux::is_moved(case, object) {
        return None;
    }
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let is_engines = case.engine().is_home(namespace) || instance.applied.holds_flux();
    let runs = change.old.is_some() || case.facts.engine(case.engine()).next().is_some();
    let level = if is_engines && runs {
        Level::Enforce
    } else {
        Level::Warn
    };
    Some((object, level))
}

fn release<'a>(case: &Case<'a>) -> Option<(&'a Object, Level)> {
    if let Some((_, part, _)) = case.engine_written().next() {
        return Some((part, Level::Enforce));
    }
    let is_owner = case
        .owner()
        .is_some_and(|owner| case.facts.owners(case.engine()).contains(&owner));
    let level = if is_owner {
        Level::Enforce
    } else {
        Level::Warn
    };
    Some((case.release()?.objects.first()?, level))
}

/// A part of the engine is known by its name. Stale facts may miss an override in the cluster, or a
/// HelmRelease that came to own the engine.
fn deletion<'a>(case: &Case<'a>) -> Option<(&'a Object, Level)> {
    let object = case
        .change()
        .filter(|_| case.request.operation == Operation::Delete)?
        .old
        .as_ref()?;
    (acts(object) || case.engine().part(object).is_some()).then_some((object, Level::Warn))
}

/// True for a HelmRelease that is not suspended and installs into this cluster.
fn acts(object: &Object) -> bool {
    object
        .helm_release()
        .is_some_and(|release| !release.is_suspended() && !release.is_remote())
}

fn finding(object: &Object, Heard { resource, at, .. }: &Heard) -> Finding {
    let since = at.map_or("were never read".to_owned(), |at| {
        format!("were last seen at {at:.0}")
    });
    let message = format!("{resource} {since}, so whether Flux survives this is unknown");
    let remedy = format!(
        "See fluxkeep's log, then restore its connection to the apiserver, or its right to list and watch \
         {resource}; until then {} allows this",
        lifted()
    );
    Finding::about(object, "", message, remedy)
}
