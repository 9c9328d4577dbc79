//! Helm as a program, and charts for it.

#![allow(clippy::indexing_slicing)]

use std::fmt::Write;
use std::fs::{create_dir_all, write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;

use super::{Cluster, folder, program};
use crate::flux::{Flux, HOME};

/// Which Helm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helm {
    /// Helm 3.
    Three,
    /// Helm 4.
    Four,
}

impl Helm {
    /// Runs it on the namespace of Flux, with nothing of the user's own configuration.
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

    /// Runs it where it must succeed.
    ///
    /// # Panics
    /// With what it prints where it fails.
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

/// All that a program printed.
#[must_use]
pub fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|text| String::from_utf8_lossy(text))
        .concat()
}

/// Keeps the user's repositories and plugins out of it.
fn alone(command: &mut Command) -> &mut Command {
    let home = std::env::temp_dir().join("fluxkeep-no-helm-home");
    let homes = ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"];
    command.envs(homes.map(|name| (name, home.join(name))))
}

/// The packed chart `umbrella`, whose dependency `flux2` carries this Flux: a HelmRelease of it
/// tells nobody which.
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
        // Charts leave it to the release.
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
