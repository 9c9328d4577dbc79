//! The gate tested on a repository: another release is planted at each pin, and must be found.

use std::sync::Arc;

use jiff::Timestamp;
use semver::Version;

use super::comes::exact;
use super::fix::judged;
use super::{File, Original, Pin, PinRole, Repository, Scale, minor, read_with};
use crate::case::policy::Policy;
use crate::flux::catalogue::{Catalogue, Installer};

/// The result of planting another release at each pin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelfTest {
    /// The pins at which the planted release was found.
    pub seen: usize,
    /// The pins at which it was not found, although another pin says what is right.
    pub missed: Vec<String>,
    /// The pins that nothing in the repository is compared with.
    pub unguarded: Vec<String>,
}

impl Repository {
    /// Plants another release at each pin that installs or mirrors, one at a time.
    #[must_use]
    pub fn self_test(&self, policy: &Policy, now: Timestamp) -> SelfTest {
        let mut result = SelfTest::default();
        let meant = |pin: &&Pin| {
            let is_meant = matches!(pin.role, PinRole::Installs | PinRole::Mirrors);
            pin.counts && is_meant && !pin.version.is_empty()
        };
        for pin in self.pins.iter().filter(meant) {
            let Some(other) = other(pin, &policy.engine.catalogue) else {
                continue;
            };
            let place = self.place(pin).map(|at| format!("{}:{}", at.file, at.line));
            let told = format!("{}  {}", place.unwrap_or_default(), pin.told());
            if self.is_seen(pin, &other, policy, now) {
                result.seen += 1;
            } else if self.has_peer(pin) {
                result.missed.push(told);
            } else {
                result.unguarded.push(told);
            }
        }
        result
    }

    /// True if a rule about pins finds the planted version at its line.
    fn is_seen(&self, pin: &Pin, other: &str, policy: &Policy, now: Timestamp) -> bool {
        let files = self.texts.iter().enumerate().map(|(number, text)| {
            let mut content = text.text.clone();
            if number == pin.file {
                content.replace_range(pin.span.clone(), other);
            }
            File {
                path: text.path.clone(),
                bytes: content.into_bytes(),
            }
        });
        let catalogue = &policy.engine.catalogue;
        let planted = read_with(files.collect(), catalogue, &self.settings);
        let verdict = judged(Arc::new(planted), policy, now);
        let Some(place) = self.place(pin) else {
            return false;
        };
        let mut findings = verdict
            .findings
            .iter()
            .filter(|one| one.rule.starts_with("pin-"));
        findings.any(|finding| {
            let related = finding.related.iter().map(|related| &related.source);
            let mut places = finding.source.iter().chain(related);
            places.any(|at| at.file == place.file && at.line == place.line)
        })
    }

    /// True if another pin says what this one should be.
    fn has_peer(&self, pin: &Pin) -> bool {
        if matches!(pin.of, Some(Original::FluxOf(_) | Original::VersionOf(_))) {
            return true;
        }
        let installs = |other: &&Pin| {
            let is_same = (other.file, &other.span) == (pin.file, &pin.span);
            let is_alike = other.product() == pin.product() && other.thing == pin.thing;
            let is_flux = other.installs_flux() && pin.installs_flux();
            other.counts && !is_same && (is_alike || is_flux)
        };
        let mut others = self.pins.iter().filter(installs);
        others.any(|other| other.groups.iter().any(|group| pin.groups.contains(group)))
    }
}

/// Another version for a pin, written as it is: with or without `v`. `None` for a range or a
/// reference.
fn other(pin: &Pin, catalogue: &Catalogue) -> Option<String> {
    let version = exact(&pin.version)?;
    let is_other = |one: &&Version| minor(one) != minor(&version);
    let releases = || catalogue.releases().iter().rev();
    let other = match pin.scale {
        Scale::Flux | Scale::Instance => releases().map(|one| &one.version).find(is_other)?.clone(),
        Scale::Chart => releases()
            .flat_map(|one| &one.charts)
            .find(is_other)?
            .clone(),
        Scale::Controller(name) => {
            let controllers = releases().flat_map(|one| &one.controllers);
            let versions = controllers
                .filter(|one| one.name == name)
                .map(|one| &one.version);
            versions.clone().find(is_other)?.clone()
        }
        Scale::Operator => installed(Installer::FluxOperator, &version)?,
        Scale::Provider => installed(Installer::TerraformProvider, &version)?,
        Scale::Local(_) => Version::new(version.major, version.minor + 1, 0),
    };
    let mark = if pin.version.starts_with('v') {
        "v"
    } else {
        ""
    };
    Some(format!("{mark}{other}"))
}

fn installed(installer: Installer, version: &Version) -> Option<Version> {
    let releases = installer.releases()?.first.values();
    let other = releases.filter(|one| minor(one) != minor(version)).max();
    other.cloned()
}
