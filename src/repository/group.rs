//! Groups: the clusters that a repository makes, found without configuration.

use std::collections::BTreeSet;

use super::pin::{Pin, PinRole};
use super::settings::{Paths, Settings};
use super::text::{Resource, Text};
use super::zone::{Zone, is_below};

/// One cluster's engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The folders that distinguish the group from the others; `.` for the whole repository.
    pub name: String,
    /// The folder; empty for the whole repository.
    pub root: String,
    /// False for an instance outside every cluster's folder: a base or a development environment.
    pub is_cluster: bool,
    /// The paths that the settings give the group; they count instead of the folder.
    pub paths: Option<Paths>,
    /// True if only similar paths distinguish the group, and no synchronized folder.
    pub is_guessed: bool,
}

/// The folders that Flux synchronizes, as the files say.
#[must_use]
pub fn sync_paths(texts: &[Text]) -> Vec<String> {
    let mut paths = BTreeSet::new();
    for text in texts {
        for resource in &text.resources {
            let Some(path) = sync_path(resource).map(normal) else {
                continue;
            };
            if text.zone != Zone::Example || is_below(&text.path, &path) {
                paths.insert(path);
            }
        }
        paths.extend(commands(text));
    }
    paths.into_iter().collect()
}

fn sync_path(resource: &Resource) -> Option<&str> {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("fluxcd.controlplane.io", "FluxInstance") => {
            resource.node.text_at(&["spec", "sync", "path"])
        }
        ("helm.toolkit.fluxcd.io", "HelmRelease") => resource
            .node
            .text_at(&["spec", "values", "instance", "sync", "path"]),
        ("kustomize.toolkit.fluxcd.io", "Kustomization") if resource.name == "flux-system" => {
            resource.node.text_at(&["spec", "path"])
        }
        _ => None,
    }
}

/// The paths of `flux bootstrap --path` and of `flux_bootstrap_git`.
fn commands(text: &Text) -> Vec<String> {
    if text.zone == Zone::Example {
        return Vec::new();
    }
    let resources = super::hcl::blocks(text, "resource \"flux_bootstrap_git\"");
    let written = resources.iter().filter_map(|block| block.literal("path"));
    let mut found: Vec<String> = written.map(|path| normal(&path.text)).collect();
    let starts = text.find("flux bootstrap");
    let path = |at| {
        let words = super::chart_use::words(text, at);
        super::forms::bootstrap_command::option(&words, "--path")
    };
    found.extend(starts.filter_map(path).map(|value| normal(&value.text)));
    found.retain(|path| !path.contains(['$', '{']));
    found
}

fn normal(path: &str) -> String {
    path.trim_start_matches("./").trim_matches('/').to_owned()
}

impl Group {
    /// True if a file belongs to the group.
    #[must_use]
    pub fn holds(&self, path: &str) -> bool {
        match &self.paths {
            Some(paths) => paths.hold(path),
            None => is_below(path, &self.root),
        }
    }
}

/// The groups of the settings. A pin outside all of them is shared.
fn named(texts: &[Text], pins: &mut [Pin], settings: &Settings) -> Vec<Group> {
    let groups: Vec<Group> = settings
        .groups
        .iter()
        .map(|(name, paths)| Group {
            name: name.clone(),
            root: paths.patterns().first().cloned().unwrap_or_default(),
            is_cluster: true,
            paths: Some(paths.clone()),
            is_guessed: false,
        })
        .collect();
    for pin in pins.iter_mut() {
        let path = texts.get(pin.file).map_or("", |text| &text.path);
        let own = groups
            .iter()
            .enumerate()
            .filter(|(_, group)| group.holds(path));
        pin.groups = own.map(|(number, _)| number).collect();
        if pin.groups.is_empty() {
            pin.groups = (0..groups.len()).collect();
        }
    }
    groups
}

/// Finds the groups, and gives each pin its own.
#[must_use]
pub fn group(texts: &[Text], pins: &mut [Pin], settings: &Settings) -> Vec<Group> {
    if !settings.groups.is_empty() {
        return named(texts, pins, settings);
    }
    let mut roots = clusters(texts, pins);
    let mut is_guessed = false;
    if roots.len() < 2 {
        let split = siblings(texts, pins);
        let apart = |root: &String| split.iter().any(|one| !is_within(one, root));
        if split.len() > 1 && roots.iter().all(apart) {
            roots = split;
            is_guessed = true;
        }
    }
    if roots.len() < 2 {
        for pin in pins.iter_mut() {
            pin.groups = vec![0];
        }
        return vec![Group {
            name: ".".to_owned(),
            root: String::new(),
            is_cluster: true,
            paths: None,
            is_guessed: false,
        }];
    }
    let names = names(&roots);
    let pairs = roots.iter().zip(names);
    let mut groups: Vec<Group> = pairs
        .map(|(root, name)| Group {
            name,
            root: root.clone(),
            is_cluster: true,
            paths: None,
            is_guessed,
        })
        .collect();
    let shared: Vec<usize> = (0..groups.len()).collect();
    for pin in pins.iter_mut() {
        let path = texts
            .get(pin.file)
            .map(|text| text.path.as_str())
            .unwrap_or_default();
        let own = roots.iter().position(|root| is_below(path, root));
        pin.groups = match own {
            Some(own) => vec![own],
            None if is_instance(pin) => vec![of_instance(path, &mut groups)],
            None => shared.clone(),
        };
    }
    groups
}

