//! A Git repository as the gate reads it: bytes in, pins out.
//!
//! A [`Pin`] is a place that says which Flux a cluster gets. Forms find the pins, names
//! lead from a reference to its definition, groups tell clusters apart. Every pin keeps the bytes
//! of its value.

// Paths of Git and versions are case-sensitive.
#![allow(clippy::case_sensitive_file_extension_comparisons)]

pub mod align;
pub mod allow;
pub mod base;
pub mod change;
pub mod chart_use;
pub mod comes;
pub mod fix;
pub mod form;
pub mod forms;
pub mod group;
pub mod hcl;
pub mod index;
pub mod name;
pub mod objects;
pub mod pin;
pub mod plan;
pub mod release;
pub mod self_test;
pub mod settings;
pub mod target;
pub mod text;
pub mod zone;

pub use comes::{Comes, minor, spans_minors};
pub use form::{FORMS, Form};
pub use group::Group;
pub use index::{Dependency, LocalChart};
pub use pin::{Original, Pin, PinRole, Product, Scale};
pub use text::{Resource, Text, Value};
pub use zone::{Zone, is_read};

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::case::finding::Related;
use crate::flux::catalogue::{Catalogue, Installer};
use crate::flux::engine::is_controller;
use crate::object::SourceLocation;

use index::Index;
use name::Resolved;
use pin::Draft;
use semver::Version;
use settings::Settings;

/// A file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path from the repository's top, with `/`.
    pub path: String,
    /// The content; empty for a packaged chart, whose name is enough.
    pub bytes: Vec<u8>,
}

/// A file of which not everything was read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// The path from the repository's top.
    pub path: String,
    /// The reason, without a value of the file.
    pub why: String,
}

/// A repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repository {
    /// The files that may hold pins, in the order of their paths.
    pub texts: Vec<Text>,
    /// The pins, in the order of files and bytes.
    pub pins: Vec<Pin>,
    /// The charts and sources in the repository.
    pub index: Index,
    /// The clusters; at least one.
    pub groups: Vec<Group>,
    /// The folders that Flux synchronizes.
    pub synced: Vec<String>,
    /// The files of which not everything was read.
    pub skipped: Vec<Skipped>,
    /// The settings with which the files were read.
    pub settings: Settings,
    /// The repository before the change, if the change alone is judged.
    pub base: Option<Arc<Repository>>,
}

/// Reads a repository's files. The result does not depend on their order.
#[must_use]
pub fn read(files: Vec<File>, catalogue: &Catalogue) -> Repository {
    read_with(files, catalogue, &Settings::default())
}

/// Like [`read`], with the settings of the repository.
#[must_use]
pub fn read_with(mut files: Vec<File>, catalogue: &Catalogue, settings: &Settings) -> Repository {
    let catalogue = &catalogue.with_charts(&settings.charts);
    files.retain(|file| !settings.ignore.hold(&file.path));
    files.sort_by(|left, right| left.path.cmp(&right.path));
    let mut texts = Vec::new();
    let mut skipped = Vec::new();
    for file in files {
        let is_named = settings.pins.iter().any(|pin| pin.file == file.path);
        if !is_named && !is_wanted(&file) {
            continue;
        }
        match String::from_utf8(file.bytes) {
            Ok(text) => texts.push(Text::read(file.path, text, Zone::Cluster)),
            Err(_) => skipped.push(Skipped {
                path: file.path,
                why: "it is not UTF-8".to_owned(),
            }),
        }
    }
    for text in &mut texts {
        text.zone = zone::zone(&text.path, &[]);
        if let Some(why) = &text.unread {
            skipped.push(Skipped {
                path: text.path.clone(),
                why: why.clone(),
            });
        }
    }
    let roots = group::sync_paths(&texts);
    for text in &mut texts {
        text.zone = zone::zone(&text.path, &roots);
    }
    let mut index = Index::of(&texts);
    index.named.clone_from(&settings.pins);
    let mut repository = Repository {
        pins: pins(&texts, &index, catalogue),
        texts,
        skipped,
        synced: roots,
        settings: settings.clone(),
        ..Repository::default()
    };
    repository.groups = group::group(&repository.texts, &mut repository.pins, settings);
    repository.mark_outputs();
    repository.resolve_charts(&index, catalogue);
    repository.limit_instances();
    repository.join_images();
    repository.index = index;
    repository
}

