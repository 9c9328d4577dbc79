//! The stable releases of Flux: their names, charts, controllers and CRDs.
//!
//! The catalogue maps names (controller image ↔ Flux release ↔ community chart) and predicts
//! without a cluster. Observed facts always count more. A Flux outside the catalogue still works.
//! The policy holds the catalogue, so a newer file needs no new fluxkeep.
//!
//! `releases.json` has an entry for each release, oldest first. An entry has the Helm SDK of its
//! helm-controller, the `flux2` chart versions of the community that contain it, and its
//! controllers. It also has the CRDs that differ from the release before. A CRD has its kind, then
//! its versions: `*` marks the stored version, `-` a version that is not served. A removed CRD has
//! an empty list. `make catalogue` adds new releases. Sources: the Go modules of Flux, the release
//! manifests of fluxcd/flux2, and the index of fluxcd-community/helm-charts.

pub mod fields;
mod installers;

pub use installers::{Installer, InstallerReleases};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use semver::Version;
use serde::Deserialize;

use crate::crd;

const DATA: &str = include_str!("releases.json");

/// Every release that fluxkeep knows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    releases: Vec<FluxRelease>,
}

/// A stable release of Flux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FluxRelease {
    /// For example `2.4.0`.
    pub version: Version,
    /// The version of the Helm SDK in its helm-controller.
    pub helm: Version,
    /// The versions of the community's chart `flux2` that contain the release.
    pub charts: Vec<Version>,
    /// The controllers, ordered by name.
    pub controllers: Vec<Controller>,
    /// The CRDs, ordered by name.
    pub crds: Vec<Offer>,
}

/// A controller and its version, which is its image's tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// For example `helm-controller`.
    pub name: String,
    /// For example `1.1.0`.
    pub version: Version,
}

/// A CRD as a release ships it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// For example `buckets.source.toolkit.fluxcd.io`.
    pub name: String,
    /// For example `Bucket`.
    pub kind: String,
    /// The versions of the CRD.
    pub versions: Vec<crd::Version>,
}