/// The folders of clusters that hold pins or HelmReleases, without those inside others.
fn clusters(texts: &[Text], pins: &[Pin]) -> Vec<String> {
    let holds = |root: &String| {
        let is_release = |text: &&Text| text.resources.iter().any(|one| one.kind == "HelmRelease");
        let releases = texts.iter().filter(is_release).map(|text| &text.path);
        let pinned = pins
            .iter()
            .filter_map(|pin| texts.get(pin.file))
            .map(|text| &text.path);
        releases.chain(pinned).any(|path| is_below(path, root))
    };
    let roots: Vec<String> = sync_paths(texts).into_iter().filter(holds).collect();
    let outermost = |root: &&String| {
        !roots
            .iter()
            .any(|other| other != *root && is_within(root, other))
    };
    roots.iter().filter(outermost).cloned().collect()
}

/// True if a folder is another or lies in it.
fn is_within(folder: &str, other: &str) -> bool {
    folder == other || is_below(folder, other)
}

/// Folders in which two files say the same thing at paths that differ in one folder alone.
fn siblings(texts: &[Text], pins: &[Pin]) -> Vec<String> {
    let mut roots = BTreeSet::new();
    let counting: Vec<&Pin> = pins
        .iter()
        .filter(|pin| pin.counts && pin.role == PinRole::Installs)
        .collect();
    for (number, left) in counting.iter().enumerate() {
        for right in counting.iter().skip(number + 1) {
            if left.form != right.form || kind(left) != kind(right) {
                continue;
            }
            let (Some(one), Some(other)) = (texts.get(left.file), texts.get(right.file)) else {
                continue;
            };
            if let Some((one, other)) = differing(&one.path, &other.path) {
                roots.extend([one, other]);
            }
        }
    }
    let roots: Vec<String> = roots.into_iter().collect();
    let outermost = |root: &&String| {
        !roots
            .iter()
            .any(|other| other != *root && is_within(root, other))
    };
    roots.iter().filter(outermost).cloned().collect()
}

/// The kind of the thing; names of objects may differ between clusters.
fn kind(pin: &Pin) -> (&str, bool) {
    let is_chart = pin.thing.starts_with("chart ");
    let first = if is_chart {
        pin.thing.as_str()
    } else {
        pin.thing.split(' ').next().unwrap_or_default()
    };
    (first, is_chart)
}

/// The two folders up to the one in which the paths differ.
fn differing(left: &str, right: &str) -> Option<(String, String)> {
    let (left, right): (Vec<&str>, Vec<&str>) =
        (left.split('/').collect(), right.split('/').collect());
    if left.len() != right.len() {
        return None;
    }
    let mut differences = left
        .iter()
        .zip(&right)
        .enumerate()
        .filter(|(_, (one, other))| one != other);
    let (at, (one, other)) = differences.next()?;
    // A bootstrap's folder makes the same cluster as the folder beside it.
    let is_boot = |name: &str| name.contains("boot") || name.starts_with("infra");
    if differences.next().is_some() || at + 1 == left.len() || is_boot(one) || is_boot(other) {
        return None;
    }
    let up_to = |path: &[&str]| path.get(..=at).map(|parts| parts.join("/"));
    Some((up_to(&left)?, up_to(&right)?))
}

/// The parts of the folders in which they differ.
fn names(roots: &[String]) -> Vec<String> {
    let parts: Vec<Vec<&str>> = roots.iter().map(|root| root.split('/').collect()).collect();
    let first = parts.first().cloned().unwrap_or_default();
    let shortest = parts
        .iter()
        .map(Vec::len)
        .min()
        .unwrap_or_default()
        .saturating_sub(1);
    let same = |at: usize, from_end: bool| {
        let pick = |path: &Vec<&str>| {
            let at = if from_end {
                path.len().checked_sub(at + 1)?
            } else {
                at
            };
            path.get(at).map(|part| (*part).to_owned())
        };
        let wanted = pick(&first);
        parts.iter().all(|path| pick(path) == wanted)
    };
    let front = (0..shortest).take_while(|at| same(*at, false)).count();
    let back = (0..shortest.saturating_sub(front))
        .take_while(|at| same(*at, true))
        .count();
    let name = |path: &Vec<&str>| {
        let kept = path.get(front..path.len() - back).unwrap_or_default();
        kept.join("/")
    };
    parts.iter().map(name).collect()
}

/// True for a pin that is an engine of its own, and no chart that several clusters may install.
fn is_instance(pin: &Pin) -> bool {
    matches!(
        pin.form,
        "flux-instance" | "gotk-components" | "flux-manifests"
    )
}

fn of_instance(path: &str, groups: &mut Vec<Group>) -> usize {
    let folder = path
        .rsplit_once('/')
        .map_or(".", |(folder, _)| folder)
        .to_owned();
    if let Some(known) = groups.iter().position(|group| group.root == folder) {
        return known;
    }
    groups.push(Group {
        name: folder.clone(),
        root: folder,
        is_cluster: false,
        paths: None,
        is_guessed: false,
    });
    groups.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(roots: &[&str]) -> Vec<String> {
        names(
            &roots
                .iter()
                .map(|root| (*root).to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn a_group_has_the_name_of_the_folder_that_differs() {
        assert_eq!(named(&["clusters/prod", "clusters/test"]), ["prod", "test"]);
        assert_eq!(named(&["k/one/flux", "k/two/flux"]), ["one", "two"]);
        assert_eq!(named(&["prod", "clusters/test"]), ["prod", "clusters/test"]);
    }

    #[test]
    fn paths_that_differ_in_more_than_a_folder_make_no_groups() {
        let two = differing("k/a/flux/x.yaml", "k/b/flux/x.yaml");
        assert_eq!(two, Some(("k/a".to_owned(), "k/b".to_owned())));
        assert_eq!(differing("k/a/x.yaml", "k/b/y.yaml"), None);
        assert_eq!(differing("k/x.yaml", "k/y.yaml"), None);
        assert_eq!(differing("bootstrap/x.yaml", "cluster/x.yaml"), None);
    }
}
