//! `fluxkeep adopt` on a real apiserver: a Helm without takeover installs over adopted objects, and
//! an undo restores the former state.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fluxkeep_tests::control_plane::{
    Cluster, ControlPlane, Helm, Inventory, eventually, folder, own, said, umbrella,
};
use fluxkeep_tests::flux::{Flux, HOME, Names};
use serde_json::{Value, json};

/// Flux 2.4.0 as kubectl installs it, and a folder for files.
struct Stage {
    // Dropped first, so that a failed test's state is written before the control plane ends.
    cluster: Cluster,
    plane: ControlPlane,
    folder: PathBuf,
    installed: Vec<Value>,
}

fn running() -> Flux {
    Flux::release("2.4.0")
}

impl Stage {
    /// Installs Flux with these labels and annotations on the engine's Services.
    async fn set(test: &str, labels: &Value, annotations: &Value) -> Self {
        Self::by(test, &["apply"], labels, annotations, |_| ()).await
    }

    /// As [`Stage::set`], by this command of kubectl and with changed objects.
    async fn by(
        test: &str,
        command: &[&str],
        labels: &Value,
        annotations: &Value,
        change: impl Fn(&mut Value),
    ) -> Self {
        let plane = ControlPlane::start().await;
        let cluster = plane.cluster(test).await;
        let mut installed = running().installed(Names::Install);
        for service in installed
            .iter_mut()
            .filter(|object| object["kind"] == "Service")
        {
            merge(&mut service["metadata"]["labels"], labels);
            merge(&mut service["metadata"]["annotations"], annotations);
        }
        installed.iter_mut().for_each(&change);
        let folder = folder("adopt");
        let file = folder.join("install.json");
        let list = json!({"apiVersion": "v1", "kind": "List", "items": installed});
        std::fs::write(&file, list.to_string()).expect("a writable folder");
        let file = file.to_string_lossy();
        let applied = cluster.kubectl(&[command, &["--filename", &file]].concat());
        assert!(applied.status.success(), "{}", said(&applied));
        let stage = Self {
            cluster,
            plane,
            folder,
            installed,
        };
        stage.established().await;
        stage
    }

    async fn plain(test: &str) -> Self {
        Self::set(test, &json!({}), &json!({})).await
    }