/// True if a file may hold a pin: by its name, or by the word Flux or a controller's name.
#[must_use]
pub fn is_wanted(file: &File) -> bool {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let always = [
        "Chart.yaml",
        "Chart.lock",
        "kustomization.yaml",
        "kustomization.yml",
    ];
    let is_always = always.contains(&name) || name == "values.yaml" || name.ends_with(".tf");
    is_always || name.ends_with(".tgz") || names_flux(&file.bytes)
}

/// True if bytes hold `flux` in any case, or a word that ends in `-controller` and names a controller
/// of Flux.
fn names_flux(bytes: &[u8]) -> bool {
    let mut ends = memchr::memchr2_iter(b'x', b'X', bytes);
    let is_flux = |end: usize| {
        let start = end.checked_sub(3)?;
        Some(bytes.get(start..end)?.eq_ignore_ascii_case(b"flu"))
    };
    if ends.any(|end| is_flux(end) == Some(true)) {
        return true;
    }
    let tail = b"-controller";
    let mut controllers = memchr::memmem::find_iter(bytes, tail);
    controllers.any(|at| {
        let before = bytes.get(..at).unwrap_or_default();
        let start = before
            .iter()
            .rposition(|byte| !byte.is_ascii_lowercase() && *byte != b'-');
        let name = bytes.get(start.map_or(0, |start| start + 1)..at + tail.len());
        name.and_then(|name| std::str::from_utf8(name).ok())
            .is_some_and(is_controller)
    })
}

fn pins(texts: &[Text], index: &Index, catalogue: &Catalogue) -> Vec<Pin> {
    let mut pins: Vec<Pin> = Vec::new();
    for (file, text) in texts.iter().enumerate() {
        let mut drafts = Vec::new();
        for form in FORMS {
            (form.read)(text, index, &mut drafts);
        }
        for draft in drafts {
            pins.extend(settle(texts, file, draft, catalogue));
        }
    }
    pins.sort_by_key(|pin| (pin.file, pin.span.start));
    pins.dedup_by(|left, right| {
        (left.file, &left.span, left.form) == (right.file, &right.span, right.form)
    });
    pins
}

/// The pin of a draft, at the place that defines its version.
fn settle(texts: &[Text], file: usize, draft: Draft, catalogue: &Catalogue) -> Option<Pin> {
    let user = texts.get(file)?;
    let at = draft.value.as_ref().map_or(&draft.at, |value| &value.span);
    let throw_away = user.zone == Zone::Pipeline && is_throw_away(user, at.start);
    let role = if throw_away && draft.role == PinRole::Installs {
        PinRole::Client
    } else {
        draft.role
    };
    let resolved = draft
        .value
        .as_ref()
        .map(|value| name::resolve(texts, file, value));
    let (file, span, version, unknown) = match resolved {
        None => (file, draft.at, String::new(), None),
        Some(Resolved::Computed) => return None,
        Some(Resolved::Value(file, value)) => (file, value.span, value.text, None),
        Some(Resolved::Unknown(why)) => {
            let value = draft.value?;
            (file, value.span, value.text, Some(why))
        }
    };
    let text = if version.is_empty() {
        draft.implied.unwrap_or_default()
    } else {
        &version
    };
    // A chart's appVersion repeats Flux only while it is a release of Flux.
    let is_own =
        matches!(draft.of, Some(Original::FluxOf(_))) && draft.thing.starts_with("appVersion");
    if is_own && comes::exact(&version).is_none_or(|version| catalogue.release(&version).is_none())
    {
        return None;
    }
    let comes = unknown.map_or_else(
        || comes::comes(&draft.scale, text, catalogue),
        Comes::unknown,
    );
    Some(Pin {
        form: draft.form,
        role,
        scale: draft.scale,
        thing: draft.thing,
        file,
        span,
        version,
        implied: draft.implied,
        comes,
        boots: draft.boots,
        counts: user.zone != Zone::Example,
        groups: Vec::new(),
        of: draft.of,
        generates: draft.generates,
    })
}

