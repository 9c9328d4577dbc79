//! The Flux releases that a pin's version comes to.

use std::fmt;

use semver::Version;

use super::pin::Scale;
use crate::flux::catalogue::{Catalogue, FluxRelease, Installer};
use crate::helm::range::{self, Range};

/// The release or releases that a written version resolves to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comes {
    /// One Flux release.
    One(Version),
    /// A range of versions.
    Range {
        /// The known Flux releases that it may be, oldest first; never empty.
        releases: Vec<Version>,
        /// The release that it comes to today.
        today: Version,
    },
    /// Any version, newest first: a branch, `latest`, or no version.
    Floating {
        /// The newest known release.
        today: Option<Version>,
    },
    /// Unknown, with the reason.
    Unknown(UnknownFlux),
}

/// The reason why a pin's Flux release is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnknownFlux {
    /// Every release of the range is newer than its flux-operator's newest.
    BeyondOperator {
        /// The newest Flux that the operator installs.
        newest: Version,
    },
    /// Another reason, in words.
    Other(String),
}

impl fmt::Display for UnknownFlux {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeyondOperator { newest } => {
                write!(out, "its operator holds Flux up to {newest}")
            }
            Self::Other(why) => out.write_str(why),
        }
    }
}

impl Comes {
    /// An unknown release, with the reason in words.
    pub(crate) fn unknown(why: String) -> Self {
        Self::Unknown(UnknownFlux::Other(why))
    }

    /// The release that it comes to today.
    #[must_use]
    pub fn today(&self) -> Option<&Version> {
        match self {
            Self::One(version) => Some(version),
            Self::Range { today, .. } => Some(today),
            Self::Floating { today } => today.as_ref(),
            Self::Unknown(_) => None,
        }
    }

    /// The only release that it may be.
    #[must_use]
    pub fn only(&self) -> Option<&Version> {
        match self {
            Self::One(version) => Some(version),
            Self::Range { releases, today } if releases.len() == 1 => Some(today),
            _ => None,
        }
    }
}

/// Names of branches and tags that move.
const MOVING: [&str; 6] = ["latest", "main", "master", "head", "stable", "edge"];

/// Reads a version. A local chart is resolved elsewhere, and so are the limits that flux-operator
/// sets to a FluxInstance's range.
#[must_use]
pub fn comes(scale: &Scale, text: &str, catalogue: &Catalogue) -> Comes {
    // A digest fixes what the tag before it names.
    let tag = text.split('@').next().unwrap_or_default();
    let newest = || {
        let mut releases = catalogue.releases().iter().rev();
        let newest = releases.find(|one| *scale != Scale::Chart || !one.charts.is_empty());
        newest.map(|release| release.version.clone())
    };
    if text.is_empty() || MOVING.contains(&tag.to_ascii_lowercase().as_str()) {
        return Comes::Floating { today: newest() };
    }
    match scale {
        Scale::Flux | Scale::Instance => flux(tag, catalogue),
        Scale::Chart => chart(tag, catalogue),
        Scale::Operator => installer(tag, Installer::FluxOperator, "flux-operator"),
        Scale::Provider => installer(tag, Installer::TerraformProvider, "provider fluxcd/flux"),
        Scale::Controller(name) => image(name, tag, catalogue),
        Scale::Local(_) => Comes::unknown("its chart is not read".to_owned()),
    }
}

/// A version with three numbers. Helm and flux-operator read fewer as a range.
#[must_use]
pub fn exact(text: &str) -> Option<Version> {
    let text = text.trim_start_matches('=').trim();
    if text.split('.').count() < 3 {
        None
    } else {
        range::version(text)
    }
}

fn flux(text: &str, catalogue: &Catalogue) -> Comes {
    if let Some(version) = exact(text) {
        return Comes::One(version);
    }
    let versions = catalogue.releases().iter().map(|release| &release.version);
    within(
        text,
        versions
            .map(|version| (version.clone(), version.clone()))
            .collect(),
    )
}

fn chart(text: &str, catalogue: &Catalogue) -> Comes {
    if let Some(version) = exact(text) {
        return match catalogue.of_chart(&version) {
            Some(release) => Comes::One(release.version.clone()),
            None => Comes::unknown(format!(
                "chart flux2 {version} is not in this fluxkeep's catalogue"
            )),
        };
    }
    let charts = catalogue.releases().iter();
    let charts = charts.flat_map(|release| {
        release
            .charts
            .iter()
            .map(|chart| (chart.clone(), release.version.clone()))
    });
    within(text, charts.collect())
}

/// The releases of the versions in a range. Each version has its Flux release beside it.
fn within(text: &str, versions: Vec<(Version, Version)>) -> Comes {
    let Ok(range) = Range::parse(text) else {
        return Comes::unknown(format!("{text:?} is neither a version nor a range"));
    };
    let mut found: Vec<_> = versions
        .into_iter()
        .filter(|(version, _)| range.matches(version))
        .collect();
    found.sort();
    let today = found.last().map(|(_, release)| release.clone());
    let mut releases: Vec<Version> = found.into_iter().map(|(_, release)| release).collect();
    releases.sort();
    releases.dedup();
    match today {
        Some(today) => Comes::Range { releases, today },
        None => Comes::unknown(format!("no known version lies in {text:?}")),
    }
}