    /// Waits for the CRDs, whose status changes until they are established.
    async fn established(&self) {
        for definition in self
            .installed
            .iter()
            .filter(|object| object["kind"] == "CustomResourceDefinition")
        {
            eventually("the definition is established", async || {
                let live = self
                    .cluster
                    .get(definition)
                    .await
                    .map_err(|error| error.to_string())?;
                let conditions = live["status"]["conditions"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                let is_done = conditions
                    .iter()
                    .any(|one| one["type"] == "Established" && one["status"] == "True");
                if is_done {
                    Ok(())
                } else {
                    Err(json!(conditions).to_string())
                }
            })
            .await;
        }
    }

    fn undo_file(&self) -> PathBuf {
        self.folder.join("undo.json")
    }

    fn command(kubeconfig: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(own("fluxkeep"));
        command
            .arg("adopt")
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(more);
        command
    }

    /// `fluxkeep adopt` as `admin`, for release `flux`.
    fn adopting(&self, more: &[&str]) -> Command {
        self.adopting_as(&self.cluster.kubeconfig, more)
    }

    fn adopting_as(&self, kubeconfig: &Path, more: &[&str]) -> Command {
        let release = ["--release-name", "flux", "--namespace", HOME, "--undo-file"];
        let mut command = Self::command(kubeconfig, &release);
        command.arg(self.undo_file()).args(more);
        command
    }

    fn adopts(&self, more: &[&str]) -> String {
        succeeds(
            &self
                .adopting(&[&["--yes"], more].concat())
                .output()
                .expect("fluxkeep"),
        )
    }

    fn undone(&self) -> Output {
        let file = self.undo_file();
        let arguments = ["--yes", "--undo", &file.to_string_lossy()];
        Self::command(&self.cluster.kubeconfig, &arguments)
            .output()
            .expect("fluxkeep")
    }

    /// The engine's objects without the metadata that every write changes. A Deployment's
    /// generation also counts writes of its annotations.
    async fn objects(&self) -> BTreeMap<String, Value> {
        let mut found = BTreeMap::new();
        for object in &self.installed {
            let mut live = self.cluster.get(object).await.expect("what was installed");
            let metadata = live["metadata"].as_object_mut().expect("metadata");
            metadata.retain(|key, _| {
                !["generation", "managedFields", "resourceVersion"].contains(&key.as_str())
            });
            found.insert(
                format!("{} {}", object["kind"], object["metadata"]["name"]),
                live,
            );
        }
        found
    }

    /// Asserts equality with `before`; a failure shows the differing objects.
    async fn is_as(&self, before: &BTreeMap<String, Value>) {
        let after = self.objects().await;
        let differing = before
            .iter()
            .filter(|(name, was)| after.get(*name) != Some(*was));
        let told: Vec<_> = differing
            .map(|(name, was)| format!("{name}: {was:#}\nis: {:#}", after[name]))
            .collect();
        assert!(
            told.is_empty(),
            "{} objects differ: {}",
            told.len(),
            told.join("\n")
        );
    }

    async fn inventory(&self) -> Inventory {
        self.cluster.inventory(&[]).await
    }

    /// The engine's objects by `Kind name`, each with true if it carries the release's marks.
    async fn adopted(&self) -> BTreeMap<String, bool> {
        let is_stamped = |live: Value| {
            let metadata = &live["metadata"];
            metadata["labels"]["app.kubernetes.io/managed-by"] == "Helm"
                && metadata["annotations"]["meta.helm.sh/release-name"] == "flux"
                && metadata["annotations"]["meta.helm.sh/release-namespace"] == HOME
                && metadata["annotations"]["helm.sh/resource-policy"] == "keep"
        };
        self.objects()
            .await
            .into_iter()
            .map(|(name, live)| (name, is_stamped(live)))
            .collect()
    }

    async fn is_whole(&self) {
        let missing: Vec<_> = self
            .adopted()
            .await
            .into_iter()
            .filter(|(_, stamped)| !stamped)
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    /// A kubeconfig that may write core objects and CRDs only, so not Deployments.
    async fn half_entitled(&self) -> PathBuf {
        let about = json!({"name": "half", "namespace": "default"});
        let group = "rbac.authorization.k8s.io";
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about});
        let role = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": {"name": "half"},
            "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]},
                {"apiGroups": ["", "apiextensions.k8s.io"], "resources": ["*"], "verbs": ["patch"]}]});
        let binding = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "half"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "half"},
            "subjects": [{"kind": "ServiceAccount", "name": "half", "namespace": "default"}]});
        self.cluster.apply_all(&[account, role, binding]).await;
        let kubeconfig = self.plane.account(&self.cluster, "default", "half").await;
        let asked = |verb: &str, what: &str| {
            let kubeconfig = kubeconfig.to_string_lossy().into_owned();
            self.cluster
                .kubectl(&["--kubeconfig", &kubeconfig, "auth", "can-i", verb, what])
                .status
                .success()
        };
        eventually("the account has its rights", async || {
            let seen = (
                asked("patch", "customresourcedefinitions"),
                asked("list", "helmreleases.helm.toolkit.fluxcd.io"),
            );
            if seen == (true, true) {
                Ok(())
            } else {
                Err(seen)
            }
        })
        .await;
        kubeconfig
    }
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().expect("an object") {
        into[key] = value.clone();
    }
}