/// True if a pipeline's job makes a cluster that does not outlive it.
fn is_throw_away(text: &Text, at: usize) -> bool {
    let jobs = text
        .nodes
        .iter()
        .filter_map(|node| node.get("jobs"))
        .flat_map(fluxkeep_yaml::spans::Node::entries);
    let starts: Vec<usize> = jobs.map(|(name, _)| name.span.start).collect();
    let start = starts
        .iter()
        .rev()
        .find(|start| **start <= at)
        .copied()
        .unwrap_or(0);
    let end = starts
        .iter()
        .find(|start| **start > at)
        .copied()
        .unwrap_or(text.text.len());
    let job = text.slice(start..end);
    [
        "kind-action",
        "kind create cluster",
        "create-kind",
        "k3d",
        "minikube",
        "setup-kubernetes",
    ]
    .iter()
    .any(|word| job.contains(word))
}

impl Repository {
    /// True if a pin that installs Flux or its operator hides its version.
    #[must_use]
    pub fn has_unknown_pins(&self) -> bool {
        self.pins.iter().any(|pin| {
            pin.counts && pin.role == PinRole::Installs && matches!(pin.comes, Comes::Unknown(_))
        })
    }

    /// The pins that count in a group.
    pub fn of_group(&self, group: usize) -> impl Iterator<Item = &Pin> {
        self.pins
            .iter()
            .filter(move |pin| pin.counts && pin.groups.contains(&group))
    }

    /// The file of a pin.
    #[must_use]
    pub fn path(&self, pin: &Pin) -> &str {
        self.texts
            .get(pin.file)
            .map(|text| text.path.as_str())
            .unwrap_or_default()
    }

    /// The place of a pin.
    #[must_use]
    pub fn place(&self, pin: &Pin) -> Option<SourceLocation> {
        Some(self.texts.get(pin.file)?.range(&pin.span))
    }

    /// Other places of a finding, each with the content of the place.
    #[must_use]
    pub fn related(&self, pins: &[&Pin]) -> Vec<Related> {
        let mut related = Vec::new();
        for pin in pins {
            let flux = pin.flux().map(|flux| format!(", Flux {flux}"));
            let message = format!("{}{}", pin.told(), flux.unwrap_or_default());
            related.extend(self.place(pin).map(|source| Related { message, source }));
        }
        related
    }

    /// The names of groups, for a message.
    #[must_use]
    pub fn names(&self, groups: &[usize]) -> Vec<&str> {
        groups
            .iter()
            .filter_map(|group| Some(self.groups.get(*group)?.name.as_str()))
            .collect()
    }

    /// The pin of the dependency `flux2` that a chart of this repository brings.
    #[must_use]
    pub fn flux_of(&self, chart: usize) -> Option<&Pin> {
        let (chart, place) = self.index.flux_of(chart)?;
        self.dependency(&self.index, chart, place)
    }

    fn dependency(&self, index: &Index, chart: usize, place: usize) -> Option<&Pin> {
        let chart = index.charts.get(chart)?;
        let dependency = chart.dependencies.get(place)?;
        let span = dependency
            .version
            .as_ref()
            .map_or(&dependency.name.span, |version| &version.span);
        self.pins
            .iter()
            .find(|pin| pin.file == chart.file && pin.span == *span)
    }

    /// Gives the outputs of generators their role.
    fn mark_outputs(&mut self) {
        let paths: Vec<String> = self
            .pins
            .iter()
            .filter_map(|pin| pin.generates.clone())
            .collect();
        let texts = &self.texts;
        for pin in self
            .pins
            .iter_mut()
            .filter(|pin| pin.form == "gotk-components")
        {
            let path = texts
                .get(pin.file)
                .map(|text| text.path.as_str())
                .unwrap_or_default();
            if paths.iter().any(|folder| zone::is_below(path, folder)) {
                pin.role = PinRole::Output;
            }
        }
    }

