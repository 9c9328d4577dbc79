//! The chart `flux2` as a dependency of another chart.

use crate::repository::form::Form;
use crate::repository::index::{Dependency, Index};
use crate::repository::pin::{Draft, Original, PinRole, Scale};
use crate::repository::text::Text;

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "chart-dependency",
    role: PinRole::Installs,
    reads: "dependency `flux2` of a Chart.yaml, at the version that Chart.lock or a package in `charts/` fixes; dependencies on a chart of this repository that brings it",
    passes: "dependencies on other charts, whatever their version",
    read,
};

fn read(text: &Text, index: &Index, drafts: &mut Vec<Draft>) {
    if text.name() != "Chart.yaml" {
        return;
    }
    let charts = index.charts.iter().enumerate();
    for (number, chart) in charts.filter(|(_, chart)| chart.folder == text.folder()) {
        for dependency in &chart.dependencies {
            if dependency.is_flux() {
                drafts.push(flux(dependency));
            } else if let Some(inner) = index.inner(number, dependency)
                && index.flux_of(inner).is_some()
            {
                let thing = format!("chart {}", dependency.name.text);
                drafts.push(Draft {
                    of: Some(Original::VersionOf(inner)),
                    ..named(dependency, Scale::Local(inner), thing)
                });
            }
        }
    }
}

fn flux(dependency: &Dependency) -> Draft {
    named(dependency, Scale::Chart, "chart flux2".to_owned())
}

fn named(dependency: &Dependency, scale: Scale, thing: String) -> Draft {
    Draft {
        value: dependency.version.clone(),
        ..Draft::installs(FORM.id, scale, thing, dependency.name.span.clone())
    }
}