fn succeeds(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Marks by which other tools would prune, and a label that Helm needs with another value.
fn tied() -> (Value, Value) {
    let labels =
        json!({"argocd.argoproj.io/instance": "flux", "app.kubernetes.io/managed-by": "somebody"});
    (
        labels,
        json!({"kapp.k14s.io/identity": "v1;flux-system//Service/a;v1"}),
    )
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_touches_nothing() {
    let (labels, annotations) = tied();
    let stage = Stage::set("adopt-dry-run", &labels, &annotations).await;
    let before = stage.inventory().await;
    let refused = said(&stage.adopting(&[]).output().expect("fluxkeep"));
    assert!(
        refused.contains("Argo CD application flux owns it")
            && refused.contains("--take-over flux"),
        "{refused}"
    );
    let taken = stage.adopting(&["--take-over", "flux"]).output();
    let told = succeeds(&taken.expect("fluxkeep"));
    let line = told
        .lines()
        .find(|line| line.starts_with("Service flux-system/source-controller "))
        .expect("a row");
    for part in [
        "unowned",
        "keep owner (over app.kubernetes.io/managed-by=somebody)",
        "argocd.argoproj.io/instance=flux",
        "kapp.k14s.io/identity=",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(
        told.contains("nothing was touched; --yes does it"),
        "{told}"
    );
    assert_eq!(stage.inventory().await, before);
    assert!(!stage.undo_file().exists());
}

#[tokio::test]
async fn the_engine_is_looked_for_where_the_release_goes_too() {
    let stage = Stage::plain("adopt-namespace").await;
    let told = succeeds(
        &stage
            .adopting(&["--engine-namespace", "elsewhere"])
            .output()
            .expect("fluxkeep"),
    );
    for object in [
        "Service flux-system/source-controller ",
        "Deployment flux-system/helm-controller ",
    ] {
        assert!(
            told.lines().any(|line| line.starts_with(object)),
            "{object}: {told}"
        );
    }
}

#[tokio::test]
async fn where_the_undo_file_cannot_be_written_nothing_is() {
    let stage = Stage::plain("adopt-no-undo").await;
    let before = stage.inventory().await;
    let release = ["--release-name", "flux", "--namespace", HOME];
    let more = ["--yes", "--undo-file", "/nowhere/undo.json"];
    let output = Stage::command(&stage.cluster.kubeconfig, &[&release[..], &more].concat())
        .output()
        .expect("fluxkeep");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("writing the undo file /nowhere/undo.json; nothing was touched"),
        "{}",
        said(&output)
    );
    assert_eq!(stage.inventory().await, before);
}

#[tokio::test]
async fn helm_3_installs_over_what_was_adopted_without_taking_ownership_itself() {
    let stage = Stage::plain("adopt-helm-3").await;
    let chart = umbrella(&running());
    let install = ["install", "flux", &*chart.to_string_lossy()].map(str::to_owned);
    let install: Vec<_> = install.iter().map(String::as_str).collect();
    let refused = said(&Helm::Three.run(&stage.cluster, &install));
    assert!(refused.contains("invalid ownership metadata"), "{refused}");
    stage.adopts(&[]);
    stage.is_whole().await;
    Helm::Three.runs(&stage.cluster, &install);
    let deployed = said(&Helm::Three.run(&stage.cluster, &["status", "flux"]));
    assert!(deployed.contains("STATUS: deployed"), "{deployed}");
    let before = stage.inventory().await;
    let told = stage.adopts(&[]);
    assert!(
        told.contains("were already") && !told.contains(": adopted"),
        "{told}"
    );
    assert_eq!(stage.inventory().await, before, "nothing is left to do");
}

/// Helm 4 applies server-side: a field of another manager with another value is a conflict.
#[tokio::test]
async fn helm_4_stops_at_a_field_of_somebody_else_and_goes_on_with_the_flag_that_is_printed() {
    let stage = Stage::plain("adopt-helm-4").await;
    let scale = [
        "scale",
        "-n",
        HOME,
        "deployment/source-controller",
        "--replicas=2",
    ];
    let scaled = stage.cluster.kubectl(&scale);
    assert!(scaled.status.success(), "{}", said(&scaled));
    let told = stage.adopts(&[]);
    for part in ["belong to", "kubectl", "--force-conflicts"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let chart = umbrella(&running());
    let chart = chart.to_string_lossy();
    let refused = said(&Helm::Four.run(&stage.cluster, &["install", "flux", &chart]));
    assert!(refused.contains("conflict"), "{refused}");
    let flag = ["upgrade", "--install", "flux", &*chart, "--force-conflicts"];
    Helm::Four.runs(&stage.cluster, &flag);
}

/// Preflight foretells Helm's refusal. Its line, run as printed, makes Helm's installation succeed.
#[tokio::test]
async fn the_line_that_preflight_prints_before_an_installation_makes_helm_take_flux_over() {
    let stage = Stage::plain("adopt-foretold").await;
    let chart = umbrella(&running());
    let chart = chart.to_string_lossy();
    let rendered = Helm::Three.run(&stage.cluster, &["template", "flux", &chart]);
    let manifest = stage.folder.join("rendered.yaml");
    std::fs::write(&manifest, &rendered.stdout).expect("a writable folder");
    let judged = Command::new(own("fluxkeep"))
        .args(["preflight", "--release-name", "flux", "--namespace", HOME])
        .arg("--kubeconfig")
        .arg(&stage.cluster.kubeconfig)
        .arg(&manifest)
        .output()
        .expect("fluxkeep");
    let told = said(&judged);
    assert!(
        told.contains("cannot be imported into the current release"),
        "{told}"
    );
    let refused = said(&Helm::Three.run(&stage.cluster, &["install", "flux", &chart]));
    assert!(
        refused.contains("cannot be imported into the current release"),
        "Helm says the same: {refused}"
    );
    let mut lines = told.lines().map(str::trim);
    let line = lines.find(|line| line.starts_with("fluxkeep adopt "));
    let programs = own("fluxkeep");
    let programs = programs.parent().expect("a folder").display().to_string();
    let adopted = Command::new("sh")
        .args(["-c", line.expect("a line")])
        .current_dir(&stage.folder)
        .env("PATH", format!("{programs}:/usr/bin:/bin"))
        .output();
    succeeds(&adopted.expect("sh"));
    Helm::Three.runs(&stage.cluster, &["install", "flux", &chart]);
}

/// Each command of kubectl leaves another field manager. The chart writes other values than live.
#[tokio::test]
async fn helm_4_installs_with_the_printed_flag_over_every_kind_of_installation_by_kubectl() {
    for way in [
        &["create"][..],
        &["apply"],
        &["apply", "--server-side"],
        &["apply", "--server-side", "--field-manager=flux"],
    ] {
        let none = json!({});
        let scaled = |object: &mut Value| {
            if object["kind"] == "Deployment" {
                object["spec"]["replicas"] = json!(3);
            }
        };
        let stage = Stage::by("adopt-by-kubectl", way, &none, &none, scaled).await;
        let told = stage.adopts(&[]);
        let last = told.lines().last().expect("a line");
        assert!(
            last.contains("give it --force-conflicts"),
            "{way:?}: {told}"
        );
        stage.is_whole().await;
        let chart = umbrella(&running());
        let chart = chart.to_string_lossy();
        let refused = said(&Helm::Four.run(&stage.cluster, &["install", "flux", &chart]));
        assert!(refused.contains("conflict"), "{way:?}: {refused}");
        let flag = ["upgrade", "--install", "flux", &*chart, "--force-conflicts"];
        Helm::Four.runs(&stage.cluster, &flag);
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "source-controller", "namespace": HOME}});
        let live = stage
            .cluster
            .get(&deployment)
            .await
            .expect("the Deployment");
        assert_eq!(live["spec"]["replicas"], 1, "{way:?}: the chart's value");
    }
}