    /// The generator of an output.
    #[must_use]
    pub fn generator_of(&self, output: &Pin) -> Option<&Pin> {
        let path = self.path(output);
        let writes = |pin: &&Pin| {
            pin.generates
                .as_ref()
                .is_some_and(|folder| zone::is_below(path, folder))
        };
        self.pins
            .iter()
            .filter(|pin| pin.counts)
            .find(writes)
            .filter(|_| output.role == PinRole::Output)
    }

    /// Gives pins of local charts the Flux of the chart, and dependencies their locked version.
    fn resolve_charts(&mut self, index: &Index, catalogue: &Catalogue) {
        for chart in &index.charts {
            for dependency in &chart.dependencies {
                let (Some(locked), Some(version)) = (&dependency.locked, &dependency.version)
                else {
                    continue;
                };
                let of_it = |pin: &&mut Pin| {
                    pin.file == chart.file && pin.span == version.span && pin.scale == Scale::Chart
                };
                for pin in self.pins.iter_mut().filter(of_it) {
                    let fixed = comes::comes(&Scale::Chart, locked, catalogue);
                    if matches!(pin.comes, Comes::Range { .. }) && matches!(fixed, Comes::One(_)) {
                        pin.comes = fixed;
                    }
                }
            }
        }
        let local: Vec<(usize, usize)> = self
            .pins
            .iter()
            .enumerate()
            .filter_map(|(at, pin)| match pin.scale {
                Scale::Local(chart) => Some((at, chart)),
                _ => None,
            })
            .collect();
        for (at, chart) in local {
            let Some(comes) = self.through(at, chart, index) else {
                continue;
            };
            if let Some(pin) = self.pins.get_mut(at) {
                pin.comes = comes;
            }
        }
    }

    /// The Flux of a pin through a chart of this repository, if it names the chart's own version.
    fn through(&self, at: usize, chart: usize, index: &Index) -> Option<Comes> {
        let pin = self.pins.get(at)?;
        let local = index.charts.get(chart)?;
        let own = local.version.as_ref()?;
        if !includes(pin.text(), &own.text) {
            return Some(Comes::unknown(format!(
                "chart {} is at {} here",
                local.name, own.text
            )));
        }
        let (chart, place) = index.flux_of(chart)?;
        Some(self.dependency(index, chart, place)?.comes.clone())
    }

    /// Gives the images of a file the releases that have all of them. Images of several releases
    /// keep their own.
    fn join_images(&mut self) {
        let is_image = |pin: &Pin| matches!(pin.scale, Scale::Controller(_));
        let images = self.pins.iter().filter(|pin| is_image(pin));
        let files: BTreeSet<usize> = images.map(|pin| pin.file).collect();
        for file in files {
            let own = self
                .pins
                .iter()
                .filter(|pin| pin.file == file && is_image(pin));
            let comes: Vec<&Comes> = own.map(|pin| &pin.comes).collect();
            let Some(shared) = comes::shared(&comes) else {
                continue;
            };
            for pin in &mut self.pins {
                if pin.file == file && is_image(pin) && !matches!(pin.comes, Comes::Unknown(_)) {
                    pin.comes = shared.clone();
                }
            }
        }
    }

    /// Limits the ranges of FluxInstances to what their operator or artifact holds.
    fn limit_instances(&mut self) {
        for at in 0..self.pins.len() {
            let Some(pin) = self.pins.get(at) else {
                continue;
            };
            let limit = match pin.scale {
                Scale::Instance => self.limit_of(pin).map(|(_, limit)| limit.clone()),
                _ => None,
            };
            let limited = limit.map(|limit| comes::limited(&pin.comes, &limit));
            if let (Some(comes), Some(pin)) = (limited, self.pins.get_mut(at)) {
                pin.comes = comes;
            }
        }
    }
}

/// True if a written version or range includes this version.
#[must_use]
pub fn includes(written: &str, version: &str) -> bool {
    use crate::helm::range::{Range, version as read};
    if written == version {
        return true;
    }
    let (Ok(range), Some(version)) = (Range::parse(written), read(version)) else {
        return false;
    };
    range.matches(&version)
}

/// The first flux-operator that holds a Flux release, for a remedy.
#[must_use]
pub fn operator_for(flux: &Version) -> Option<&'static Version> {
    Installer::FluxOperator.first_with(flux)
}
