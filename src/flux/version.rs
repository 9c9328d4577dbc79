//! The version of a running or offered Flux, according to its controllers.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use semver::{BuildMetadata, Prerelease, Version};

use crate::flux::catalogue::{Catalogue, FluxRelease};
use crate::flux::engine;
use crate::helm::range;
use crate::object::{Body, Object};

/// A Flux installation: its controllers, and the releases that ship them.
///
/// A release outside the catalogue has no version here. It is still compared, controller by
/// controller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flux {
    /// The releases that ship all these controllers at these versions, oldest first; may be empty.
    pub versions: Vec<Version>,
    /// Version by controller name.
    pub controllers: BTreeMap<String, Version>,
}

impl Flux {
    /// Reads the controllers from workloads' images. `None` if no image tells a version. If a
    /// controller runs in several versions, like shards may, the oldest counts.
    pub fn of<'a>(
        objects: impl IntoIterator<Item = &'a Object>,
        catalogue: &Catalogue,
    ) -> Option<Self> {
        let mut controllers = BTreeMap::<String, Version>::new();
        for (name, version) in objects.into_iter().flat_map(controllers_of) {
            let Some(version) = version else {
                continue;
            };
            let known = controllers
                .entry(name.to_owned())
                .or_insert_with(|| version.clone());
            *known = version.min(known.clone());
        }
        (!controllers.is_empty()).then(|| Self {
            versions: fitting(&controllers, catalogue),
            controllers,
        })
    }

    /// The Flux of a catalogue release.
    #[must_use]
    pub fn of_release(release: &FluxRelease) -> Self {
        let one = |controller: &crate::flux::catalogue::Controller| {
            (controller.name.clone(), controller.version.clone())
        };
        let controllers = release.controllers.iter().map(one).collect();
        Self {
            versions: vec![release.version.clone()],
            controllers,
        }
    }

    /// A Flux known by its version alone. The catalogue adds the controllers if possible.
    #[must_use]
    pub fn of_version(version: &Version, catalogue: &Catalogue) -> Self {
        let unknown = || Self {
            versions: vec![version.clone()],
            controllers: BTreeMap::new(),
        };
        catalogue
            .release(version)
            .map_or_else(unknown, Self::of_release)
    }

    /// The newest version of the community's chart with this Flux, if exactly one release fits.
    #[must_use]
    pub fn chart<'a>(&self, catalogue: &'a Catalogue) -> Option<&'a Version> {
        let [only] = self.versions.as_slice() else {
            return None;
        };
        catalogue.release(only)?.charts.last()
    }

    /// Compares two installations: by controllers that both have, else by version. `None` if
    /// neither is possible.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        self.by_controllers(other)
            .or_else(|| self.by_version(other))
    }

    /// The minor version, if all fitting releases agree.
    #[must_use]
    pub fn minor(&self) -> Option<(u64, u64)> {
        let minor = |version: &Version| (version.major, version.minor);
        let first = self.versions.first().map(minor)?;
        self.versions
            .iter()
            .all(|version| minor(version) == first)
            .then_some(first)
    }

    /// An older controller outweighs a newer one: the downgrade is the part that breaks.
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
                write!(out, "Flux with {name} {version}")
            }
            ([], None) => out.write_str("Flux of unknown version"),
        }
    }
}

/// The controllers that a workload's images name, each with its version. The version is `None` for
/// an image by digest alone, or if the tag is not a version.
pub fn controllers_of(
    object: &Object,
) -> impl Iterator<Item = (&'static str, Option<Version>)> + '_ {
    let images = object.images().iter();
    images.filter_map(|image| controller(image, &object.name))
}

/// True if a workload runs a controller of Flux: by an image, by its own name, or by the label and
/// a name that contains a controller's.
#[must_use]
pub fn runs_controller(object: &Object) -> bool {
    let is_workload = matches!(object.body, Body::Workload(_));
    let is_named = engine::is_controller(&object.name)
        || engine::is_labelled(object) && engine::controller_in(&object.name).is_some();
    is_workload && (is_named || controllers_of(object).next().is_some())
}

/// True if a workload's images do not tell the version of every controller.
#[must_use]
pub fn is_untold(object: &Object) -> bool {
    let mut told = controllers_of(object).peekable();
    told.peek().is_none() || told.any(|(_, version)| version.is_none())
}

/// True for an image of the Flux project or a declared rebuild. `fluxcd` is then a segment of its
/// repository, or the project's name precedes the controller's.
#[must_use]
pub fn is_official(image: &str) -> bool {
    let Some((name, _)) = name_and_tag(image) else {
        return false;
    };
    let is_rebuilt = engine::is_controller(unprefixed(name)) && !engine::is_controller(name);
    let is_project = image.split('/').any(|segment| segment == "fluxcd");
    is_rebuilt || is_project && engine::is_controller(name)
}

/// The controller that a workload's image names, with its version if the tag tells it.
///
/// A mirror keeps the repository's last segment and the tag. A rebuild adds the project's name as a
/// prefix. A mirror with a single repository puts the controller into the tag. With any other
/// prefix the workload's name must match, too: `my-helm-controller` is no controller of Flux.
#[must_use]
pub fn controller(image: &str, workload: &str) -> Option<(&'static str, Option<Version>)> {
    let (name, tag) = name_and_tag(image)?;
    let by_workload = || {
        let known = engine::controller(workload)?;
        let prefix = name.strip_suffix(known)?;
        prefix.ends_with(['-', '_', '.']).then_some(known)
    };
    let known = engine::controller(unprefixed(name))
        .or_else(|| by_tag(tag))
        .or_else(by_workload)?;
    let own = tag.strip_prefix(known).unwrap_or(tag);
    let version = range::version(own.trim_start_matches('-'));
    Some((known, version.map(released)))
}

/// The last segment of an image's repository, and its tag without the digest; the tag may be empty.
fn name_and_tag(image: &str) -> Option<(&str, &str)> {
    let tagged = image.split('@').next()?;
    let last = tagged.rsplit('/').next()?;
    Some(last.split_once(':').unwrap_or((last, "")))
}

fn unprefixed(name: &str) -> &str {
    let mut projects = ["flux-", "fluxcd-"].iter();
    projects
        .find_map(|project| name.strip_prefix(project))
        .unwrap_or(name)
}

/// The controller at the start of a tag like `source-controller-v1.4.1`.
fn by_tag(tag: &str) -> Option<&'static str> {
    let known = engine::controller_in(tag)?;
    tag.strip_prefix(known)?.starts_with('-').then_some(known)
}