/// `flux bootstrap` leaves kustomize-controller as the owner of every field.
#[tokio::test]
async fn helm_4_installs_over_a_suspended_bootstrap_with_the_printed_flag() {
    let applied = [
        "apply",
        "--server-side",
        "--field-manager=kustomize-controller",
    ];
    let labels = json!({"kustomize.toolkit.fluxcd.io/name": "flux-system", "kustomize.toolkit.fluxcd.io/namespace": HOME});
    let scaled = |object: &mut Value| {
        if object["kind"] == "Deployment" {
            object["spec"]["replicas"] = json!(3);
        }
    };
    let stage = Stage::by("adopt-bootstrap", &applied, &labels, &json!({}), scaled).await;
    let suspended = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "flux-system", "namespace": HOME},
        "spec": {"interval": "10m", "path": "./clusters/one", "prune": true, "suspend": true}});
    stage.cluster.apply_all(&[suspended]).await;
    let told = stage.adopts(&[]);
    let last = told.lines().last().expect("a line");
    assert!(last.contains("give it --force-conflicts"), "{told}");
    stage.is_whole().await;
    let chart = umbrella(&running());
    let chart = chart.to_string_lossy();
    let refused = said(&Helm::Four.run(&stage.cluster, &["install", "flux", &chart]));
    assert!(refused.contains("kustomize-controller"), "{refused}");
    let flag = ["upgrade", "--install", "flux", &*chart, "--force-conflicts"];
    Helm::Four.runs(&stage.cluster, &flag);
}

