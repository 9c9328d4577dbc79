//! Charts that render nothing: their records have no manifest.

use std::path::PathBuf;

use fluxkeep_tests::control_plane::{Helm, folder, said};
use serde_json::json;

use crate::doors::before;
use crate::objects::{THINGS, one_version};
use crate::stage::Stage;

/// A chart with a single file.
fn chart(name: &str, file: &str, content: &str) -> PathBuf {
    let chart = folder("chart").join(name);
    let path = chart.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let about = json!({"apiVersion": "v2", "name": name, "version": "1.0.0"});
    std::fs::write(chart.join("Chart.yaml"), about.to_string()).unwrap();
    std::fs::write(path, content).unwrap();
    chart
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_of_which_nothing_is_rendered_are_installed_by_helm_3_and_4_in_every_namespace() {
    let stage = Stage::set("nothing_rendered").await;
    // These objects show when the apiserver asks. Helm itself installs the chart's CRD.
    let mut engine = before();
    engine.retain(|object| object["metadata"]["name"] != THINGS);
    stage.cluster.apply_all(&engine).await;
    stage.registered().await;
    let hook = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hook, annotations: {helm.sh/hook: pre-install}}\n";
    let off = "{{ if .Values.on }}\nkind: ConfigMap\n{{ end }}\n";
    let charts = [
        chart(
            "crds-only",
            "crds/things.yaml",
            &one_version(THINGS).to_string(),
        ),
        chart("hooks-only", "templates/hook.yaml", hook),
        chart("switched-off", "templates/off.yaml", off),
    ];
    for helm in [Helm::Three, Helm::Four] {
        for namespace in ["elsewhere", "flux-system"] {
            for path in &charts {
                let before = stage.reviews("release-record").await;
                let (name, path) = (path.file_name().unwrap(), path.to_str().unwrap());
                let release = format!("{}-{helm:?}", name.to_str().unwrap()).to_lowercase();
                let install = ["install", &release, path, "--namespace", namespace];
                let output = helm.run(&stage.cluster, &install);
                assert!(output.status.success(), "{release}: {}", said(&output));
                assert_eq!(
                    stage.reviews("release-record").await,
                    before + 1,
                    "{release}"
                );
            }
        }
    }
}
