//! The releases between the running Flux and the target: one for each minor.

use std::cmp::Ordering;

use crate::case::facts::Facts;
use crate::crd::Definition;
use crate::crd::kube_version::compare;
use crate::flux::Flux;
use crate::flux::catalogue::{Catalogue, FluxRelease};
use crate::flux::engine::Engine;
use crate::object::Object;

/// The reason why no upgrade can be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unplanned {
    /// The facts hold no controller with a version.
    #[error("no Flux found in {0}; name its namespace with --namespace")]
    NoFlux(String),
    /// The catalogue has no release like the running one.
    #[error("the catalogue cannot place {0}: no release has these controllers or older ones")]
    Unplaced(String),
}

/// The running Flux.
pub(super) fn running(facts: &Facts, engine: &Engine) -> Result<Flux, Unplanned> {
    let running = facts.running(engine);
    running.ok_or_else(|| Unplanned::NoFlux(engine.namespaces.join(", ")))
}

/// The release that runs. For a Flux outside the catalogue, the newest release that is not newer.
pub(super) fn start<'a>(
    running: &Flux,
    catalogue: &'a Catalogue,
) -> Result<&'a FluxRelease, Unplanned> {
    if let Some(release) = running
        .versions
        .last()
        .and_then(|version| catalogue.release(version))
    {
        return Ok(release);
    }
    let mut newest_first = catalogue.releases().iter().rev();
    let start = newest_first.find(|release| {
        let order = Flux::of_release(release).compare(running);
        order.is_some_and(Ordering::is_le)
    });
    start.ok_or_else(|| Unplanned::Unplaced(running.to_string()))
}

/// True if a live CRD stores an older version than the running release's, as after a refused CRD or
/// with a chart whose CRDs Helm never upgrades.
pub(super) fn is_behind(facts: &Facts, running: &FluxRelease) -> bool {
    running.crds.iter().any(|crd| {
        let live = facts.definition(&crd.name).and_then(Object::definition);
        let stored = live.and_then(Definition::storage);
        let new = crd.definition();
        let ahead = new.storage();
        stored
            .zip(ahead)
            .is_some_and(|(stored, ahead)| compare(stored, ahead).is_lt())
    })
}

/// The releases to install, in order: the newest patch of each minor, then the target. An older
/// target is one step. With `prefers_charts`, a patch that a chart carries comes before a newer one.
pub(super) fn releases<'a>(
    catalogue: &'a Catalogue,
    running: &Flux,
    target: &'a FluxRelease,
    prefers_charts: bool,
) -> Vec<&'a FluxRelease> {
    if Flux::of_release(target).compare(running) == Some(Ordering::Equal) {
        return Vec::new();
    }
    let Ok(start) = start(running, catalogue) else {
        return vec![target];
    };
    let mut releases: Vec<&FluxRelease> = Vec::new();
    for release in catalogue.releases() {
        let is_between = minor(release) > minor(start) && minor(release) < minor(target);
        if !is_between {
            continue;
        }
        match releases.last_mut() {
            Some(last) if minor(last) == minor(release) => {
                if !prefers_charts || !release.charts.is_empty() || last.charts.is_empty() {
                    *last = release;
                }
            }
            _ => releases.push(release),
        }
    }
    releases.push(target);
    releases
}

fn minor(release: &FluxRelease) -> (u64, u64) {
    (release.version.major, release.version.minor)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use semver::Version;

    fn path(from: &str, to: &str, prefers_charts: bool) -> Vec<String> {
        let catalogue = Catalogue::built_in();
        let release = |text: &str| {
            catalogue
                .release(&text.parse::<Version>().unwrap())
                .unwrap()
        };
        let running = Flux::of_release(release(from));
        releases(catalogue, &running, release(to), prefers_charts)
            .iter()
            .map(|release| release.version.to_string())
            .collect()
    }

    #[test]
    fn each_minor_is_passed_at_its_newest_patch() {
        assert_eq!(
            path("2.5.1", "2.9.4", false),
            ["2.6.4", "2.7.5", "2.8.8", "2.9.4"]
        );
    }

    #[test]
    fn a_chart_counts_more_than_a_newer_patch_if_a_chart_is_installed() {
        assert_eq!(path("2.7.5", "2.9.4", true), ["2.8.5", "2.9.4"]);
    }

    #[test]
    fn another_patch_an_older_release_and_the_running_one_pass_no_minor() {
        assert_eq!(path("2.5.0", "2.5.1", false), ["2.5.1"]);
        assert_eq!(path("2.8.8", "2.4.0", false), ["2.4.0"]);
        assert_eq!(path("2.8.8", "2.8.8", false), Vec::<String>::new());
    }

    #[test]
    fn a_flux_outside_the_catalogue_starts_at_the_newest_release_that_is_not_newer() {
        let mut running = Flux::of_release(Catalogue::built_in().newest().unwrap());
        running.versions.clear();
        for version in running.controllers.values_mut() {
            version.patch += 50;
        }
        let start = start(&running, Catalogue::built_in()).unwrap();
        assert_eq!(start, Catalogue::built_in().newest().unwrap());
    }
}
