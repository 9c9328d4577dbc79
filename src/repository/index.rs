//! Look-ups across files: the repository's charts and the sources that it names.

use std::collections::BTreeMap;

use super::hcl::blocks;
use super::settings::NamedPin;
use super::text::{Text, Value};
use crate::yaml::spans::Node;

/// A chart whose sources lie in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalChart {
    /// The index of its Chart.yaml.
    pub file: usize,
    /// The folder of its Chart.yaml.
    pub folder: String,
    /// `name`.
    pub name: String,
    /// `version`.
    pub version: Option<Value>,
    /// `appVersion`.
    pub app_version: Option<Value>,
    /// Its dependencies.
    pub dependencies: Vec<Dependency>,
}

/// A dependency of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// `name`.
    pub name: Value,
    /// The key of its values: the alias, else the name.
    pub alias: String,
    /// `version`.
    pub version: Option<Value>,
    /// `repository`.
    pub repository: String,
    /// The exact version that Chart.lock names for it.
    pub locked: Option<String>,
}

/// The repository's charts and sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// The charts, in the order of their paths.
    pub charts: Vec<LocalChart>,
    /// URL by name of an OCIRepository.
    pub oci: BTreeMap<String, String>,
    /// URL by name of a HelmRepository.
    pub helm: BTreeMap<String, String>,
    /// The path of a `flux_bootstrap_git` without a version: the provider's default counts.
    pub provider_bootstraps: Option<String>,
    /// The pins that the settings name.
    pub named: Vec<NamedPin>,
    /// Paths of Kustomizations by name of their source.
    pub paths: BTreeMap<String, Vec<String>>,
}

impl Index {
    /// Reads the texts.
    #[must_use]
    pub fn of(texts: &[Text]) -> Self {
        let mut index = Self::default();
        for (file, text) in texts.iter().enumerate() {
            if text.name() == "Chart.yaml" {
                let locks = locks(texts, text.folder());
                index.charts.extend(
                    text.nodes
                        .first()
                        .and_then(|node| chart(file, text, node, &locks)),
                );
            }
            for block in blocks(text, "resource \"flux_bootstrap_git\"") {
                if block.value("version").is_none() {
                    let path = block.literal("path").map(|path| path.text);
                    index.provider_bootstraps = Some(path.unwrap_or_default());
                }
            }
            for resource in &text.resources {
                let node = &resource.node;
                let url = node
                    .text_at(&["spec", "url"])
                    .unwrap_or_default()
                    .to_owned();
                match resource.kind.as_str() {
                    "OCIRepository" => index.oci.insert(resource.name.clone(), url),
                    "HelmRepository" => index.helm.insert(resource.name.clone(), url),
                    "Kustomization" => {
                        index.path(node);
                        None
                    }
                    _ => None,
                };
            }
        }
        index
    }

    fn path(&mut self, node: &Node) {
        let source = node.text_at(&["spec", "sourceRef", "name"]);
        let path = node.text_at(&["spec", "path"]);
        if let (Some(source), Some(path)) = (source, path) {
            let path = path.trim_start_matches("./").to_owned();
            self.paths.entry(source.to_owned()).or_default().push(path);
        }
    }

    /// The chart of this name, unless it is one of the community's own names.
    #[must_use]
    pub fn chart(&self, name: &str) -> Option<(usize, &LocalChart)> {
        self.charts
            .iter()
            .enumerate()
            .find(|(_, chart)| chart.name == name)
    }

    /// The chart in this folder.
    #[must_use]
    pub fn chart_at(&self, folder: &str) -> Option<(usize, &LocalChart)> {
        let folder = folder.trim_start_matches("./").trim_end_matches('/');
        self.charts
            .iter()
            .enumerate()
            .find(|(_, chart)| chart.folder == folder)
    }

    /// The dependency `flux2` of a chart, through charts of this repository that it depends on:
    /// the chart that names it, and its place there.
    #[must_use]
    pub fn flux_of(&self, chart: usize) -> Option<(usize, usize)> {
        let mut seen = vec![chart];
        let mut at = 0;
        while let Some(number) = seen.get(at).copied() {
            let dependencies = self
                .charts
                .get(number)
                .map(|chart| chart.dependencies.as_slice());
            for (place, dependency) in dependencies.unwrap_or_default().iter().enumerate() {
                if dependency.is_flux() {
                    return Some((number, place));
                }
                let inner = self
                    .inner(number, dependency)
                    .filter(|inner| !seen.contains(inner));
                seen.extend(inner);
            }
            at += 1;
        }
        None
    }

    /// The chart in this repository that a dependency names: by `file://`, else by its name.
    #[must_use]
    pub fn inner(&self, chart: usize, dependency: &Dependency) -> Option<usize> {
        let found = match dependency.repository.strip_prefix("file://") {
            Some(path) => {
                let own = self.charts.get(chart)?;
                self.chart_at(&joined(&own.folder, path))
            }
            None => self.chart(&dependency.name.text),
        };
        found
            .map(|(number, _)| number)
            .filter(|number| *number != chart)
    }
}

impl Dependency {
    /// True for the community's chart.
    #[must_use]
    pub fn is_flux(&self) -> bool {
        self.name.text == "flux2" && !self.repository.starts_with("file://")
    }
}

/// A path relative to a folder, without `.` and `..`.
pub(super) fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn chart(
    file: usize,
    text: &Text,
    node: &Node,
    locks: &BTreeMap<String, String>,
) -> Option<LocalChart> {
    let dependencies = node.get("dependencies").map_or(&[][..], Node::items);
    let dependency = |node: &Node| {
        let name = Value::of(node.get("name")?)?;
        let alias = node.text_at(&["alias"]).unwrap_or(&name.text).to_owned();
        Some(Dependency {
            alias,
            version: node.get("version").and_then(Value::of),
            repository: node.text_at(&["repository"]).unwrap_or_default().to_owned(),
            locked: locks.get(&name.text).cloned(),
            name,
        })
    };
    Some(LocalChart {
        file,
        folder: text.folder().to_owned(),
        name: node.text_at(&["name"])?.to_owned(),
        version: node.get("version").and_then(Value::of),
        app_version: node.get("appVersion").and_then(Value::of),
        dependencies: dependencies.iter().filter_map(dependency).collect(),
    })
}

/// The versions that the lock of a chart's folder names, by dependency.
fn locks(texts: &[Text], folder: &str) -> BTreeMap<String, String> {
    let mut locks = BTreeMap::new();
    let lock = texts
        .iter()
        .find(|text| text.name() == "Chart.lock" && text.folder() == folder);
    let nodes = lock.map_or(&[][..], |text| text.nodes.as_slice());
    for dependency in nodes
        .iter()
        .filter_map(|node| node.get("dependencies"))
        .flat_map(Node::items)
    {
        let name = dependency.text_at(&["name"]).unwrap_or_default();
        let version = dependency.text_at(&["version"]).unwrap_or_default();
        locks.insert(name.to_owned(), version.to_owned());
    }
    // A packaged chart beats the lock: Helm renders the package.
    let packages = texts
        .iter()
        .filter(|text| text.folder() == format!("{folder}/charts"));
    for package in packages {
        let name = package.name().strip_suffix(".tgz").unwrap_or_default();
        if let Some(version) = name.strip_prefix("flux2-") {
            locks.insert("flux2".to_owned(), version.to_owned());
        }
    }
    locks
}
