//! Helm as a program, and charts for it.

#![allow(clippy::indexing_slicing)]

use std::fmt::Write;
use std::fs::{create_dir_all, write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;

use super::{Cluster, folder, program};
use crate::flux::{Flux, HOME};

/// Helm's major version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helm {
    /// Helm 3.
    Three,
    /// Helm 4.
    Four,
}

impl Helm {
    /// Runs Helm in Flux's namespace, without the user's own configuration.
    #[must_use]
    pub fn run(self, cluster: &Cluster, arguments: &[&str]) -> Output {
        let mut command = Command::new(program(self.program()));
        command
            .arg("--kubeconfig")
            .arg(&cluster.kubeconfig)
            .args(["--namespace", HOME])
            .args(arguments);
        cluster
            .remembering(alone(&mut command))
            .output()
            .expect("helm")
    }

    /// Runs Helm without a cluster, as `helm template` and `helm lint` do.
    #[must_use]
    pub fn offline(self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program(self.program()));
        command.args(arguments);
        alone(&mut command).output().expect("helm")
    }

    /// Runs Helm, which must succeed.
    ///
    /// # Panics
    /// With Helm's output, if Helm fails.
    pub fn runs(self, cluster: &Cluster, arguments: &[&str]) {
        let output = self.run(cluster, arguments);
        assert!(
            output.status.success(),
            "{self:?} {arguments:?}: {}",
            said(&output)
        );
    }

    fn program(self) -> &'static str {
        match self {
            Self::Three => "helm-3",
            Self::Four => "helm-4",
        }
    }
}

/// A program's whole output.
#[must_use]
pub fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|text| String::from_utf8_lossy(text))
        .concat()
}

/// Excludes the user's repositories and plugins.
fn alone(command: &mut Command) -> &mut Command {
    let home = std::env::temp_dir().join("fluxkeep-no-helm-home");
    let homes = ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"];
    command.envs(homes.map(|name| (name, home.join(name))))
}

/// The packed chart `umbrella`, whose dependency `flux2` carries this Flux. A HelmRelease of the
/// chart does not reveal the Flux version.
#[must_use]
pub fn umbrella(flux: &Flux) -> PathBuf {
    let folder = folder("chart");
    let umbrella = folder.join("umbrella");
    let inner = umbrella.join("charts/flux2");
    let version = flux.chart_version();
    let dependency = json!({"name": "flux2", "version": version, "repository": ""});
    describe(
        &umbrella,
        &json!({"name": "umbrella", "version": version, "dependencies": [dependency]}),
    );
    describe(
        &inner,
        &json!({"name": "flux2", "version": version, "appVersion": flux.version()}),
    );
    let mut templates = String::new();
    for mut object in flux.charted().into_iter().chain([flux.hook()]) {
        // Charts omit the namespace; the release gives it.
        object["metadata"]
            .as_object_mut()
            .expect("metadata")
            .remove("namespace");
        writeln!(templates, "---\n{object:#}").expect("a string takes anything");
    }
    create_dir_all(inner.join("templates")).expect("a writable folder");
    write(inner.join("templates/flux.yaml"), templates).expect("a writable folder");
    pack(&umbrella, &folder);
    folder.join(format!("umbrella-{version}.tgz"))
}

/// The packed chart of this name, version 1.0.0, with these templates.
#[must_use]
pub fn chart(name: &str, templates: &str) -> PathBuf {
    let folder = folder("chart");
    let chart = folder.join(name);
    describe(&chart, &json!({"name": name, "version": "1.0.0"}));
    create_dir_all(chart.join("templates")).expect("a writable folder");
    write(chart.join("templates/all.yaml"), templates).expect("a writable folder");
    pack(&chart, &folder);
    folder.join(format!("{name}-1.0.0.tgz"))
}

fn describe(folder: &Path, about: &serde_json::Value) {
    let mut about = about.clone();
    about["apiVersion"] = json!("v2");
    create_dir_all(folder).expect("a writable folder");
    write(folder.join("Chart.yaml"), about.to_string()).expect("a writable folder");
}

fn pack(chart: &Path, into: &Path) {
    let mut command = Command::new(program("helm-3"));
    command
        .arg("package")
        .arg(chart)
        .arg("--destination")
        .arg(into);
    let output = alone(&mut command).output().expect("helm");
    assert!(
        output.status.success(),
        "packing {}: {}",
        chart.display(),
        said(&output)
    );
}
