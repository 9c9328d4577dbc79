//! The guides' commands as printed, on a real apiserver with real Helm 3 and 4: adopt, install,
//! upgrade, a refusal, removal.
//!
//! The charts of `fluxcd-community` are made here, so `helm` is a script that puts a folder in the
//! place of `fluxcd-community/flux2 --version V`. Everything else runs literally.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::fs::{Permissions, create_dir_all, set_permissions, write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fluxkeep_tests::control_plane::{
    Cluster, ControlPlane, Webhook, eventually, folder, own, program, said,
};
use fluxkeep_tests::flux::{Flux, Names};
use serde_json::{Value, json};

/// Stands for `helm`.
const HELM: &str = r#"#!/bin/bash
[ "$1" = repo ] && exit
words=()
while [ $# -gt 0 ]; do
  case "$1" in
    fluxcd-community/flux2) ;;
    --version) words+=("$CHARTS/$2/flux2"); shift ;;
    *) words+=("$1") ;;
  esac
  shift
done
exec "$REAL_HELM" "${words[@]}"
"#;

/// A new user's machine: a home, programs, and a cluster on which kubectl installed Flux 2.4.0.
struct Stage {
    // Dropped first, so that a failed test's state is written before the control plane ends.
    cluster: Cluster,
    plane: ControlPlane,
    home: PathBuf,
    helm: PathBuf,
}

impl Stage {
    async fn set(test: &str, helm: &str) -> Self {
        let plane = ControlPlane::start().await;
        let cluster = plane.cluster(test).await;
        let home = folder("walked");
        let bin = home.join("bin");
        create_dir_all(&bin).expect("a writable folder");
        create_dir_all(home.join(".kube")).expect("a writable folder");
        std::fs::copy(plane.kubeconfig(), home.join(".kube/config")).expect("a kubeconfig");
        for name in ["fluxkeep", "fluxkeep-postrenderer", "fluxkeep-webhook"] {
            symlink(own(name), bin.join(name)).expect("a writable folder");
        }
        symlink(program("kubectl"), bin.join("kubectl")).expect("a writable folder");
        write(bin.join("helm"), HELM).expect("a writable folder");
        set_permissions(bin.join("helm"), Permissions::from_mode(0o755)).expect("a script");
        for version in ["2.4.0", "2.5.1"] {
            chart(&home, &Flux::release(version));
        }
        let stage = Self {
            cluster,
            plane,
            home,
            helm: program(helm),
        };
        stage.install("2.4.0");
        stage
    }

    /// Installs Flux as kubectl does.
    fn install(&self, version: &str) {
        let items = Flux::release(version).installed(Names::Install);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        let file = self.home.join("install.json");
        write(&file, list.to_string()).expect("a writable folder");
        let applied = self
            .cluster
            .kubectl(&["apply", "--filename", &file.to_string_lossy()]);
        assert!(applied.status.success(), "{}", said(&applied));
    }

    /// Runs a text in bash, as the user would.
    fn run(&self, text: &str) -> Output {
        let path = format!(
            "{}:/usr/local/bin:/usr/bin:/bin",
            self.home.join("bin").display()
        );
        let mut command = Command::new("bash");
        command
            .args(["-e", "-u", "-o", "pipefail", "-c", text])
            .current_dir(&self.home)
            .env_clear()
            .envs([("HOME", self.home.as_path()), ("REAL_HELM", &self.helm)])
            .env("CHARTS", self.home.join("charts"))
            .env("PATH", path);
        command.output().expect("bash")
    }

    /// Runs the shell block with this number below a heading of a page, which must succeed.
    fn follow(&self, page: &str, heading: &str, number: usize) -> String {
        let text = block(page, heading, number);
        let output = self.run(&text);
        assert!(
            output.status.success(),
            "{page}, {heading}:\n{text}\n{}",
            said(&output)
        );
        said(&output)
    }

    /// The image of helm-controller.
    fn image(&self) -> String {
        let path = "jsonpath={.spec.template.spec.containers[0].image}";
        let get = [
            "get",
            "deployment",
            "helm-controller",
            "-n",
            "flux-system",
            "-o",
            path,
        ];
        said(&self.cluster.kubectl(&get))
    }
}

