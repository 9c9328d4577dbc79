//! The community's chart `flux2`, installed by any tool.

use crate::repository::chart_use::{ChartTool, ChartUse, chart_uses};
use crate::repository::form::Form;
use crate::repository::index::Index;
use crate::repository::pin::{Draft, PinRole, Scale};
use crate::repository::text::Text;

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "community-chart",
    role: PinRole::Installs,
    reads: "chart `flux2` by HelmRelease, OCIRepository, HelmChart, Application, helmfile or `helm upgrade`",
    passes: "charts `flux2-sync`, `flagger` and others; a Release of Crossplane, which goes to another cluster",
    read,
};

fn read(text: &Text, index: &Index, drafts: &mut Vec<Draft>) {
    for used in chart_uses(text, index) {
        if !is_flux(&used) {
            continue;
        }
        drafts.push(Draft {
            value: used.version,
            boots: used.by.boots(),
            ..Draft::installs(FORM.id, Scale::Chart, "chart flux2".to_owned(), used.at)
        });
    }
}

fn is_flux(used: &ChartUse<'_>) -> bool {
    // `oci://…/flux2` is also the name of images; a chart's repository says so.
    let is_chart = used.by != ChartTool::OciRepository || used.written.contains("chart");
    used.name == "flux2" && is_chart && !matches!(used.by, ChartTool::ChartRef | ChartTool::Folder)
}
