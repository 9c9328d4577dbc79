//! Controllers that a repository's files switch off: in values of the chart `flux2`, in a
//! FluxInstance's components, in the header of `gotk-components.yaml`.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::case::finding::{Finding, Level};
use crate::flux::engine::{CORE, OPTIONAL};
use crate::repository::release::Brings;
use crate::repository::{Group, Repository, Resource, Text, Zone};
use crate::yaml::spans::Node;

/// A controller's key in the values of the chart `flux2`.
const KEYS: [(&str, &str); 6] = [
    ("helmController", "helm-controller"),
    ("imageAutomationController", "image-automation-controller"),
    ("imageReflectionController", "image-reflector-controller"),
    ("kustomizeController", "kustomize-controller"),
    ("notificationController", "notification-controller"),
    ("sourceController", "source-controller"),
];

/// The kinds that a controller reconciles.
const KINDS: [(&str, &[&str]); 7] = [
    ("helm-controller", &["HelmRelease"]),
    ("image-automation-controller", &["ImageUpdateAutomation"]),
    (
        "image-reflector-controller",
        &["ImageRepository", "ImagePolicy"],
    ),
    ("kustomize-controller", &["Kustomization"]),
    (
        "notification-controller",
        &["Alert", "Provider", "Receiver"],
    ),
    (
        "source-controller",
        &[
            "Bucket",
            "GitRepository",
            "HelmChart",
            "HelmRepository",
            "OCIRepository",
        ],
    ),
    ("source-watcher", &["ArtifactGenerator"]),
];

/// A controller that a file switches off, and the bytes that do it.
struct Off<'a> {
    text: &'a Text,
    controller: &'static str,
    span: Range<usize>,
    told: String,
}

/// The controllers that the repository switches off.
pub(super) fn switched_off(repository: &Repository) -> Vec<Finding> {
    let mut off = charts(repository);
    off.extend(releases(repository));
    for text in repository
        .texts
        .iter()
        .filter(|text| text.zone != Zone::Example)
    {
        off.extend(instances(text));
        off.extend(header(text));
    }
    off.iter()
        .filter_map(|one| finding(repository, one))
        .collect()
}

fn finding(repository: &Repository, off: &Off<'_>) -> Option<Finding> {
    let needing = needing(repository, off)?;
    let is_core = CORE.contains(&off.controller);
    let level = match (needing.is_empty(), is_core) {
        (false, true) => Level::Enforce,
        (false, false) => Level::Warn,
        (true, true) => Level::Audit,
        (true, false) => return None,
    };
    let what = match needing.split_first() {
        Some((first, [])) => format!("{first} needs it"),
        Some((first, rest)) => format!("{first} and {} more need it", rest.len()),
        None => "nothing here needs it".to_owned(),
    };
    let message = format!("{} and {what}", off.told);
    let remedy = format!("Switch {} on", off.controller);
    let source = off.text.place(off.span.start);
    Some(Finding::at(Some(source), message, remedy).at_most(level))
}

/// The objects that need a controller, in the clusters that the file belongs to. `None` for a file
/// of no known cluster.
fn needing(repository: &Repository, off: &Off<'_>) -> Option<Vec<String>> {
    let clusters = repository
        .groups
        .iter()
        .filter(|group| group.is_cluster && !group.is_guessed);
    let own = clusters.clone().filter(|group| group.holds(&off.text.path));
    let own: Vec<&Group> = own.collect();
    let is_instance = repository
        .groups
        .iter()
        .any(|group| !group.is_cluster && group.holds(&off.text.path));
    let groups: Vec<&Group> = if own.is_empty() {
        clusters.collect()
    } else {
        own
    };
    if groups.is_empty() || is_instance {
        return None;
    }
    let kinds = KINDS
        .iter()
        .find(|(name, _)| *name == off.controller)
        .map_or(&[][..], |(_, kinds)| kinds);
    let mut found = BTreeSet::new();
    for text in repository
        .texts
        .iter()
        .filter(|text| text.zone == Zone::Cluster)
    {
        if !groups.iter().any(|group| group.holds(&text.path)) {
            continue;
        }
        let needs = text
            .resources
            .iter()
            .filter(|one| is_flux(one) && kinds.contains(&one.kind.as_str()));
        found.extend(needs.map(Resource::told));
    }
    Some(found.into_iter().collect())
}

