//! A chart of this repository that brings Flux, installed by a HelmRelease.

use crate::repository::chart_use::{ChartTool, ChartUse, chart_uses};
use crate::repository::form::Form;
use crate::repository::index::Index;
use crate::repository::pin::{Draft, Original, PinRole, Scale};
use crate::repository::text::Text;

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "local-chart",
    role: PinRole::Installs,
    reads: "the version at which a HelmRelease, Application or helmfile installs a chart of this repository that brings Flux",
    passes: "a chart of the same name from a public registry; a chart in a folder of a GitRepository, whose version is not used",
    read,
};

/// Registries of others. A chart there only shares its name with a chart of this repository.
const PUBLIC: [&str; 5] = [
    "fluxcd-community",
    "controlplaneio-fluxcd",
    "bitnami",
    "prometheus-community",
    "charts.helm.sh",
];

fn read(text: &Text, index: &Index, drafts: &mut Vec<Draft>) {
    for used in chart_uses(text, index) {
        let Some((number, chart)) = index.chart(&used.name) else {
            continue;
        };
        let is_versioned = matches!(
            used.by,
            ChartTool::HelmRelease
                | ChartTool::Argo
                | ChartTool::Helmfile
                | ChartTool::OciRepository
        );
        if !is_versioned
            || used.version.is_none()
            || is_public(&used)
            || index.flux_of(number).is_none()
        {
            continue;
        }
        drafts.push(Draft {
            value: used.version,
            of: Some(Original::VersionOf(number)),
            ..Draft::installs(
                FORM.id,
                Scale::Local(number),
                format!("chart {}", chart.name),
                used.at,
            )
        });
    }
}

fn is_public(used: &ChartUse<'_>) -> bool {
    let url = used.url.as_deref().unwrap_or_default();
    used.name == "flux2"
        || PUBLIC
            .iter()
            .any(|name| url.contains(name) || used.written.contains(name))
}
