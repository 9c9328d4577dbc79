//! Which Flux: the version of a running or an offered installation, told by its controllers.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use semver::{BuildMetadata, Prerelease, Version};

use crate::catalogue::{Catalogue, Release};
use crate::engine;
use crate::helm::range;
use crate::object::Object;

/// A Flux installation: the releases that its controllers fit, and the controllers themselves.
///
/// A release that the catalogue does not know has no version here and is still compared,
/// controller by controller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flux {
    /// The releases that ship exactly these controllers, oldest first; empty when unknown.
    pub versions: Vec<Version>,
    /// Version by controller name.
    pub controllers: BTreeMap<String, Version>,
}

impl Flux {
    /// Reads the controllers off the images of Deployments. None when there is no controller. Of one
    /// that runs in several versions, as shards may, the oldest counts.
    pub fn of<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Option<Self> {
        let images = objects.into_iter().flat_map(Object::images);
        let mut controllers = BTreeMap::<String, Version>::new();
        for (name, version) in images.filter_map(|image| controller(image)) {
            let known = controllers.entry(name).or_insert_with(|| version.clone());
            *known = version.min(known.clone());
        }
        (!controllers.is_empty()).then(|| Self {
            versions: fitting(&controllers),
            controllers,
        })
    }

    /// What a release of the catalogue consists of.
    #[must_use]
    pub fn of_release(release: &Release) -> Self {
        let one = |controller: &crate::catalogue::Controller| {
            (controller.name.clone(), controller.version.clone())
        };
        let controllers = release.controllers.iter().map(one).collect();
        Self {
            versions: vec![release.version.clone()],
            controllers,
        }
    }

    /// A Flux known by its version alone; the catalogue adds the controllers where it can.
    #[must_use]
    pub fn of_version(version: &Version) -> Self {
        let unknown = || Self {
            versions: vec![version.clone()],
            controllers: BTreeMap::new(),
        };
        Catalogue::built_in()
            .release(version)
            .map_or_else(unknown, Self::of_release)
    }

    /// The newest version of the community's chart that carries it, where one release fits alone.
    #[must_use]
    pub fn chart(&self) -> Option<&'static Version> {
        let [only] = self.versions.as_slice() else {
            return None;
        };
        Catalogue::built_in().release(only)?.charts.last()
    }

    /// How this installation stands to another: by controllers that both have, else by version.
    /// None when neither tells.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        self.by_controllers(other)
            .or_else(|| self.by_version(other))
    }

    /// The minor that it is of, where every release that fits agrees.
    #[must_use]
    pub fn minor(&self) -> Option<(u64, u64)> {
        let minor = |version: &Version| (version.major, version.minor);
        let first = self.versions.first().map(minor)?;
        self.versions
            .iter()
            .all(|version| minor(version) == first)
            .then_some(first)
    }

    /// One controller that is older counts more than another that is newer: the move down is what
    /// breaks.
    fn by_controllers(&self, other: &Self) -> Option<Ordering> {
        let pairs = self.controllers.iter();
        pairs
            .filter_map(|(name, version)| Some(version.cmp(other.controllers.get(name)?)))
            .reduce(|left, right| match (left, right) {
                (Ordering::Less, _) | (_, Ordering::Less) => Ordering::Less,
                (Ordering::Equal, other) | (other, _) => other,
            })
    }

    fn by_version(&self, other: &Self) -> Option<Ordering> {
        if self
            .versions
            .iter()
            .any(|version| other.versions.contains(version))
        {
            return Some(Ordering::Equal);
        }
        Some(self.versions.last()?.cmp(other.versions.first()?))
    }
}

impl fmt::Display for Flux {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.versions.as_slice(), self.controllers.iter().next()) {
            ([only], _) => write!(out, "Flux {only}"),
            ([first, .., last], _) => write!(out, "Flux {first} to {last}"),
            ([], Some((name, version))) => {
                write!(out, "an unknown Flux with {name} {version}")
            }
            ([], None) => out.write_str("an unknown Flux"),
        }
    }
}

