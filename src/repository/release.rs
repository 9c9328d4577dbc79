//! The HelmReleases that bring Flux, through charts of the repository too.

use super::chart_use::{ChartTool, chart_uses};
use super::index::Index;
use super::{Repository, Resource, Text, Zone};
use crate::helm::release::HelmRelease;
use crate::object::Object;
use crate::yaml::spans::json;

/// The content of a HelmRelease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brings {
    /// Flux itself.
    Flux,
    /// flux-operator, or the FluxInstance that it installs.
    Operator,
}

/// A HelmRelease that brings Flux, and its file.
#[derive(Debug, Clone, Copy)]
pub struct EngineRelease<'a> {
    /// The HelmRelease.
    pub resource: &'a Resource,
    /// Its file.
    pub text: &'a Text,
    /// Its content.
    pub brings: Brings,
}

impl Repository {
    /// The HelmReleases that bring Flux, without those in examples.
    #[must_use]
    pub fn flux_releases(&self) -> Vec<EngineRelease<'_>> {
        let index = &self.index;
        let mut releases = Vec::new();
        for text in self.texts.iter().filter(|text| text.zone != Zone::Example) {
            for used in chart_uses(text, index) {
                let brings = match (used.by, used.name.as_str()) {
                    (ChartTool::Folder, _) => folder(index, &used.written),
                    (ChartTool::HelmRelease | ChartTool::ChartRef, "flux2") => Some(Brings::Flux),
                    (
                        ChartTool::HelmRelease | ChartTool::ChartRef,
                        "flux-operator" | "flux-instance",
                    ) => Some(Brings::Operator),
                    (ChartTool::HelmRelease | ChartTool::ChartRef, name) => local(index, name),
                    _ => None,
                };
                let resource = text
                    .resources
                    .iter()
                    .find(|one| one.kind == "HelmRelease" && one.told() == used.told);
                if let (Some(brings), Some(resource)) = (brings, resource) {
                    releases.push(EngineRelease {
                        resource,
                        text,
                        brings,
                    });
                }
            }
        }
        releases
    }
}

impl Repository {
    /// The HelmReleases with the name and namespace of another, with their files.
    #[must_use]
    pub fn same<'a>(&'a self, other: &Resource) -> Vec<(&'a Text, &'a Resource)> {
        let mut same = Vec::new();
        for text in self.texts.iter().filter(|text| text.zone != Zone::Example) {
            for resource in &text.resources {
                let names = |one: &Resource| {
                    (
                        one.group.clone(),
                        one.kind.clone(),
                        one.namespace.clone(),
                        one.name.clone(),
                    )
                };
                if names(resource) == names(other) {
                    same.push((text, resource));
                }
            }
        }
        same
    }
}

impl Resource {
    /// The spec of a HelmRelease.
    #[must_use]
    pub fn helm_release(&self) -> HelmRelease {
        HelmRelease::new(self.node.get("spec").map(json))
    }
}

impl Text {
    /// An object of this file for a finding, at the place of a value, else of the whole object.
    #[must_use]
    pub fn object(&self, resource: &Resource, path: &str) -> Object {
        let keys: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let node = resource.node.at(&keys);
        let span = node.map_or(&resource.node.span, |node| &node.span);
        Object {
            api_version: resource.api_version.clone(),
            kind: resource.kind.clone(),
            namespace: resource.namespace.clone(),
            name: resource.name.clone(),
            source: Some(self.range(span)),
            ..Object::default()
        }
    }
}

fn folder(index: &Index, path: &str) -> Option<Brings> {
    let (number, _) = index.chart_at(path)?;
    index.flux_of(number).map(|_| Brings::Flux)
}

fn local(index: &Index, name: &str) -> Option<Brings> {
    let (number, _) = index.chart(name)?;
    index.flux_of(number).map(|_| Brings::Flux)
}
