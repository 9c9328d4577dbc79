//! Compares the pins of a group: which of them would install another Flux than the rest.

use std::collections::BTreeMap;

use semver::Version;

use super::{Comes, Pin, PinRole, Repository, Scale, minor};
use crate::flux::engine::CORE;
use crate::helm::range;

/// Pins that would install another Flux than the rest of their group.
#[derive(Debug)]
pub struct Deviation<'a> {
    /// The release that the group's other pins come to.
    pub expected: Version,
    /// The pins that come to it; the boot pins alone, if there are some.
    pub anchors: Vec<&'a Pin>,
    /// True if the anchors install before Flux reconciles.
    pub at_boot: bool,
    /// The release that the deviating pins come to.
    pub found: Version,
    /// The deviating pins.
    pub pins: Vec<&'a Pin>,
    /// The indexes of the groups.
    pub groups: Vec<usize>,
    /// True if each side is right for another group: staging, and no mistake by itself.
    pub is_staged: bool,
}

impl Repository {
    /// The deviations of all groups, one for each pair of releases.
    #[must_use]
    pub fn deviations(&self) -> Vec<Deviation<'_>> {
        let mut all: BTreeMap<(Version, Version), Deviation<'_>> = BTreeMap::new();
        for group in 0..self.groups.len() {
            for deviation in self.deviations_of(group) {
                let key = (deviation.expected.clone(), deviation.found.clone());
                match all.get_mut(&key) {
                    Some(known) => known.join(deviation),
                    None => {
                        all.insert(key, deviation);
                    }
                }
            }
        }
        all.into_values().collect()
    }

    /// True if a pin installs before Flux reconciles: no synchronized folder holds it.
    #[must_use]
    pub fn is_boot(&self, pin: &Pin) -> bool {
        let path = self.path(pin);
        let mut synced = self.synced.iter().filter(|root| !root.is_empty());
        pin.boots && !synced.any(|root| super::zone::is_below(path, root))
    }

    /// True for a generator whose output lies in the repository: the cluster runs the output.
    pub(super) fn has_output(&self, pin: &Pin) -> bool {
        let folder = pin.generates.as_ref();
        let outputs = self.pins.iter().filter(|one| one.role == PinRole::Output);
        folder.is_some_and(|folder| {
            outputs
                .into_iter()
                .any(|one| super::zone::is_below(self.path(one), folder))
        })
    }

    fn deviations_of(&self, group: usize) -> Vec<Deviation<'_>> {
        let pins: Vec<&Pin> = self
            .of_group(group)
            .filter(|pin| pin.installs_flux() && !self.has_output(pin))
            .filter(|pin| self.is_first_image(pin))
            .collect();
        let boots = pins.iter().filter(|pin| self.is_boot(pin));
        let booted = boots.filter_map(|pin| pin.comes.only()).max();
        let newest = pins.iter().filter_map(|pin| pin.comes.only()).max();
        let Some(expected) = booted.or(newest) else {
            return Vec::new();
        };
        let at_boot = booted.is_some();
        let anchors: Vec<&Pin> = pins
            .iter()
            .filter(|pin| pin.comes.only() == Some(expected) && (!at_boot || self.is_boot(pin)))
            .copied()
            .collect();
        let mut found: BTreeMap<&Version, Vec<&Pin>> = BTreeMap::new();
        for pin in &pins {
            if self.is_patch(pin, expected) {
                continue;
            }
            if let Some(release) = deviates(pin, expected) {
                found.entry(release).or_default().push(pin);
            }
        }
        let mut deviations = Vec::new();
        for (release, pins) in found {
            let is_staged =
                self.fits_elsewhere(&anchors, group) || self.fits_elsewhere(&pins, group);
            deviations.push(Deviation {
                expected: expected.clone(),
                anchors: anchors.clone(),
                at_boot,
                found: release.clone(),
                pins,
                groups: vec![group],
                is_staged,
            });
        }
        deviations
    }

    /// True for the first controller's image of a file: it stands for all that come to the same
    /// release.
    fn is_first_image(&self, pin: &Pin) -> bool {
        let is_image = |pin: &Pin| matches!(pin.scale, Scale::Controller(_));
        let mut earlier = self.pins.iter().filter(|one| {
            let is_earlier = one.file == pin.file && one.span.start < pin.span.start;
            is_earlier && is_image(one) && one.comes == pin.comes
        });
        !is_image(pin) || earlier.next().is_none()
    }

    /// True for the image of one controller at another patch of the same minor: the release, patched.
    fn is_patch(&self, pin: &Pin, expected: &Version) -> bool {
        let is_image = |pin: &Pin| matches!(pin.scale, Scale::Controller(_));
        let beside = self
            .pins
            .iter()
            .filter(|one| one.file == pin.file && is_image(one));
        let is_whole = beside.count() >= CORE.len();
        let flux = pin.flux().map(minor);
        is_image(pin) && !is_whole && flux == Some(minor(expected))
    }

    /// True if these pins are shared by groups, and each is right for another group.
    fn fits_elsewhere(&self, pins: &[&Pin], group: usize) -> bool {
        let fits = |pin: &&Pin| {
            let mut others = pin.groups.iter().filter(|other| **other != group);
            others.any(|other| {
                self.own_release(*other) == pin.comes.only() && pin.comes.only().is_some()
            })
        };
        !pins.is_empty() && pins.iter().all(fits)
    }

    /// The release that the group's own pins agree on.
    fn own_release(&self, group: usize) -> Option<&Version> {
        let own = self
            .of_group(group)
            .filter(|pin| pin.installs_flux() && pin.groups.len() == 1);
        let mut releases = own.filter_map(|pin| pin.comes.only());
        let first = releases.next()?;
        releases.all(|release| release == first).then_some(first)
    }

    /// The operator or artifact that limits a FluxInstance, with the newest Flux that it holds.
    #[must_use]
    pub fn limit_of<'a>(&'a self, instance: &Pin) -> Option<(&'a Pin, &'a Version)> {
        let operators = || self.pins.iter().filter(|pin| pin.installs_operator());
        let is_artifact = |pin: &&Pin| pin.thing.starts_with("artifact");
        let artifact = operators()
            .filter(is_artifact)
            .find(|pin| pin.file == instance.file);
        if let Some(artifact) = artifact {
            return Some((artifact, artifact.comes.only()?));
        }
        let shares = |pin: &&Pin| {
            pin.groups
                .iter()
                .any(|group| instance.groups.contains(group))
        };
        let limiting = operators()
            .filter(|pin| !is_artifact(pin))
            .filter(shares)
            .filter(|pin| limits(pin));
        let held = limiting.filter_map(|pin| Some((pin, pin.comes.only()?)));
        held.max_by_key(|(_, flux)| *flux)
    }
}