/// The controller and its version that an image names: the last segment of its repository, and its
/// tag. A mirror keeps both; who builds the image anew puts the project's name before it.
fn controller(image: &str) -> Option<(String, Version)> {
    let tagged = image
        .split_once('@')
        .map_or(image, |(tagged, _digest)| tagged);
    let last = tagged.rsplit('/').next()?;
    let (name, tag) = last.split_once(':')?;
    let name = ["flux-", "fluxcd-"]
        .iter()
        .find_map(|project| name.strip_prefix(project))
        .unwrap_or(name);
    engine::is_controller(name).then_some(())?;
    Some((name.to_owned(), released(range::version(tag)?)))
}

/// A mirror's variant, like `v1.4.1-fips`, is the version that it was built from; Flux's own
/// pre-releases come before theirs.
fn released(version: Version) -> Version {
    let own = ["rc", "beta", "alpha"]
        .iter()
        .any(|stage| version.pre.starts_with(stage));
    if own {
        version
    } else {
        Version {
            pre: Prerelease::EMPTY,
            build: BuildMetadata::EMPTY,
            ..version
        }
    }
}

/// The releases of the catalogue that ship every one of these controllers.
fn fitting(controllers: &BTreeMap<String, Version>) -> Vec<Version> {
    let ships = |release: &&Release| {
        let has = |name: &String, version: &Version| {
            release
                .controllers
                .iter()
                .any(|one| one.name == *name && one.version == *version)
        };
        controllers.iter().all(|(name, version)| has(name, version))
    };
    let releases = Catalogue::built_in().releases().iter();
    releases
        .filter(ships)
        .map(|release| release.version.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::{Body, Workload};

    fn flux(images: &[&str]) -> Option<Flux> {
        let images = images.iter().map(|image| (*image).to_owned()).collect();
        let body = Body::Workload(Workload {
            images,
            ..Workload::default()
        });
        Flux::of(&[Object {
            body,
            ..Object::default()
        }])
    }

    #[test]
    fn images_tell_the_release_whatever_registry_they_come_from() {
        for image in [
            "ghcr.io/fluxcd/helm-controller:v1.1.0",
            "mirror.example.org:5000/x/helm-controller:v1.1.0@sha256:0123",
            "helm-controller:1.1.0-fips",
            "cgr.dev/chainguard/flux-helm-controller:1.1.0",
            "docker.io/bitnami/fluxcd-helm-controller:1.1.0-debian-12-r4",
        ] {
            assert_eq!(flux(&[image]).unwrap().to_string(), "Flux 2.4.0", "{image}");
        }
        assert_eq!(
            flux(&[
                "nginx:1.27",
                "helm-controller",
                "helm-controller@sha256:0123"
            ]),
            None
        );
    }

    #[test]
    fn several_patches_may_fit_and_an_unknown_one_is_named_by_its_controller() {
        assert_eq!(
            flux(&["notification-controller:v1.2.4"])
                .unwrap()
                .to_string(),
            "Flux 2.2.3"
        );
        let unknown = flux(&["source-controller:v99.0.0"]).unwrap();
        assert_eq!(
            unknown.to_string(),
            "an unknown Flux with source-controller 99.0.0"
        );
        assert_eq!(unknown.minor(), None);
    }

    #[test]
    fn of_a_controller_in_several_versions_the_oldest_counts() {
        for images in [
            ["helm-controller:v1.0.1", "helm-controller:v1.1.0"],
            ["helm-controller:v1.1.0", "helm-controller:v1.0.1"],
        ] {
            assert_eq!(flux(&images).unwrap().to_string(), "Flux 2.3.0");
        }
    }

    #[test]
    fn one_older_controller_makes_the_whole_older() {
        let running = flux(&["helm-controller:v1.1.0", "source-controller:v1.4.1"]).unwrap();
        let mixed = flux(&["helm-controller:v1.0.1", "source-controller:v99.0.0"]).unwrap();
        let newer = flux(&["helm-controller:v1.1.0", "source-controller:v99.0.0"]).unwrap();
        assert_eq!(mixed.compare(&running), Some(Ordering::Less));
        assert_eq!(newer.compare(&running), Some(Ordering::Greater));
        assert_eq!(running.compare(&running), Some(Ordering::Equal));
        assert_eq!(
            flux(&["kustomize-controller:v99.0.0"])
                .unwrap()
                .compare(&running),
            None
        );
        assert_eq!(
            Flux::of_version(&Version::new(2, 3, 0)).compare(&running),
            Some(Ordering::Less)
        );
    }
}
