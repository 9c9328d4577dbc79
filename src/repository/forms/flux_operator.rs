//! The version of flux-operator, by its charts or its manifests.

use crate::repository::chart_use::{ChartTool, chart_uses};
use crate::repository::form::Form;
use crate::repository::index::Index;
use crate::repository::pin::{Draft, PinRole, Scale};
use crate::repository::text::{Text, Value};

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "flux-operator",
    role: PinRole::Installs,
    reads: "charts `flux-operator` and `flux-instance`, artifact `flux-operator-manifests`, by OCIRepository, HelmRelease, HelmChart, Application, helmfile or `helm upgrade`",
    passes: "a helmfile's release without a version, which it reads elsewhere; `flux-operator-mcp`",
    read,
};

const CHARTS: [&str; 2] = ["flux-operator", "flux-instance"];
const MANIFESTS: &str = "flux-operator-manifests";

fn read(text: &Text, index: &Index, drafts: &mut Vec<Draft>) {
    for used in chart_uses(text, index) {
        let is_artifact = used.by == ChartTool::OciRepository && used.name == MANIFESTS;
        let is_chart = CHARTS.contains(&used.name.as_str());
        // The OCIRepository has the version of a chart that is referred to.
        if !(is_artifact || is_chart) || matches!(used.by, ChartTool::ChartRef | ChartTool::Folder)
        {
            continue;
        }
        let thing = if is_artifact {
            format!("artifact {}", used.name)
        } else {
            format!("chart {}", used.name)
        };
        drafts.push(Draft {
            value: used.version,
            boots: used.by.boots(),
            ..Draft::installs(FORM.id, Scale::Operator, thing, used.at)
        });
    }
    artifacts(text, drafts);
}

/// The manifests that a FluxInstance names: `artifact: oci://…/flux-operator-manifests:v0.58.1`.
fn artifacts(text: &Text, drafts: &mut Vec<Draft>) {
    for at in text.find(MANIFESTS) {
        let line = text.line(at);
        let before = text.slice(line.start..at);
        let end = at + MANIFESTS.len();
        if !before.contains("artifact") || !text.slice(end..line.end).starts_with(':') {
            continue;
        }
        let value: Value = text.token(end + 1, &['"', '\'', ',', '}', '@']);
        drafts.push(Draft {
            value: Some(value),
            ..Draft::installs(
                FORM.id,
                Scale::Operator,
                format!("artifact {MANIFESTS}"),
                at..end,
            )
        });
    }
}
