//! Values that repeat a version of the chart `flux2`, or of a chart that brings it.

use crate::case::target_flux::FLUX_VERSION;
use crate::repository::form::Form;
use crate::repository::index::{Index, LocalChart};
use crate::repository::pin::{Draft, Original, PinRole, Scale};
use crate::repository::text::{Text, Value};
use crate::yaml::spans::{Node, NodeBody};

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "mirror",
    role: PinRole::Mirrors,
    reads: "a map with `chart: flux2` and `version` in values, the `appVersion` of a chart that brings Flux, the annotation `fluxkeep.io/flux-version`, the label `helm.sh/chart: flux2-…`, a custom resource that has the name of a chart that brings Flux and `spec.version`",
    passes: "an `appVersion` that is no release of Flux: it is the chart's own number",
    read,
};

fn read(text: &Text, index: &Index, drafts: &mut Vec<Draft>) {
    if text.resources.is_empty() && text.name() != "Chart.yaml" {
        for node in &text.nodes {
            maps(node, drafts);
        }
    }
    for (number, chart) in index.charts.iter().enumerate() {
        if chart.folder == text.folder() && text.name() == "Chart.yaml" {
            drafts.extend(app_version(number, chart, index));
        }
    }
    for resource in &text.resources {
        annotation(text, &resource.node, index, drafts);
        if let Some((number, _)) = index.chart(&resource.name)
            && index.flux_of(number).is_some()
            && is_custom(&resource.group)
        {
            let version = resource.node.at(&["spec", "version"]).and_then(Value::of);
            drafts.extend(version.map(|version| {
                mirror(
                    version,
                    resource.told(),
                    Scale::Local(number),
                    Original::VersionOf(number),
                )
            }));
        }
    }
    labels(text, drafts);
}

fn mirror(value: Value, thing: String, scale: Scale, of: Original) -> Draft {
    let at = value.span.clone();
    Draft {
        role: PinRole::Mirrors,
        value: Some(value),
        of: Some(of),
        ..Draft::installs(FORM.id, scale, thing, at)
    }
}

/// Maps with `chart: flux2` and a version.
fn maps(node: &Node, drafts: &mut Vec<Draft>) {
    match &node.body {
        NodeBody::Map(entries) => {
            if node.text_at(&["chart"]) == Some("flux2")
                && let Some(version) = node.get("version").and_then(Value::of)
            {
                drafts.push(mirror(
                    version,
                    "values for chart flux2".to_owned(),
                    Scale::Chart,
                    Original::Chart,
                ));
            }
            for (_, value) in entries {
                maps(value, drafts);
            }
        }
        NodeBody::Seq(items) => {
            for item in items {
                // A helmfile's releases are no mirrors: they install.
                if item.get("namespace").is_none() {
                    maps(item, drafts);
                }
            }
        }
        NodeBody::Scalar(..) => {}
    }
}

fn app_version(number: usize, chart: &LocalChart, index: &Index) -> Option<Draft> {
    let value = chart.app_version.clone()?;
    index.flux_of(number)?;
    Some(mirror(
        value,
        format!("appVersion of chart {}", chart.name),
        Scale::Flux,
        Original::FluxOf(number),
    ))
}

fn annotation(text: &Text, node: &Node, index: &Index, drafts: &mut Vec<Draft>) {
    let Some(value) = node
        .at(&["metadata", "annotations", FLUX_VERSION])
        .and_then(Value::of)
    else {
        return;
    };
    let name = node
        .text_at(&["spec", "chart", "spec", "chart"])
        .unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    let chart = index
        .chart(name)
        .filter(|(number, _)| index.flux_of(*number).is_some());
    let thing = format!("annotation {FLUX_VERSION}");
    let of = chart.map_or(Original::Chart, |(number, _)| Original::FluxOf(number));
    if chart.is_some() || name == "flux2" {
        drafts.push(mirror(value, thing, Scale::Flux, of));
    }
    let _ = text;
}

/// Labels `helm.sh/chart: flux2-2.13.0`.
fn labels(text: &Text, drafts: &mut Vec<Draft>) {
    for at in text.find("helm.sh/chart: flux2-") {
        let value = text.token(at + "helm.sh/chart: flux2-".len(), &['"', '\'', ',', '}']);
        drafts.push(mirror(
            value,
            "label helm.sh/chart".to_owned(),
            Scale::Chart,
            Original::Chart,
        ));
    }
}

/// True for a group that is neither Kubernetes' nor Flux's.
fn is_custom(group: &str) -> bool {
    let known = [
        "k8s.io",
        "fluxcd.io",
        "controlplane.io",
        "argoproj.io",
        "cattle.io",
    ];
    group.contains('.') && !known.iter().any(|known| group.ends_with(known))
}