/// The releases with this version of a controller.
fn image(name: &str, tag: &str, catalogue: &Catalogue) -> Comes {
    let Some(version) = exact(tag) else {
        return Comes::unknown(format!("{tag:?} is no version of {name}"));
    };
    let has = |release: &&FluxRelease| {
        let mut controllers = release.controllers.iter();
        controllers.any(|one| one.name == name && one.version == version)
    };
    let releases = catalogue.releases().iter().filter(has);
    let releases: Vec<Version> = releases.map(|release| release.version.clone()).collect();
    among(releases)
        .unwrap_or_else(|| Comes::unknown(format!("no known release of Flux has {name} {version}")))
}

/// One of these releases, oldest first. `None` without any.
fn among(releases: Vec<Version>) -> Option<Comes> {
    let today = releases.last()?.clone();
    Some(if releases.len() == 1 {
        Comes::One(today)
    } else {
        Comes::Range { releases, today }
    })
}

/// The releases that all of these images can be of. `None` if no release has all of them: one is
/// patched.
#[must_use]
pub fn shared(images: &[&Comes]) -> Option<Comes> {
    let releases = |comes: &Comes| match comes {
        Comes::One(version) => vec![version.clone()],
        Comes::Range { releases, .. } => releases.clone(),
        Comes::Floating { .. } | Comes::Unknown(_) => Vec::new(),
    };
    let known = images.iter().map(|comes| releases(comes));
    let known: Vec<Vec<Version>> = known.filter(|releases| !releases.is_empty()).collect();
    let (first, rest) = known.split_first()?;
    let mut fitting = first.clone();
    fitting.retain(|one| rest.iter().all(|other| other.contains(one)));
    among(fitting)
}

fn installer(text: &str, installer: Installer, name: &str) -> Comes {
    let releases = installer.releases();
    let newest = releases.and_then(|all| installer.newest_flux(&all.newest));
    match exact(text) {
        Some(version) => match installer.newest_flux(&version) {
            Some(flux) => Comes::One(flux.clone()),
            None => Comes::unknown(format!(
                "{name} {version} is not in this fluxkeep's catalogue"
            )),
        },
        None if Range::parse(text).is_ok() => Comes::Floating {
            today: newest.cloned(),
        },
        None => Comes::unknown(format!("{text:?} is neither a version nor a range")),
    }
}

/// The range, limited to the releases that an operator holds. Without any such release, unknown.
#[must_use]
pub fn limited(comes: &Comes, newest: &Version) -> Comes {
    let Comes::Range { releases, .. } = comes else {
        return comes.clone();
    };
    let held = releases.iter().filter(|one| *one <= newest);
    let releases: Vec<Version> = held.cloned().collect();
    match releases.last().cloned() {
        Some(today) => Comes::Range { releases, today },
        None => Comes::Unknown(UnknownFlux::BeyondOperator {
            newest: newest.clone(),
        }),
    }
}

/// True if the releases are of more than one minor.
#[must_use]
pub fn spans_minors(releases: &[Version]) -> bool {
    let mut minors: Vec<_> = releases.iter().map(minor).collect();
    minors.dedup();
    minors.len() > 1
}

/// The minor of a version.
#[must_use]
pub fn minor(version: &Version) -> (u64, u64) {
    (version.major, version.minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(scale: &Scale, text: &str) -> String {
        match comes(scale, text, Catalogue::built_in()) {
            Comes::One(version) => version.to_string(),
            Comes::Range { releases, today } => format!(
                "{} to {today}",
                releases.first().map_or(String::new(), ToString::to_string)
            ),
            Comes::Floating { .. } => "floating".to_owned(),
            Comes::Unknown(_) => "unknown".to_owned(),
        }
    }

    #[test]
    fn a_version_is_read_as_its_program_reads_it() {
        assert_eq!(told(&Scale::Flux, "v2.5.1@sha256:00"), "2.5.1");
        assert_eq!(told(&Scale::Flux, "main"), "floating");
        assert_eq!(told(&Scale::Flux, "2.9.99"), "2.9.99");
        assert_eq!(told(&Scale::Instance, "2.4.x"), "2.4.0 to 2.4.0");
        assert_eq!(told(&Scale::Chart, "2.13.0"), "2.3.0");
        assert_eq!(told(&Scale::Chart, "2.14.x"), "2.4.0 to 2.4.0");
        assert_eq!(told(&Scale::Chart, "9.0.0"), "unknown");
        assert_eq!(told(&Scale::Operator, "v0.32.0"), "2.7.2");
        assert_eq!(told(&Scale::Operator, ">=0.1"), "floating");
    }
}