/// Writes the chart `flux2` that carries this Flux.
fn chart(home: &Path, flux: &Flux) {
    let version = flux.chart_version();
    let folder = home.join("charts").join(&version).join("flux2");
    create_dir_all(folder.join("templates")).expect("a writable folder");
    let about = json!({"apiVersion": "v2", "name": "flux2", "version": version, "appVersion": flux.version()});
    write(folder.join("Chart.yaml"), about.to_string()).expect("a writable folder");
    let document = |object: Value| format!("---\n{object:#}\n");
    let objects: String = flux.charted().into_iter().map(document).collect();
    write(folder.join("templates/flux.yaml"), objects).expect("a writable folder");
}

/// The shell block with this number, from 0, below a heading of a page.
fn block(page: &str, heading: &str, number: usize) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join(page)).expect("the page");
    let section = text.split(&format!("# {heading}\n")).nth(1);
    let section = section.unwrap_or_else(|| panic!("{page} has no heading {heading}"));
    let section = section.split("\n#").next().unwrap_or_default();
    let block = section.split("```sh\n").nth(number + 1);
    let block = block.unwrap_or_else(|| panic!("{page}, {heading}: there is no block {number}"));
    block.split("```").next().unwrap_or_default().to_owned()
}

const ADOPT: &str = "docs/adopt-a-running-flux.md";
const UPGRADE: &str = "docs/upgrade.md";

#[tokio::test]
async fn with_helm_3_a_running_flux_is_adopted_installed_and_upgraded_by_the_guides() {
    let stage = Stage::set("walked-helm-3", "helm-3").await;
    let told = stage.follow(ADOPT, "1. Find the chart of the Flux that runs", 0);
    assert!(told.contains("Flux 2.4.0 in flux-system"), "{told}");
    let plan = stage.follow(ADOPT, "2. Look at the plan", 0);
    assert!(plan.contains("nothing was changed"), "{plan}");
    stage.follow(ADOPT, "3. Carry it out", 0);
    stage.follow(ADOPT, "Helm 3", 0);
    let passed = stage.follow(UPGRADE, "1. Ask before you upgrade", 0);
    assert!(passed.contains("allow"), "{passed}");
    stage.follow(UPGRADE, "Helm 3", 0);
    assert!(stage.image().ends_with(":v1.2.0"), "{}", stage.image());
}

#[tokio::test]
async fn with_helm_4_a_running_flux_is_adopted_installed_and_upgraded_by_the_guides() {
    let stage = Stage::set("walked-helm-4", "helm-4").await;
    stage.follow(ADOPT, "2. Look at the plan", 0);
    stage.follow(ADOPT, "3. Carry it out", 0);
    stage.follow(UPGRADE, "Helm 4", 0);
    stage.follow(ADOPT, "Helm 4", 0);
    stage.follow(UPGRADE, "1. Ask before you upgrade", 0);
    stage.follow(UPGRADE, "Helm 4", 1);
    assert!(stage.image().ends_with(":v1.2.0"), "{}", stage.image());
}

#[tokio::test]
async fn the_readmes_first_refusal_is_seen_and_its_removal_leaves_nothing() {
    let stage = Stage::set("walked-readme", "helm-3").await;
    let delete = block("README.md", "Quick start on a cluster", 2);
    // Another block would start a server, which never ends.
    assert!(delete.starts_with("kubectl delete "), "{delete}");
    let nothing: [&str; 0] = [];
    let mut server = Webhook::registered(&stage.plane, nothing).await;
    eventually("the deletion is refused", async || {
        let output = stage.run(&delete);
        let is_refused =
            said(&output).contains("engine-deleted: Deployment flux-system/helm-controller");
        if is_refused {
            Ok(())
        } else {
            Err(said(&output))
        }
    })
    .await;
    server.process.kill();
    let removed = stage.follow("README.md", "Remove it", 0);
    assert!(
        removed.contains("validatingwebhookconfiguration"),
        "{removed}"
    );
    let left = stage.run("kubectl get -o name -l app.kubernetes.io/part-of=fluxkeep \
        validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings");
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "{}", said(&left));
    let output = stage.run(&delete);
    assert!(output.status.success(), "{}", said(&output));
}
