//! The places of a file that install a Helm chart, by any tool.

use std::ops::Range;

use super::hcl::blocks;
use super::index::Index;
use super::text::{Resource, Text, Value};
use crate::yaml::spans::Node;

/// A chart that a file installs.
#[derive(Debug)]
pub struct ChartUse<'a> {
    /// The chart's name: the last segment of its reference.
    pub name: String,
    /// The chart as written, maybe with a repository or path in front.
    pub written: String,
    /// The URL of its repository, if the files tell.
    pub url: Option<String>,
    /// The version, if the file names one.
    pub version: Option<Value>,
    /// The bytes of the chart's name.
    pub at: Range<usize>,
    /// The tool that installs it.
    pub by: ChartTool,
    /// The object or program that installs it, for a message.
    pub told: String,
    /// Its values.
    pub values: Option<&'a Node>,
    /// True if more values come from elsewhere.
    pub has_other_values: bool,
}

/// A tool that installs charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChartTool {
    /// A HelmRelease with its own chart.
    HelmRelease,
    /// A HelmRelease whose chart is an OCIRepository, which has the version.
    ChartRef,
    /// An OCIRepository of a chart.
    OciRepository,
    /// A chart in a folder of a GitRepository or Bucket; the version is not used.
    Folder,
    /// A HelmChart of k3s.
    K3s,
    /// An Application of Argo CD.
    Argo,
    /// A helmfile.
    Helmfile,
    /// The command `helm`.
    Command,
    /// A `helm_release` of Terraform.
    Terraform,
}

impl ChartTool {
    /// True if the tool installs before Flux reconciles.
    #[must_use]
    pub fn boots(self) -> bool {
        matches!(
            self,
            Self::K3s | Self::Helmfile | Self::Command | Self::Terraform
        )
    }
}

/// Every chart that a file installs.
#[must_use]
pub fn chart_uses<'a>(text: &'a Text, index: &Index) -> Vec<ChartUse<'a>> {
    let mut uses = Vec::new();
    for resource in &text.resources {
        match (resource.group.as_str(), resource.kind.as_str()) {
            ("helm.toolkit.fluxcd.io", "HelmRelease") => uses.extend(release(resource, index)),
            ("source.toolkit.fluxcd.io", "OCIRepository") => uses.extend(oci(resource)),
            ("helm.cattle.io", "HelmChart") => uses.extend(k3s(resource)),
            ("argoproj.io", "Application") => argo(resource, &mut uses),
            _ => {}
        }
    }
    for node in &text.nodes {
        helmfile(node, &mut uses);
    }
    commands(text, &mut uses);
    terraform(text, &mut uses);
    uses
}

fn plain<'a>(name: &Node, by: ChartTool, told: String) -> Option<ChartUse<'a>> {
    let value = Value::of(name)?;
    Some(ChartUse {
        name: last(&value.text).to_owned(),
        written: value.text,
        url: None,
        version: None,
        at: value.span,
        by,
        told,
        values: None,
        has_other_values: false,
    })
}

/// The last segment of a reference to a chart.
fn last(reference: &str) -> &str {
    reference
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(reference)
}

fn release<'a>(resource: &'a Resource, index: &Index) -> Option<ChartUse<'a>> {
    let spec = resource.node.get("spec")?;
    let values = spec.get("values");
    let has_other_values = spec.get("valuesFrom").is_some();
    if let Some(chart) = spec.at(&["chart", "spec"]) {
        let kind = chart.text_at(&["sourceRef", "kind"]).unwrap_or_default();
        let source = chart.text_at(&["sourceRef", "name"]).unwrap_or_default();
        let by = if kind == "HelmRepository" {
            ChartTool::HelmRelease
        } else {
            ChartTool::Folder
        };
        let found = plain(chart.get("chart")?, by, resource.told())?;
        let version = chart.get("version").and_then(Value::of);
        return Some(ChartUse {
            url: index.helm.get(source).cloned(),
            version,
            values,
            has_other_values,
            ..found
        });
    }
    let name = spec.at(&["chartRef", "name"])?;
    let url = index.oci.get(name.text()?);
    let found = plain(name, ChartTool::ChartRef, resource.told())?;
    let written = url.cloned().unwrap_or_else(|| found.name.clone());
    Some(ChartUse {
        name: last(&written).to_owned(),
        written,
        url: url.cloned(),
        values,
        has_other_values,
        ..found
    })
}

fn oci<'a>(resource: &Resource) -> Option<ChartUse<'a>> {
    let spec = resource.node.get("spec")?;
    let found = plain(spec.get("url")?, ChartTool::OciRepository, resource.told())?;
    let reference = spec.get("ref");
    // A digest beats the range, which beats the tag.
    let wanted = ["digest", "semver", "tag"].iter();
    let version = wanted
        .filter_map(|key| reference?.get(key))
        .find_map(Value::of);
    let at = version
        .as_ref()
        .map_or(found.at.clone(), |version| version.span.clone());
    Some(ChartUse {
        url: Some(found.written.clone()),
        version,
        at,
        ..found
    })
}