impl Catalogue {
    /// The catalogue that fluxkeep was built with. The policy's engine holds the catalogue in use.
    #[must_use]
    pub fn built_in() -> &'static Arc<Self> {
        static BUILT_IN: LazyLock<Arc<Catalogue>> =
            LazyLock::new(|| Arc::new(Catalogue::read(DATA).unwrap_or_default()));
        &BUILT_IN
    }

    /// The releases, oldest first.
    #[must_use]
    pub fn releases(&self) -> &[FluxRelease] {
        &self.releases
    }

    /// The newest known release.
    #[must_use]
    pub fn newest(&self) -> Option<&FluxRelease> {
        self.releases.last()
    }

    /// The release of this version.
    #[must_use]
    pub fn release(&self, version: &Version) -> Option<&FluxRelease> {
        self.releases
            .iter()
            .find(|release| release.version == *version)
    }

    /// The newest release with this version, or whose version begins with it: `2.9` or `v2.9.4`.
    #[must_use]
    pub fn named(&self, version: &str) -> Option<&FluxRelease> {
        let version = version.trim_start_matches('v');
        let is_meant = |release: &&FluxRelease| {
            let full = release.version.to_string();
            full == version || full.starts_with(&format!("{version}."))
        };
        self.releases.iter().rev().find(is_meant)
    }

    /// The release that a version of the community's chart `flux2` contains.
    #[must_use]
    pub fn of_chart(&self, chart: &Version) -> Option<&FluxRelease> {
        self.releases
            .iter()
            .find(|release| release.charts.contains(chart))
    }

    /// The CRDs of a release that lack the version in which a fresh earlier or later release stores
    /// objects: the apiserver refuses them. Empty if a release is not known.
    #[must_use]
    pub fn lost(&self, from: &Version, to: &Version) -> Vec<String> {
        let (Some(from), Some(to)) = (self.release(from), self.release(to)) else {
            return Vec::new();
        };
        let mut names = Vec::new();
        for crd in &from.crds {
            let stored = crd.versions.iter().find(|version| version.storage);
            let (Some(stored), Some(new)) = (stored, to.crd(&crd.name)) else {
                continue;
            };
            if !new
                .versions
                .iter()
                .any(|version| version.name == stored.name)
            {
                names.push(crd.name.clone());
            }
        }
        names
    }

    /// The catalogue with more versions of the chart `flux2`. A chart of an unknown release is left
    /// out.
    #[must_use]
    pub fn with_charts(&self, charts: &BTreeMap<Version, Version>) -> Self {
        let mut catalogue = self.clone();
        for (chart, flux) in charts {
            let mut releases = catalogue.releases.iter_mut();
            if let Some(release) = releases.find(|release| release.version == *flux) {
                release.charts.push(chart.clone());
            }
        }
        catalogue
    }

    /// The way to a release that lacks a version that another stores: the last release that still
    /// offers all of them, then a migration. An older release has no way.
    #[must_use]
    pub fn way_past(&self, from: &Version, to: &Version) -> String {
        if to < from {
            return format!("Name Flux {from} or newer");
        }
        let releases = self.releases.iter().map(|release| &release.version);
        let safe = releases
            .filter(|one| *one < to && *one > from)
            .filter(|one| self.lost(from, one).is_empty())
            .max();
        let first = safe.map_or("First ".to_owned(), |safe| {
            format!("Move to {safe} first, then ")
        });
        format!("{first}migrate the stored objects:\nfluxkeep migrate")
    }

    /// Reads a catalogue's file.
    ///
    /// # Errors
    /// At the first invalid entry, with its line and column. Also without any release, or if
    /// releases are not in ascending order.
    pub fn read(data: &str) -> Result<Self, InvalidCatalogue> {
        let entries: Vec<Entry> = serde_json::from_str(data).map_err(|error| invalid(&error))?;
        if entries.is_empty() {
            return Err(InvalidCatalogue::whole("the catalogue names no release"));
        }
        let mut pairs = entries.iter().zip(entries.iter().skip(1));
        if let Some((_, late)) = pairs.find(|(early, late)| early.version >= late.version) {
            let message = format!("{} is not newer than the release before it", late.version);
            return Err(InvalidCatalogue::whole(&message));
        }
        let mut crds = BTreeMap::new();
        let releases = entries
            .into_iter()
            .map(|entry| entry.release(&mut crds))
            .collect();
        Ok(Self { releases })
    }
}

/// Prints no releases: every policy contains the catalogue.
impl fmt::Debug for Catalogue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let newest = self.newest().map(|release| release.version.to_string());
        out.debug_struct("Catalogue")
            .field("newest", &newest)
            .finish_non_exhaustive()
    }
}

impl FluxRelease {
    /// The CRD of this name, if the release has it.
    #[must_use]
    pub fn crd(&self, name: &str) -> Option<&Offer> {
        self.crds.iter().find(|crd| crd.name == name)
    }
}

impl Offer {
    /// The definition that a cluster would receive; nothing is stored yet.
    #[must_use]
    pub fn definition(&self) -> crd::Definition {
        let (plural, group) = self.name.split_once('.').unwrap_or((&self.name, ""));
        crd::Definition {
            group: group.to_owned(),
            kind: self.kind.clone(),
            plural: plural.to_owned(),
            scope: "Namespaced".to_owned(),
            versions: self.versions.clone(),
            ..crd::Definition::default()
        }
    }
}

/// The error for a file that is not a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}, column {column}: {message}; `make catalogue` in fluxkeep's repository writes such a file"
)]
pub struct InvalidCatalogue {
    /// Line, from 1; 0 for the whole file.
    pub line: usize,
    /// Column, from 1; 0 for the whole file.
    pub column: usize,
    /// The defect.
    pub message: String,
}

impl InvalidCatalogue {
    fn whole(message: &str) -> Self {
        Self {
            line: 0,
            column: 0,
            message: message.to_owned(),
        }
    }
}

fn invalid(error: &serde_json::Error) -> InvalidCatalogue {
    let text = error.to_string();
    // `serde_json` appends the place to its message; `InvalidCatalogue` has the place in front.
    let message = text.split(" at line ").next().unwrap_or_default();
    InvalidCatalogue {
        line: error.line(),
        column: error.column(),
        message: message.to_owned(),
    }
}

