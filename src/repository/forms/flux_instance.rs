//! The version of a FluxInstance, which flux-operator installs.

use crate::repository::chart_use::chart_uses;
use crate::repository::form::Form;
use crate::repository::index::Index;
use crate::repository::pin::{Draft, PinRole, Scale};
use crate::repository::text::{Text, Value};
use crate::yaml::spans::Node;

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "flux-instance",
    role: PinRole::Installs,
    reads: "`spec.distribution.version` of a FluxInstance, and `instance.distribution.version` in values of the chart `flux-instance`",
    passes: "a `distribution.version` of any other kind or chart",
    read,
};

/// The chart's default of `instance.distribution.version`.
const DEFAULT: &str = "2.x";

fn read(text: &Text, index: &Index, drafts: &mut Vec<Draft>) {
    for resource in &text.resources {
        let distribution = resource.node.at(&["spec", "distribution"]);
        if !resource.is("fluxcd.controlplane.io", "FluxInstance") {
            continue;
        }
        if let Some(version) = distribution.and_then(|node| node.get("version")) {
            drafts.extend(draft(version, resource.told()));
        }
    }
    for used in chart_uses(text, index) {
        let is_release = used.by != crate::repository::chart_use::ChartTool::OciRepository;
        if used.name != "flux-instance" || !is_release {
            continue;
        }
        let own = used
            .values
            .and_then(|values| values.at(&["instance", "distribution", "version"]));
        match own {
            Some(version) => drafts.extend(draft(version, used.told)),
            None if !used.has_other_values => drafts.push(Draft {
                implied: Some(DEFAULT),
                ..Draft::installs(FORM.id, Scale::Instance, used.told, used.at)
            }),
            None => {}
        }
    }
    if let Some(node) = values(text) {
        drafts.extend(draft(node, "values of chart flux-instance".to_owned()));
    }
}

/// The version in a file of values alone, which a HelmRelease reads through a ConfigMap.
fn values(text: &Text) -> Option<&Node> {
    let root = text.nodes.first().filter(|_| text.resources.is_empty())?;
    let distribution = root.at(&["instance", "distribution"])?;
    let is_flux = distribution
        .get("artifact")
        .or_else(|| distribution.get("registry"))
        .is_some()
        || root.at(&["instance", "sync"]).is_some()
        || root.at(&["instance", "components"]).is_some()
        || root.at(&["instance", "cluster"]).is_some();
    distribution.get("version").filter(|_| is_flux)
}

fn draft(version: &Node, thing: String) -> Option<Draft> {
    let value = Value::of(version)?;
    let at = value.span.clone();
    Some(Draft {
        value: Some(value),
        ..Draft::installs(FORM.id, Scale::Instance, thing, at)
    })
}
