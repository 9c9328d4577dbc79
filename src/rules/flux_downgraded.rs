//! A release that would move the engine to an older Flux.
//!
//! Harmless where every CRD of the older Flux still offers what is stored (2.8 to 2.7 is), and then
//! a rollback must stay possible: it warns. It refuses where a stored version would be lost, and
//! where that cannot be known.

use crate::catalogue::Catalogue;
use crate::crd::{Definition, dropped};
use crate::finding::{Finding, Level};
use crate::object::Object;
use crate::target_flux::{self, TargetFlux};
use crate::request::Door;
use crate::rule::{Case, Found, Need, Rule};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "flux-downgraded",
    level: Level::Enforce,
    catches: "a release that would move the engine to an older Flux",
    breaks: "the apiserver refuses CRDs half-way, or older controllers meet objects that they cannot read; \
             where the facts prove it harmless it only warns",
    doors: &[Door::HelmRelease, Door::ReleaseRecord, Door::Preflight],
    needs: &[Need::RunningFlux, Need::ChartFlux, Need::FluxOrder],
    check,
};

fn check(case: &Case<'_>) -> Found {
    let Some((target, running)) = target_flux::over_running(case)? else {
        return Ok(Vec::new());
    };
    let order = target.flux.compare(&running).ok_or(Need::FluxOrder)?;
    if order.is_ge() {
        return Ok(Vec::new());
    }
    let (level, why) = match lost(case, &target) {
        Some(lost) if lost.is_empty() => (Level::Warn, "no stored version is lost".to_owned()),
        Some(lost) => (
            Level::Enforce,
            format!("stored versions are lost: {}", lost.join(", ")),
        ),
        None => (
            Level::Enforce,
            "whether stored versions are lost cannot be known".to_owned(),
        ),
    };
    let message = format!("{} would replace the running {running}; {why}", target.flux);
    let remedy = format!("Install a release of {running} or newer");
    Ok(vec![
        Finding::about(target.object, &target.path, message, remedy).at_most(level),
    ])
}

/// The stored versions that the older Flux does not offer, as `crd: version`; none when its CRDs or
/// the cluster's are unknown.
fn lost(case: &Case<'_>, target: &TargetFlux<'_>) -> Option<Vec<String>> {
    if !case.facts.knows_definitions() {
        return None;
    }
    let offered = match case.release() {
        Some(_) => shipped(case),
        None => known(target)?,
    };
    let is_unread = |name: &str| case.facts.unread().any(|object| object.name == name);
    if offered.iter().any(|(name, _)| is_unread(name)) {
        return None;
    }
    let live = |name: &str| {
        let mut objects = case.facts.objects().filter(|object| object.name == name);
        objects.find_map(Object::definition)
    };
    let lost = offered.iter().filter_map(|(name, target)| {
        let lost: Vec<_> = dropped(&live(name)?.stored, target).collect();
        (!lost.is_empty()).then(|| format!("{name}: {}", lost.join(", ")))
    });
    let mut lost: Vec<_> = lost.collect();
    lost.sort();
    Some(lost)
}

/// A release brings its CRDs; one that it does not bring it does not change.
fn shipped(case: &Case<'_>) -> Vec<(String, Definition)> {
    let written = case.written().map(|(new, _)| new);
    written
        .filter_map(|new| Some((new.name.clone(), new.definition()?.clone())))
        .collect()
}

/// A HelmRelease shows no CRDs; the catalogue knows those of its Flux.
fn known(target: &TargetFlux<'_>) -> Option<Vec<(String, Definition)>> {
    let release = Catalogue::built_in().release(target.flux.versions.last()?)?;
    Some(
        release
            .crds
            .iter()
            .map(|crd| (crd.name.clone(), crd.definition()))
            .collect(),
    )
}