fn k3s(resource: &Resource) -> Option<ChartUse<'_>> {
    let spec = resource.node.get("spec")?;
    let found = plain(spec.get("chart")?, ChartTool::K3s, resource.told())?;
    let url = spec.text_at(&["repo"]).map(str::to_owned);
    Some(ChartUse {
        url,
        version: spec.get("version").and_then(Value::of),
        ..found
    })
}

fn argo<'a>(resource: &'a Resource, uses: &mut Vec<ChartUse<'a>>) {
    let Some(spec) = resource.node.get("spec") else {
        return;
    };
    let many = spec.get("sources").map_or(&[][..], Node::items);
    for source in spec.get("source").into_iter().chain(many) {
        let name = source.get("chart");
        let Some(found) = name.and_then(|name| plain(name, ChartTool::Argo, resource.told()))
        else {
            continue;
        };
        let url = source.text_at(&["repoURL"]).map(str::to_owned);
        let version = source.get("targetRevision").and_then(Value::of);
        let values = source.at(&["helm", "valuesObject"]);
        uses.push(ChartUse {
            url,
            version,
            values,
            has_other_values: true,
            ..found
        });
    }
}

/// A helmfile's releases. Without a version, a helmfile reads it elsewhere: that is no pin.
fn helmfile<'a>(node: &'a Node, uses: &mut Vec<ChartUse<'a>>) {
    for release in node.get("releases").map_or(&[][..], Node::items) {
        let version = release.get("version").and_then(Value::of);
        let name = release.text_at(&["name"]).unwrap_or_default();
        let chart = release.get("chart");
        let found = chart.and_then(|chart| {
            plain(
                chart,
                ChartTool::Helmfile,
                format!("helmfile's release {name}"),
            )
        });
        if let (Some(found), Some(version)) = (found, version) {
            uses.push(ChartUse {
                version: Some(version),
                has_other_values: true,
                ..found
            });
        }
    }
}

/// Resources `helm_release`.
fn terraform(text: &Text, uses: &mut Vec<ChartUse<'_>>) {
    for block in blocks(text, "resource \"helm_release\"") {
        let Some(chart) = block.literal("chart") else {
            continue;
        };
        uses.push(ChartUse {
            name: last(&chart.text).to_owned(),
            written: chart.text,
            url: block.literal("repository").map(|url| url.text),
            version: block.value("version"),
            at: chart.span,
            by: ChartTool::Terraform,
            told: "a helm_release".to_owned(),
            values: None,
            has_other_values: true,
        });
    }
}

/// Commands `helm install|upgrade|template|pull … CHART … --version V`.
fn commands(text: &Text, uses: &mut Vec<ChartUse<'_>>) {
    for start in text.find("helm ") {
        let words = words(text, start);
        let verb = words
            .iter()
            .skip(1)
            .find(|word| !word.text.starts_with('-'));
        if !verb.is_some_and(|verb| matches!(verb.text.as_str(), "install" | "upgrade")) {
            continue;
        }
        let is_chart =
            |word: &&Value| word.text.contains('/') && !word.text.starts_with(['-', '.', '$']);
        let known = ["flux2", "flux-operator", "flux-instance"];
        let chart = words
            .iter()
            .skip(2)
            .filter(is_chart)
            .find(|word| known.contains(&last(&word.text)));
        let Some(chart) = chart else {
            continue;
        };
        let mut version = None;
        for (place, word) in words.iter().enumerate() {
            if word.text == "--version" {
                version = words.get(place + 1).cloned();
            } else if let Some(own) = word.text.strip_prefix("--version=") {
                let start = word.span.end - own.len();
                version = Some(unquoted(own, start));
            }
        }
        uses.push(ChartUse {
            name: last(&chart.text).to_owned(),
            written: chart.text.clone(),
            url: None,
            version,
            at: chart.span.clone(),
            by: ChartTool::Command,
            told: "the command helm".to_owned(),
            values: None,
            has_other_values: true,
        });
    }
}

/// The words of a command, over lines that a backslash continues.
#[must_use]
pub fn words(text: &Text, start: usize) -> Vec<Value> {
    let mut words = Vec::new();
    let mut line = start..text.line(start).end;
    loop {
        let mut at = line.start;
        let mut continues = false;
        while at < line.end {
            let rest = text.slice(at..line.end);
            let blank = rest.len() - rest.trim_start().len();
            if blank > 0 {
                at += blank;
                continue;
            }
            let word = text.token(at, &[';', '|', '&']);
            if word.text.is_empty() || word.text.starts_with('#') {
                return words;
            }
            at = word.span.end;
            continues = word.text == "\\";
            if !continues {
                words.push(unquoted(&word.text, word.span.start));
            }
        }
        let next = text.line(line.end + 1);
        if !continues || next.start <= line.start {
            return words;
        }
        line = next;
    }
}

fn unquoted(text: &str, start: usize) -> Value {
    let inner = text.trim_matches(['"', '\'', ',']);
    let skipped = text.find(inner).unwrap_or_default();
    let start = start + skipped;
    Value {
        text: inner.to_owned(),
        span: start..start + inner.len(),
    }
}