impl<'a> Deviation<'a> {
    fn join(&mut self, other: Self) {
        let add = |into: &mut Vec<&'a Pin>, from: Vec<&'a Pin>| {
            for pin in from {
                if !into.iter().any(|known| std::ptr::eq(*known, pin)) {
                    into.push(pin);
                }
            }
        };
        add(&mut self.anchors, other.anchors);
        add(&mut self.pins, other.pins);
        self.groups.extend(other.groups);
        self.is_staged &= other.is_staged;
        self.at_boot |= other.at_boot;
    }
}

/// The release that a pin comes to, if it cannot be the expected one, or is older.
fn deviates<'a>(pin: &'a Pin, expected: &Version) -> Option<&'a Version> {
    if let Some(only) = pin.comes.only() {
        return (only != expected).then_some(only);
    }
    let Comes::Range { releases, today } = &pin.comes else {
        return None;
    };
    // The catalogue may lack the newest releases, which a range may select.
    let is_unknown =
        releases.last().is_some_and(|newest| expected > newest) && minor(expected) > minor(today);
    let misses = !releases.contains(expected) || today < expected;
    let may_follow = is_unknown
        && pin.scale != Scale::Instance
        && super::includes(pin.text(), &expected.to_string());
    (misses && !may_follow).then_some(today)
}

/// True for an operator that installs no Flux beyond its own manifests. Older operators float.
fn limits(operator: &Pin) -> bool {
    const FIRST: Version = Version::new(0, 54, 0);
    range::version(operator.text()).is_some_and(|version| version >= FIRST)
}