#[derive(Deserialize)]
struct Entry {
    version: Version,
    helm: Version,
    charts: Vec<Version>,
    controllers: BTreeMap<String, Version>,
    #[serde(default)]
    crds: BTreeMap<String, Vec<String>>,
}

impl Entry {
    /// The release, after its changes are applied to the CRDs of the release before.
    fn release(self, crds: &mut BTreeMap<String, Vec<String>>) -> FluxRelease {
        crds.extend(self.crds);
        let controllers = self.controllers.into_iter();
        FluxRelease {
            version: self.version,
            helm: self.helm,
            charts: self.charts,
            controllers: controllers
                .map(|(name, version)| Controller { name, version })
                .collect(),
            crds: crds
                .iter()
                .filter_map(|(name, words)| offer(name, words))
                .collect(),
        }
    }
}

fn offer(name: &str, words: &[String]) -> Option<Offer> {
    let (kind, versions) = words.split_first()?;
    let version = |word: &String| crd::Version {
        name: word.trim_end_matches(['*', '-']).to_owned(),
        served: !word.trim_end_matches('*').ends_with('-'),
        storage: word.ends_with('*'),
        schema: crd::Schema::Full,
        status: true,
    };
    let versions = versions.iter().map(version).collect();
    Some(Offer {
        name: name.to_owned(),
        kind: kind.clone(),
        versions,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::flux::engine::{CORE, is_controller, is_flux_group};

    fn releases() -> Vec<FluxRelease> {
        Catalogue::read(DATA).unwrap().releases
    }

    #[test]
    fn the_built_in_data_is_readable_and_ordered() {
        assert_eq!(Catalogue::built_in().releases(), releases());
        assert!(releases().is_sorted_by(|left, right| left.version < right.version));
        assert_eq!(releases().len(), 39);
    }

    #[test]
    fn what_is_no_catalogue_is_refused_with_its_place() {
        let refused = |text: &str| Catalogue::read(text).unwrap_err().to_string();
        let text = refused("[\n  {\"version\": \"2.x\"}]");
        assert!(text.starts_with("line 2, column "), "{text}");
        assert!(text.contains("make catalogue"), "{text}");
        assert!(!text.contains(" at line "), "{text}");
        assert!(refused("[]").contains("no release"));
        let twice = DATA
            .trim_end()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let text = refused(&format!("[{twice},{twice}]"));
        assert!(text.contains("2.0.0 is not newer"), "{text}");
    }

    #[test]
    fn every_release_has_the_core_controllers_and_no_strange_one() {
        for release in releases() {
            let names: Vec<_> = release
                .controllers
                .iter()
                .map(|one| one.name.as_str())
                .collect();
            assert!(
                CORE.iter().all(|core| names.contains(core)),
                "{}",
                release.version
            );
            assert!(
                names.iter().all(|name| is_controller(name)),
                "{}",
                release.version
            );
        }
    }

    #[test]
    fn every_crd_stores_exactly_one_version() {
        for crd in releases().into_iter().flat_map(|release| release.crds) {
            assert!(is_flux_group(&crd.name), "{}", crd.name);
            assert_eq!(
                crd.versions
                    .iter()
                    .filter(|version| version.storage)
                    .count(),
                1
            );
        }
    }

    #[test]
    fn no_chart_carries_two_releases() {
        let mut charts: Vec<_> = releases().into_iter().flat_map(|one| one.charts).collect();
        charts.sort();
        assert!(charts.is_sorted_by(|left, right| left < right));
    }

    #[test]
    fn the_incident_is_in_it() {
        let chart = Catalogue::built_in()
            .of_chart(&Version::new(2, 13, 0))
            .unwrap();
        let bucket = |release: &FluxRelease| {
            let crd = release
                .crds
                .iter()
                .find(|crd| crd.kind == "Bucket")
                .unwrap();
            crd.definition().storage().unwrap().to_owned()
        };
        let running = Catalogue::built_in()
            .release(&Version::new(2, 4, 0))
            .unwrap();
        assert_eq!(chart.version, Version::new(2, 3, 0));
        assert_eq!(
            (bucket(chart).as_str(), bucket(running).as_str()),
            ("v1beta2", "v1")
        );
    }
}
