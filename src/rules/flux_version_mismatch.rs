//! A first adoption of a running engine by a release of another Flux version.
//!
//! The incident combined adoption and a version change. If the apply fails, no release holds the
//! state to go back to. The rule also warns if the release's images differ from the declared
//! version: the declaration was then judged by a wrong version. The images are judged as well.

use std::cmp::Ordering;

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::case::target_flux::{self, TargetFlux};
use crate::flux::Flux;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "flux-version-mismatch",
    level: Level::Enforce,
    catches: "a first adoption of a running Flux by a release of another Flux version",
    breaks: "the apply fails half-way or moves every controller, with no release to go back to",
    when: Moment::Run,
    doors: &[Door::HelmRelease, Door::ReleaseRecord, Door::Preflight],
    needs: &[
        Need::RunningFlux,
        Need::ChartFlux,
        Need::FluxOrder,
        Need::ReleaseName,
        Need::HelmRelease,
    ],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    let Some(target) = target_flux::target(case)? else {
        return Ok(Vec::new());
    };
    let belied = belied(case, &target);
    let adopted = match adopted(case, &target) {
        Err(_) if belied.is_some() => Vec::new(),
        adopted => adopted?,
    };
    Ok(adopted.into_iter().chain(belied).collect())
}

fn adopted(case: &Case<'_>, target: &TargetFlux<'_>) -> RuleResult {
    let Some(running) = case.running()? else {
        return Ok(Vec::new());
    };
    let order = running.compare(&target.flux);
    if order == Some(Ordering::Equal) {
        return target.passes();
    }
    if target.is_beside {
        order.ok_or(Need::FluxOrder)?;
        return Ok(vec![beside(target, &running)]);
    }
    if is_upgrade(case)? {
        return Ok(Vec::new());
    }
    order.ok_or(Need::FluxOrder)?;
    Ok(vec![taken_over(case, target, &running)])
}

/// CRDs are cluster-scoped, so two versions of Flux need different CRDs at once.
fn beside(target: &TargetFlux<'_>, running: &Flux) -> Finding {
    let message = format!(
        "{} would share its CRDs with the running {running}",
        target.flux
    );
    let remedy = format!("Install {running} there too, or upgrade both together");
    Finding::about(target.object, &target.path, message, remedy).at_most(Level::Warn)
}

fn taken_over(case: &Case<'_>, target: &TargetFlux<'_>, running: &Flux) -> Finding {
    let message = format!(
        "it would take over the running {running}, but carries {} (according to {})",
        target.flux, target.told
    );
    let chart = running
        .chart(&case.engine().catalogue)
        .map(|chart| format!(" (chart flux2 {chart})"))
        .unwrap_or_default();
    let remedy = format!(
        "First adopt Flux (fluxkeep adopt) with a release of {running}{chart}; then upgrade"
    );
    Finding::about(target.object, &target.path, message, remedy)
}

/// True if the release already owns the engine. `kubectl apply` of a newer `install.yaml` names no
/// release, so it may be no adoption at all. A first revision is never an upgrade, even if live
/// labels name its release: `fluxkeep adopt` writes those beforehand.
fn is_upgrade(case: &Case<'_>) -> Result<bool, Need> {
    if case.release().and_then(|release| release.revision) == Some(1) {
        return Ok(false);
    }
    match case.owner() {
        Some(owner) => Ok(case.owners()?.contains(&owner)),
        None if is_applied(case) => Ok(true),
        None => Err(Need::ReleaseName),
    }
}

/// Labels by which kustomize-controller and flux-operator know the objects that they apply.
const APPLIED: [&str; 2] = [
    "kustomize.toolkit.fluxcd.io/name",
    "fluxcd.controlplane.io/name",
];

/// True if kustomize-controller or flux-operator applied a running controller.
fn is_applied(case: &Case<'_>) -> bool {
    let mut live = case.facts.engine(case.engine());
    live.any(|object| {
        let is_labelled = APPLIED.iter().any(|key| object.labels.contains_key(key));
        object.kind == "Deployment" && is_labelled
    })
}

/// The finding if the HelmRelease behind a record declares another Flux than the images.
fn belied(case: &Case<'_>, target: &TargetFlux<'_>) -> Option<Finding> {
    let owner = case.owner()?;
    let release = case.release()?;
    let mut named = case.facts.helm_releases(&owner);
    let proven = named.find(|object| case.makes(object, release));
    let object = proven.or_else(|| case.facts.helm_releases(&owner).next())?;
    let declared = target_flux::intended(object, object.helm_release()?, case.engine())?;
    let differs = !declared.is_range
        && declared
            .flux
            .compare(&target.flux)
            .is_some_and(Ordering::is_ne);
    let message = format!(
        "it declares {} ({}), but its release carries {}",
        declared.flux, declared.told, target.flux
    );
    let remedy = format!("Declare what the chart carries: {}", target.flux);
    differs.then(|| Finding::about(object, &declared.path, message, remedy).at_most(Level::Warn))
}