/// Objects kept after an uninstall still name that release as their owner.
#[tokio::test]
async fn what_a_release_that_is_gone_left_behind_is_taken_over_by_the_flag_that_is_printed() {
    let gone =
        json!({"meta.helm.sh/release-name": "gone", "meta.helm.sh/release-namespace": "elsewhere"});
    let stage = Stage::set("adopt-left-behind", &json!({}), &gone).await;
    let before = stage.inventory().await;
    let refused = said(&stage.adopting(&["--yes"]).output().expect("fluxkeep"));
    assert!(
        refused.contains("helm status gone -n elsewhere")
            && refused.contains("add --take-over elsewhere/gone"),
        "{refused}"
    );
    assert_eq!(stage.inventory().await, before);
    let status = Helm::Three.run(&stage.cluster, &["status", "gone", "-n", "elsewhere"]);
    assert!(
        said(&status).contains("release: not found"),
        "{}",
        said(&status)
    );
    stage.adopts(&["--take-over", "elsewhere/gone"]);
    stage.is_whole().await;
    let chart = umbrella(&running());
    Helm::Three.runs(
        &stage.cluster,
        &["install", "flux", &chart.to_string_lossy()],
    );
}

/// A rendered release takes over its own objects; others are named and left alone.
#[tokio::test]
async fn what_the_release_does_not_hold_is_left_alone() {
    let stage = Stage::plain("adopt-held").await;
    let manifest = stage.folder.join("manifest.yaml");
    let chart = umbrella(&running());
    let rendered = Helm::Three.run(
        &stage.cluster,
        &["template", "flux", &chart.to_string_lossy()],
    );
    std::fs::write(&manifest, &rendered.stdout).expect("a writable folder");
    let told = stage.adopts(&[&manifest.to_string_lossy()]);
    let orphans = "Not in the release, and left alone: Namespace flux-system, ResourceQuota flux-system/critical-pods";
    assert!(told.contains(orphans), "{told}");
    let left: Vec<_> = stage
        .adopted()
        .await
        .into_iter()
        .filter(|(_, stamped)| !stamped)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        left,
        [
            "\"Namespace\" \"flux-system\"",
            "\"ResourceQuota\" \"critical-pods\""
        ]
    );
    Helm::Three.runs(
        &stage.cluster,
        &["install", "flux", &chart.to_string_lossy()],
    );
}