/// A mirror's variant, like `v1.4.1-fips`, counts as the version from which it was built. Flux's
/// own pre-releases stay pre-releases.
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

/// The catalogue releases that ship every one of these controllers.
fn fitting(controllers: &BTreeMap<String, Version>, catalogue: &Catalogue) -> Vec<Version> {
    let ships = |release: &&FluxRelease| {
        let has = |name: &String, version: &Version| {
            release
                .controllers
                .iter()
                .any(|one| one.name == *name && one.version == *version)
        };
        controllers.iter().all(|(name, version)| has(name, version))
    };
    let releases = catalogue.releases().iter();
    releases
        .filter(ships)
        .map(|release| release.version.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::Workload;

    fn flux(images: &[&str]) -> Option<Flux> {
        let images = images.iter().map(|image| (*image).to_owned()).collect();
        let body = Body::Workload(Workload {
            images,
            ..Workload::default()
        });
        let object = Object {
            body,
            ..Object::default()
        };
        Flux::of(&[object], Catalogue::built_in())
    }

    #[test]
    fn images_tell_the_release_whatever_registry_they_come_from() {
        for image in [
            "ghcr.io/fluxcd/helm-controller:v1.1.0",
            "mirror.example.org:5000/x/helm-controller:v1.1.0@sha256:0123",
            "helm-controller:1.1.0-fips",
            "cgr.dev/chainguard/flux-helm-controller:1.1.0",
            "docker.io/bitnami/fluxcd-helm-controller:1.1.0-debian-12-r4",
            "mirror.example.org/flux:helm-controller-v1.1.0",
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
            "Flux with source-controller 99.0.0",
            "it stands behind words like `the running`"
        );
        assert_eq!(unknown.minor(), None);
    }

    fn named(name: &str, image: &str) -> Object {
        let images = vec![image.to_owned()];
        let body = Body::Workload(Workload {
            images,
            ..Workload::default()
        });
        Object {
            name: name.to_owned(),
            body,
            ..Object::default()
        }
    }

    #[test]
    fn behind_a_foreign_prefix_the_workload_names_the_controller() {
        let told = |name, image| {
            Flux::of(&[named(name, image)], Catalogue::built_in()).map(|flux| flux.to_string())
        };
        let image = "mirror.example.org/gitops-helm-controller:v1.1.0";
        assert_eq!(
            told("helm-controller", image).as_deref(),
            Some("Flux 2.4.0")
        );
        assert_eq!(told("my-helm-controller", image), None);
        assert_eq!(told("helm-controller", "myhelm-controller:v1.1.0"), None);
    }

    #[test]
    fn a_controller_without_a_version_is_a_controller_all_the_same() {
        for (name, image) in [
            ("a", "mirror.example.org/helm-controller@sha256:0123"),
            ("a", "helm-controller:latest"),
            ("helm-controller", "mirror.example.org/hc:v1.1.0"),
        ] {
            let object = named(name, image);
            assert!(
                runs_controller(&object) && is_untold(&object),
                "{name} {image}"
            );
            assert_eq!(
                Flux::of(&[object], Catalogue::built_in()),
                None,
                "{name} {image}"
            );
        }
        let told = named("a", "helm-controller:v1.1.0@sha256:0123");
        assert!(runs_controller(&told) && !is_untold(&told));
        let stranger = named(
            "my-helm-controller",
            "example.org/my-helm-controller:v1.1.0",
        );
        assert!(!runs_controller(&stranger));
    }

    #[test]
    fn an_image_is_the_projects_by_its_repository_or_its_prefix() {
        for (image, expected) in [
            ("ghcr.io/fluxcd/helm-controller:v1.1.0", true),
            (
                "mirror.example.org/ghcr.io/fluxcd/helm-controller@sha256:0123",
                true,
            ),
            ("cgr.dev/chainguard/flux-helm-controller:1.1.0", true),
            ("rancher/helm-controller:v0.16.5", false),
            ("ghcr.io/fluxcd/podinfo:6.0.0", false),
        ] {
            assert_eq!(is_official(image), expected, "{image}");
        }
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
            Flux::of_version(&Version::new(2, 3, 0), Catalogue::built_in()).compare(&running),
            Some(Ordering::Less)
        );
    }
}