fn is_flux(resource: &Resource) -> bool {
    resource.group.ends_with("toolkit.fluxcd.io") || resource.group == "source.extensions.fluxcd.io"
}

/// Values of charts in the repository, under the dependency's alias.
fn charts(repository: &Repository) -> Vec<Off<'_>> {
    let mut off = Vec::new();
    for chart in &repository.index.charts {
        let values = repository
            .texts
            .iter()
            .find(|text| text.name() == "values.yaml" && text.folder() == chart.folder);
        let Some(text) = values.filter(|text| text.zone != Zone::Example) else {
            continue;
        };
        for dependency in chart.dependencies.iter().filter(|one| one.is_flux()) {
            let node = text
                .nodes
                .first()
                .and_then(|node| node.get(&dependency.alias));
            off.extend(node.into_iter().flat_map(|node| keys(text, node)));
        }
    }
    off
}

/// Values of HelmReleases, at the top for the chart `flux2`, under the alias for a chart with it.
fn releases(repository: &Repository) -> Vec<Off<'_>> {
    let mut off = Vec::new();
    for release in repository.flux_releases() {
        let values = release.resource.node.at(&["spec", "values"]);
        let Some(values) = values.filter(|_| release.brings == Brings::Flux) else {
            continue;
        };
        off.extend(keys(release.text, values));
        for dependency in repository
            .index
            .charts
            .iter()
            .flat_map(|chart| &chart.dependencies)
        {
            let below = values
                .get(&dependency.alias)
                .filter(|_| dependency.is_flux());
            off.extend(below.into_iter().flat_map(|node| keys(release.text, node)));
        }
    }
    off
}

fn keys<'a>(text: &'a Text, values: &'a Node) -> Vec<Off<'a>> {
    let mut off = Vec::new();
    for (key, controller) in KEYS {
        let create = values
            .at(&[key, "create"])
            .filter(|create| create.text() == Some("false"));
        off.extend(create.map(|create| Off {
            text,
            controller,
            span: create.span.clone(),
            told: format!("{key}.create: false switches {controller} off,"),
        }));
    }
    off
}

/// The components of FluxInstances that list some controllers and not others.
fn instances(text: &Text) -> Vec<Off<'_>> {
    let mut off = Vec::new();
    for resource in &text.resources {
        let components = match resource.kind.as_str() {
            "FluxInstance" => resource.node.at(&["spec", "components"]),
            "HelmRelease" => resource
                .node
                .at(&["spec", "values", "instance", "components"]),
            _ => None,
        };
        let Some(components) = components.filter(|node| !node.items().is_empty()) else {
            continue;
        };
        let listed: Vec<&str> = components.items().iter().filter_map(Node::text).collect();
        let told = format!("the components of {} lack", resource.told());
        off.extend(absent(text, &listed, &components.span, &told));
    }
    off
}

/// The header `# Components:` of `gotk-components.yaml`.
fn header(text: &Text) -> Vec<Off<'_>> {
    let line = text
        .lines()
        .take(20)
        .find(|line| text.slice(line.clone()).starts_with("# Components:"));
    let Some(line) = line else {
        return Vec::new();
    };
    let list = text
        .slice(line.clone())
        .trim_start_matches("# Components:")
        .to_owned();
    let listed: Vec<&str> = list.split(',').map(str::trim).collect();
    absent(text, &listed, &line, "the components lack")
}

fn absent<'a>(text: &'a Text, listed: &[&str], span: &Range<usize>, told: &str) -> Vec<Off<'a>> {
    let missing = CORE
        .into_iter()
        .chain(OPTIONAL)
        .filter(|name| !listed.contains(name));
    let off = |controller: &'static str| Off {
        text,
        controller,
        span: span.clone(),
        told: format!("{told} {controller},"),
    };
    missing.map(off).collect()
}
