//! The Flux objects of a repository, each with the engines that would reconcile it.

use std::collections::BTreeSet;

use semver::Version;

use super::index::joined;
use super::{Comes, Pin, PinRole, Repository, Resource, Scale, Text, Zone};
use crate::case::finding::Related;
use crate::flux::catalogue::Catalogue;
use crate::flux::engine::is_flux_group;
use crate::yaml::spans::Node;

/// A Flux object in a file.
#[derive(Debug, Clone)]
pub struct FluxObject<'a> {
    /// The file.
    pub text: &'a Text,
    /// The object.
    pub resource: &'a Resource,
    /// The engines of the groups that the file belongs to; never empty.
    pub engines: Vec<PinnedEngine<'a>>,
}

/// The Flux that a group comes to.
#[derive(Debug, Clone, Copy)]
pub struct PinnedEngine<'a> {
    /// The index of the group.
    pub group: usize,
    /// The pin that decides.
    pub pin: &'a Pin,
    /// The release.
    pub release: &'a Version,
    /// True if the group comes to no other release.
    pub is_fixed: bool,
}

impl Repository {
    /// The objects of Flux's API groups, without those in examples and of groups whose Flux is
    /// unknown.
    #[must_use]
    pub fn flux_objects(&self) -> Vec<FluxObject<'_>> {
        let engines: Vec<Option<PinnedEngine<'_>>> = (0..self.groups.len())
            .map(|group| self.engine(group))
            .collect();
        let patches = self.patches();
        let mut objects = Vec::new();
        for text in self.texts.iter().filter(|text| text.zone == Zone::Cluster) {
            let mut flux = text
                .resources
                .iter()
                .filter(|one| is_flux_group(&one.group) && !one.is_patch)
                .peekable();
            if flux.peek().is_none() || patches.contains(&text.path) {
                continue;
            }
            let groups = self.groups_of(&text.path);
            let engines: Vec<PinnedEngine<'_>> = groups
                .iter()
                .filter_map(|group| engines.get(*group).copied().flatten())
                .collect();
            if engines.is_empty() || engines.len() < groups.len() {
                continue;
            }
            objects.extend(flux.map(|resource| FluxObject {
                text,
                resource,
                engines: engines.clone(),
            }));
        }
        objects
    }

    /// The files that kustomizations name as patches. With a target, kustomize ignores their version.
    fn patches(&self) -> BTreeSet<String> {
        let mut patches = BTreeSet::new();
        for text in &self.texts {
            if !matches!(text.name(), "kustomization.yaml" | "kustomization.yml") {
                continue;
            }
            for node in &text.nodes {
                let listed = node.get("patches").map_or(&[][..], Node::items);
                let paths = listed.iter().filter_map(|patch| patch.text_at(&["path"]));
                let merged = node
                    .get("patchesStrategicMerge")
                    .map_or(&[][..], Node::items);
                let files = merged.iter().filter_map(Node::text);
                patches.extend(paths.chain(files).map(|path| joined(text.folder(), path)));
            }
        }
        patches
    }

    /// The groups of a file: the one whose folder holds it, else every cluster.
    #[must_use]
    pub fn groups_of(&self, path: &str) -> Vec<usize> {
        let groups = || self.groups.iter().enumerate();
        let named = groups().filter(|(_, group)| group.paths.is_some() && group.holds(path));
        let named: Vec<usize> = named.map(|(number, _)| number).collect();
        if !named.is_empty() {
            return named;
        }
        let holds = groups().filter(|(_, group)| group.holds(path));
        let own = holds.max_by_key(|(_, group)| group.root.len());
        if let Some((own, _)) = own {
            return vec![own];
        }
        let clusters = groups().filter(|(_, group)| group.is_cluster);
        clusters.map(|(number, _)| number).collect()
    }

    /// The Flux of a group once it has reconciled: the newest of its pins, boot pins last. `None` if
    /// a pin hides its version.
    #[must_use]
    pub fn engine(&self, group: usize) -> Option<PinnedEngine<'_>> {
        let installs = |pin: &&Pin| pin.installs_flux() && !self.has_output(pin);
        let pins: Vec<&Pin> = self.of_group(group).filter(installs).collect();
        let is_hidden = |pin: &&Pin| {
            let is_image = matches!(pin.scale, Scale::Controller(_));
            pin.role == PinRole::Installs && !is_image && matches!(pin.comes, Comes::Unknown(_))
        };
        if pins.iter().any(is_hidden) {
            return None;
        }
        let newest = |is_boot: bool, is_fixed: bool| {
            let mut found: Option<PinnedEngine<'_>> = None;
            for pin in pins
                .iter()
                .copied()
                .filter(|pin| self.is_boot(pin) == is_boot)
            {
                let release = if is_fixed {
                    pin.comes.only()
                } else {
                    pin.flux()
                };
                let Some(release) = release else {
                    continue;
                };
                if found.is_none_or(|found| found.release < release) {
                    found = Some(PinnedEngine {
                        group,
                        pin,
                        release,
                        is_fixed,
                    });
                }
            }
            found
        };
        let fixed = newest(false, true).or_else(|| newest(true, true));
        fixed
            .or_else(|| newest(false, false))
            .or_else(|| newest(true, false))
    }

    /// True if a group with Flux objects comes to a release that the catalogue lacks.
    #[must_use]
    pub fn is_beyond(&self, catalogue: &Catalogue) -> bool {
        let objects = self.flux_objects();
        let mut engines = objects.iter().flat_map(|object| &object.engines);
        engines.any(|engine| catalogue.release(engine.release).is_none())
    }

    /// The pins of engines, for a finding.
    #[must_use]
    pub fn related_engines(&self, engines: &[PinnedEngine<'_>]) -> Vec<Related> {
        let mut pins: Vec<&Pin> = Vec::new();
        for engine in engines {
            if !pins.iter().any(|pin| std::ptr::eq(*pin, engine.pin)) {
                pins.push(engine.pin);
            }
        }
        self.related(&pins)
    }
}