/// Without rights on Deployments the adoption stops there; with them, another run does the rest.
#[tokio::test]
async fn an_adoption_that_was_refused_half_way_goes_on_and_is_undone_to_the_byte() {
    let (labels, annotations) = tied();
    let stage = Stage::set("adopt-resumed", &labels, &annotations).await;
    let half = stage.half_entitled().await;
    let before = stage.objects().await;
    let cut = stage
        .adopting_as(&half, &["--yes", "--take-over", "flux"])
        .output()
        .expect("fluxkeep");
    assert_eq!(cut.status.code(), Some(2), "{}", said(&cut));
    let why = String::from_utf8_lossy(&cut.stderr).into_owned();
    assert_eq!(why.lines().count(), 1, "{why}");
    for part in [
        "adopting Deployment flux-system/",
        "run it again to go on",
        "the user needs the verbs get and patch",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let done = stage
        .adopted()
        .await
        .into_values()
        .filter(|stamped| *stamped)
        .count();
    assert!(
        done > 0 && done < stage.installed.len(),
        "{done} of {}",
        stage.installed.len()
    );
    let versions = stage.inventory().await;
    stage.adopts(&["--take-over", "flux"]);
    stage.is_whole().await;
    let kept = stage
        .inventory()
        .await
        .into_iter()
        .filter(|(key, version)| versions.get(key) == Some(version));
    assert!(kept.count() >= done, "what was done was not written again");
    let told = succeeds(&stage.undone());
    assert!(!told.contains("but for"), "{told}");
    stage.is_as(&before).await;
    assert!(
        succeeds(&stage.undone())
            .lines()
            .all(|line| line.ends_with(": as it was"))
    );
}

#[tokio::test]
async fn an_adoption_that_was_killed_is_finished_by_the_next_and_can_be_undone() {
    let stage = Stage::plain("adopt-killed").await;
    let before = stage.objects().await;
    let mut running = stage
        .adopting(&["--yes"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("fluxkeep");
    let lines = BufReader::new(running.stdout.take().expect("a pipe"))
        .lines()
        .map_while(Result::ok);
    assert!(
        lines.into_iter().any(|line| line.ends_with(": adopted")),
        "one object at least was written"
    );
    running.kill().expect("a process");
    running.wait().expect("a process");
    stage.adopts(&[]);
    stage.is_whole().await;
    succeeds(&stage.undone());
    stage.is_as(&before).await;
}

#[tokio::test]
async fn what_somebody_wrote_since_is_told_and_not_undone() {
    let stage = Stage::plain("adopt-written-since").await;
    stage.adopts(&[]);
    let label = [
        "label",
        "--overwrite",
        "-n",
        HOME,
        "service/source-controller",
        "app.kubernetes.io/managed-by=me",
    ];
    assert!(stage.cluster.kubectl(&label).status.success());
    assert!(
        stage
            .cluster
            .kubectl(&["delete", "-n", HOME, "service/webhook-receiver"])
            .status
            .success()
    );
    let undone = stage.undone();
    let told = said(&undone);
    assert_eq!(undone.status.code(), Some(1), "{told}");
    assert!(
        told.contains(
            "Service flux-system/source-controller: put back, but for app.kubernetes.io/managed-by"
        ),
        "{told}"
    );
    assert!(
        told.contains("Service flux-system/webhook-receiver: gone"),
        "{told}"
    );
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "source-controller", "namespace": HOME}});
    let live = stage.cluster.get(&service).await.expect("the Service");
    assert_eq!(
        live["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "me"
    );
    assert_eq!(
        live["metadata"]["annotations"]["meta.helm.sh/release-name"],
        Value::Null
    );
}

/// An active Kustomization would rewrite its labels on the engine, and prune by them.
#[tokio::test]
async fn what_a_kustomization_applies_is_taken_over_once_that_is_suspended() {
    let labels = json!({"kustomize.toolkit.fluxcd.io/name": "flux", "kustomize.toolkit.fluxcd.io/namespace": HOME});
    let stage = Stage::set("adopt-kustomization", &labels, &json!({})).await;
    let version = "kustomize.toolkit.fluxcd.io/v1";
    let kustomization = |suspend| {
        json!({"apiVersion": version, "kind": "Kustomization", "metadata": {"name": "flux", "namespace": HOME},
            "spec": {"interval": "10m", "path": ".", "prune": true, "suspend": suspend}})
    };
    stage.cluster.apply_all(&[kustomization(false)]).await;
    let (before, objects) = (stage.inventory().await, stage.objects().await);
    let refused = stage.adopting(&["--yes"]).output().expect("fluxkeep");
    let told = said(&refused);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(
        told.contains("foreign (Kustomization flux-system/flux)"),
        "{told}"
    );
    assert!(
        told.contains("flux suspend kustomization flux -n flux-system"),
        "{told}"
    );
    assert_eq!(stage.inventory().await, before);
    stage.cluster.apply_all(&[kustomization(true)]).await;
    let told = stage.adopts(&[]);
    assert!(
        told.contains("take these objects out of its source before it is resumed"),
        "{told}"
    );
    stage.is_whole().await;
    let labelled = said(&stage.cluster.kubectl(&[
        "get",
        "services",
        "-A",
        "-l",
        "kustomize.toolkit.fluxcd.io/name",
    ]));
    assert!(labelled.contains("No resources found"), "{labelled}");
    succeeds(&stage.undone());
    stage.is_as(&objects).await;
}
