//! A FluxInstance whose release brings CRDs that the apiserver refuses.
//!
//! flux-operator applies the CRDs first and stops there, so Flux stays as it is and the FluxInstance
//! fails at each reconciliation. A range such as `2.x` selects the newest release, however old the
//! cluster's stored versions are. Another release than the newest known one may be selected, so a
//! range only warns.

use std::cmp::Ordering;

use crate::case::finding::{Finding, Level};
use crate::case::rule::{Case, Need, RuleResult};
use crate::case::target_flux::{Selected, selected};
use crate::crd::{Definition, dropped};
use crate::flux::Flux;
use crate::flux::applier::FluxInstance;
use crate::flux::catalogue::FluxRelease;
use crate::flux::needs::USES;
use crate::object::{Key, Object};
use crate::rules::flux_downgraded::is_idle_elsewhere;

/// The finding for the release that a written FluxInstance selects.
///
/// # Errors
/// If the catalogue lacks the release, or the CRDs of the cluster are not known.
pub(super) fn check(case: &Case<'_>) -> RuleResult {
    let written = case.change().and_then(|change| change.new.as_ref());
    let Some((object, instance)) =
        written.and_then(|object| Some((object, object.flux_instance()?)))
    else {
        return Ok(Vec::new());
    };
    let Some(selected) = selected(case, object)? else {
        return Ok(Vec::new());
    };
    if is_older(case, &selected) {
        return Ok(Vec::new());
    }
    if !case.facts.knows_definitions() {
        return Err(Need::Definitions);
    }
    let lost = lost(case, instance, selected.release)?;
    if lost.is_empty() {
        return Ok(Vec::new());
    }
    let version = &selected.release.version;
    let lost = lost.join(", ");
    let message = if selected.is_range {
        format!(
            "{} selects Flux {version}, whose CRDs no longer offer versions in which the cluster holds objects: {lost}",
            instance.version
        )
    } else {
        format!(
            "the CRDs of Flux {version} no longer offer versions in which the cluster holds objects: {lost}"
        )
    };
    let path = "/spec/distribution/version";
    let finding = Finding::about(object, path, message, remedy(case, instance));
    let level = if selected.is_range || is_idle_elsewhere(case, object) {
        Level::Warn
    } else {
        Level::Enforce
    };
    Ok(vec![
        finding.with_value(instance.version.clone()).at_most(level),
    ])
}

/// True if the release is older than the running Flux: `flux-downgraded` judges it then.
fn is_older(case: &Case<'_>, selected: &Selected<'_>) -> bool {
    let Ok(Some(running)) = case.running() else {
        return false;
    };
    let order = Flux::of_release(selected.release).compare(&running);
    order == Some(Ordering::Less)
}

/// The stored versions that a release's CRDs lack, as `crd: version`.
///
/// # Errors
/// If one of these CRDs could not be read, and no version is lost.
fn lost(
    case: &Case<'_>,
    instance: &FluxInstance,
    release: &FluxRelease,
) -> Result<Vec<String>, Need> {
    let mut lost = Vec::new();
    let mut is_unread = false;
    for crd in &release.crds {
        if !is_applied(instance, &crd.name) {
            continue;
        }
        is_unread |= case.facts.is_unread(&Key::of_definition(&crd.name));
        let Some(live) = live(case, &crd.name) else {
            continue;
        };
        let new = crd.definition();
        let versions: Vec<&str> = dropped(live, &new).collect();
        if !versions.is_empty() {
            lost.push(format!("{}: {}", crd.name, versions.join(", ")));
        }
    }
    if lost.is_empty() && is_unread {
        return Err(Need::Definitions);
    }
    Ok(lost)
}

fn live<'a>(case: &Case<'a>, name: &str) -> Option<&'a Definition> {
    case.facts.definition(name).and_then(Object::definition)
}

/// True if flux-operator applies this CRD: with the controller that reconciles its objects.
fn is_applied(instance: &FluxInstance, crd: &str) -> bool {
    let Some(needs) = USES.iter().find(|needs| needs.crd == crd) else {
        return false;
    };
    instance.components.iter().any(|name| name == needs.owner)
}

/// The newest release whose CRDs the apiserver accepts comes first, then the migration.
fn remedy(case: &Case<'_>, instance: &FluxInstance) -> String {
    let migrate = "migrate what is stored with `fluxkeep migrate`, then try again";
    let releases = case.engine().catalogue.releases().iter().rev();
    let mut accepted = releases.filter(|release| {
        let lost = lost(case, instance, release);
        lost.is_ok_and(|lost| lost.is_empty())
    });
    match accepted.next() {
        Some(release) => format!(
            "Set it to {} first, the newest release whose CRDs the cluster accepts now; {migrate}",
            release.version
        ),
        None => format!("First {migrate}"),
    }
}
