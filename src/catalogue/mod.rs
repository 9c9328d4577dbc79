//! The stable releases of Flux: what names which, and what each offers.
//!
//! It only maps names (controller image ↔ Flux release ↔ community chart) and predicts where there
//! is no cluster; what can be seen always counts more. A Flux that is not in it still works.
//!
//! `releases.json` has one entry a release, oldest first: the Helm SDK that its helm-controller is
//! built with, the versions of the community's chart `flux2` that carry it, its controllers, and of
//! its CRDs those that differ from the release before: kind, then versions, the stored one starred.
//! Sources: the release manifests of fluxcd/flux2 and the index of fluxcd-community/helm-charts.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use semver::Version;
use serde::Deserialize;

use crate::crd;

const DATA: &str = include_str!("releases.json");

/// Every release that fluxkeep knows.
#[derive(Debug, Default)]
pub struct Catalogue {
    releases: Vec<Release>,
}

/// One stable release of Flux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// For example `2.4.0`.
    pub version: Version,
    /// The Helm SDK that its helm-controller is built with.
    pub helm: Version,
    /// The versions of the community's chart `flux2` that carry it.
    pub charts: Vec<Version>,
    /// Its controllers, ordered by name.
    pub controllers: Vec<Controller>,
    /// Its CRDs, ordered by name.
    pub crds: Vec<Offer>,
}

/// A controller and its own version, which is its image's tag.
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
    /// Its versions; every one of them is served.
    pub versions: Vec<crd::Version>,
}

impl Catalogue {
    /// The catalogue that fluxkeep was built with.
    #[must_use]
    pub fn built_in() -> &'static Self {
        static BUILT_IN: LazyLock<Catalogue> =
            LazyLock::new(|| Catalogue::read(DATA).unwrap_or_default());
        &BUILT_IN
    }

    /// Its releases, oldest first.
    #[must_use]
    pub fn releases(&self) -> &[Release] {
        &self.releases
    }

    /// The newest release that it knows.
    #[must_use]
    pub fn newest(&self) -> Option<&Release> {
        self.releases.last()
    }

    /// The release of this version.
    #[must_use]
    pub fn release(&self, version: &Version) -> Option<&Release> {
        self.releases
            .iter()
            .find(|release| release.version == *version)
    }

    /// The release that a version of the community's chart `flux2` carries.
    #[must_use]
    pub fn of_chart(&self, chart: &Version) -> Option<&Release> {
        self.releases
            .iter()
            .find(|release| release.charts.contains(chart))
    }

    fn read(data: &str) -> serde_json::Result<Self> {
        let entries: Vec<Entry> = serde_json::from_str(data)?;
        let mut crds = BTreeMap::new();
        let releases = entries
            .into_iter()
            .map(|entry| entry.release(&mut crds))
            .collect();
        Ok(Self { releases })
    }
}

impl Release {
    /// The CRD of this name, if the release has it.
    #[must_use]
    pub fn crd(&self, name: &str) -> Option<&Offer> {
        self.crds.iter().find(|crd| crd.name == name)
    }
}

impl Offer {
    /// As a definition that a cluster could be asked to take; nothing is stored yet.
    #[must_use]
    pub fn definition(&self) -> crd::Definition {
        let (plural, group) = self.name.split_once('.').unwrap_or((&self.name, ""));
        crd::Definition {
            group: group.to_owned(),
            kind: self.kind.clone(),
            plural: plural.to_owned(),
            scope: "Namespaced".to_owned(),
            versions: self.versions.clone(),
            stored: Vec::new(),
        }
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
    /// The release, given the CRDs of the release before, which are brought up to date.
    fn release(self, crds: &mut BTreeMap<String, Vec<String>>) -> Release {
        crds.extend(self.crds);
        let controllers = self.controllers.into_iter();
        Release {
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
        name: word.trim_end_matches('*').to_owned(),
        served: true,
        storage: word.ends_with('*'),
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
    use crate::engine::{CORE, is_controller, is_flux_group};

    fn releases() -> Vec<Release> {
        Catalogue::read(DATA).unwrap().releases
    }

    #[test]
    fn the_built_in_data_is_readable_and_ordered() {
        assert_eq!(Catalogue::built_in().releases(), releases());
        assert!(releases().is_sorted_by(|left, right| left.version < right.version));
        assert_eq!(releases().len(), 38);
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
        let bucket = |release: &Release| {
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
