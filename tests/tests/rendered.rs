//! The post-renderer with `--kubeconfig`: its output and refusals follow from a real apiserver's
//! answers.

#![allow(clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::fs::{File, read, write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fluxkeep::manifest::{Reading, find};
use fluxkeep::rules::RULES;
use fluxkeep_cluster::rbac::{cluster_rules, engine_rules};
use fluxkeep_tests::control_plane::{
    Cluster, ControlPlane, Credentials, eventually, folder, free_port, own, said,
};
use fluxkeep_tests::flux::{Flux, HOME, Names};
use kube::api::ListParams;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// Flux 2.4.0 as kubectl installs it, with owners only as `lives` sets them; tests only read.
struct Stage {
    cluster: Cluster,
    plane: &'static ControlPlane,
    folder: PathBuf,
}

fn flux() -> Flux {
    Flux::release("2.4.0")
}

fn find_in<'a>(objects: &'a mut [Value], kind: &str, name: &str) -> &'a mut Value {
    let is_it = |object: &&mut Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects.iter_mut().find(is_it).expect("an object of Flux")
}

fn owned(object: &mut Value, release: &str) {
    object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("Helm");
    object["metadata"]["annotations"] =
        json!({"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": HOME});
}

/// The live objects. One Service belongs to another release, one to this one. The pods of two
/// controllers have an unknown label, by which a Service beside Flux selects one of them.
fn lives() -> Vec<Value> {
    let mut objects = flux().installed(Names::Install);
    owned(
        find_in(&mut objects, "Service", "webhook-receiver"),
        "other",
    );
    owned(
        find_in(&mut objects, "Service", "notification-controller"),
        "flux",
    );
    for controller in ["source-controller", "kustomize-controller"] {
        let deployment = find_in(&mut objects, "Deployment", controller);
        deployment["spec"]["template"]["metadata"]["labels"]["scraped"] = json!("often");
    }
    let selector = json!({"app": "source-controller", "scraped": "often"});
    objects.push(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "metrics", "namespace": HOME},
        "spec": {"selector": selector, "ports": [{"port": 8080}]}}));
    objects.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stranger", "namespace": HOME}}));
    objects
}

/// Applies the live objects, and gives one CRD an older stored version.
async fn install(cluster: &Cluster) {
    let mut objects = lives();
    cluster.apply_all(&objects).await;
    let charts = find_in(
        &mut objects,
        "CustomResourceDefinition",
        "helmcharts.source.toolkit.fluxcd.io",
    );
    let grown = json!({"storedVersions": ["v1beta2", "v1"]});
    cluster
        .patch_status(charts, &grown)
        .await
        .expect("a CRD that offers both");
    let releases = cluster
        .api(&json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease"}))
        .await;
    eventually("HelmReleases are listed", async || {
        releases.list(&ListParams::default()).await
    })
    .await;
}

impl Stage {
    async fn set(test: &str) -> Self {
        static INSTALLED: OnceCell<()> = OnceCell::const_new();
        let plane = ControlPlane::shared().await;
        let cluster = plane.cluster(test).await;
        INSTALLED.get_or_init(|| install(&cluster)).await;
        Self {
            cluster,
            plane,
            folder: folder(test),
        }
    }

    /// Renders these objects for release `flux`, with the cluster read as `admin`.
    fn render(&self, objects: &[Value]) -> Output {
        self.render_as(&self.cluster.kubeconfig, objects, &[])
    }

    fn render_as(&self, kubeconfig: &Path, objects: &[Value], more: &[&str]) -> Output {
        let manifest = self.folder.join("manifest.yaml");
        let documents: Vec<_> = objects
            .iter()
            .map(|object| format!("---\n{object:#}\n"))
            .collect();
        write(&manifest, documents.concat()).expect("a writable folder");
        let mut command = Command::new(own("fluxkeep-postrenderer"));
        command
            .args(["--release-name=flux", &format!("--namespace={HOME}")])
            .args(more);
        command
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--report")
            .arg(self.report());
        command
            .stdin(File::open(manifest).expect("a manifest"))
            .output()
            .expect("fluxkeep-postrenderer")
    }

    fn report(&self) -> PathBuf {
        self.folder.join("report.json")
    }

    /// The report's entry for an object.
    fn told(&self, kind: &str, name: &str) -> Value {
        let report: Value =
            serde_json::from_slice(&read(self.report()).expect("a report")).expect("JSON");
        let objects = report["objects"].as_array().cloned().unwrap_or_default();
        objects
            .into_iter()
            .find(|one| one["kind"] == kind && one["name"] == name)
            .expect("it is reported")
    }
}

/// An object of the output.
fn written(output: &Output, kind: &str, name: &str) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    let text = String::from_utf8_lossy(&output.stdout);
    let found = find(&text, Reading::default()).expect("a manifest");
    let document = found
        .into_iter()
        .find(|one| one.object.kind == kind && one.object.name == name);
    serde_json::from_str(
        document
            .expect("it came out")
            .document
            .text
            .trim_start_matches("---\n"),
    )
    .expect("JSON")
}

/// Asserts this exit code and an empty stdout; returns the message.
fn without_output(output: &Output, code: i32) -> String {
    assert_eq!(
        (output.status.code(), output.stdout.len()),
        (Some(code), 0),
        "{}",
        said(output)
    );
    said(output)
}

#[tokio::test]
async fn what_lives_unowned_is_adopted_and_what_another_release_owns_stays_its() {
    let stage = Stage::set("rendered-owners").await;
    let mut objects = flux().charted();
    let mut absent = objects
        .iter()
        .find(|object| object["kind"] == "Service")
        .expect("a Service")
        .clone();
    absent["metadata"]["name"] = json!("source-watcher");
    let stranger =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stranger"}});
    objects.extend([absent, stranger]);
    let output = stage.render(&objects);
    let annotations =
        |name: &str| written(&output, "Service", name)["metadata"]["annotations"].clone();
    let ours = json!({"helm.sh/resource-policy": "keep", "meta.helm.sh/release-name": "flux",
        "meta.helm.sh/release-namespace": HOME});
    for (name, standing) in [
        ("source-controller", "unowned"),
        ("notification-controller", "ours"),
        ("source-watcher", "absent"),
    ] {
        assert_eq!(
            (&stage.told("Service", name)["standing"], annotations(name)),
            (&json!(standing), ours.clone())
        );
    }
    let foreign = stage.told("Service", "webhook-receiver");
    assert_eq!(
        (&foreign["standing"], &foreign["owner"]),
        (
            &json!("foreign"),
            &json!(format!("Helm release {HOME}/other"))
        )
    );
    assert_eq!(
        annotations("webhook-receiver"),
        json!({"helm.sh/resource-policy": "keep"})
    );
    let stranger = stage.told("ConfigMap", "stranger");
    assert_eq!(
        (&stranger["standing"], &stranger["edits"]),
        (&json!("unknown"), &json!([])),
        "nobody asks for those"
    );
}

#[tokio::test]
async fn a_label_of_live_pods_stays_where_a_live_service_selects_by_it() {
    let stage = Stage::set("rendered-pods").await;
    let output = stage.render(&flux().charted());
    let labels = |name: &str| {
        written(&output, "Deployment", name)["spec"]["template"]["metadata"]["labels"].clone()
    };
    assert_eq!(
        labels("source-controller"),
        json!({"app": "source-controller", "scraped": "often"})
    );
    assert_eq!(
        labels("kustomize-controller"),
        json!({"app": "kustomize-controller"}),
        "nobody selects by it"
    );
    let edits = stage.told("Deployment", "source-controller")["edits"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let reason = format!("so that Service {HOME}/metrics still selects these pods");
    assert!(
        edits.iter().any(|edit| edit["reason"] == json!(reason)),
        "{edits:?}"
    );
}

#[tokio::test]
async fn a_field_that_can_never_change_is_refused_with_the_live_value_and_the_new_one() {
    let stage = Stage::set("rendered-immutable").await;
    let mut objects = flux().charted();
    let spec = &mut find_in(&mut objects, "Deployment", "helm-controller")["spec"];
    spec["selector"]["matchLabels"] = json!({"app": "another"});
    spec["template"]["metadata"]["labels"] = json!({"app": "another"});
    find_in(&mut objects, "ClusterRoleBinding", "cluster-reconciler")["roleRef"]["name"] =
        json!("admin");
    let service = find_in(&mut objects, "Service", "source-controller");
    service["spec"]["clusterIP"] = json!("None");
    service["metadata"]["namespace"] = json!(HOME);
    let live = stage.cluster.get(service).await.expect("the Service");
    let address = live["spec"]["clusterIP"]
        .as_str()
        .expect("the apiserver gave it an address");
    let why = without_output(&stage.render(&objects), 1);
    for (was, is) in [
        ("app=helm-controller", "app=another"),
        ("ClusterRole/cluster-admin", "ClusterRole/admin"),
        (address, "None"),
    ] {
        let told =
            format!("the cluster has {was} and the release {is}, but the field is immutable");
        assert!(why.contains(&told), "{told}: {why}");
    }
    assert_eq!(
        why.matches("refused immutable-field-changed").count(),
        3,
        "{why}"
    );
}

#[tokio::test]
async fn a_version_that_the_live_crd_says_is_stored_may_not_be_dropped() {
    let stage = Stage::set("rendered-stored").await;
    let mut objects = flux().charted();
    let charts = find_in(
        &mut objects,
        "CustomResourceDefinition",
        "helmcharts.source.toolkit.fluxcd.io",
    );
    let versions = charts["spec"]["versions"].as_array_mut().expect("versions");
    versions.retain(|version| version["name"] != "v1beta2");
    let why = without_output(&stage.render(&objects), 1);
    assert!(
        why.contains(
            "CustomResourceDefinition helmcharts.source.toolkit.fluxcd.io /status/storedVersions"
        ),
        "{why}"
    );
    assert!(
        why.contains("holds objects stored as v1beta2, which the new CRD no longer offers"),
        "{why}"
    );
}

#[tokio::test]
async fn the_rights_to_list_are_enough_and_without_one_it_is_told_which() {
    let stage = Stage::set("rendered-rights").await;
    let objects = flux().charted();
    let (everywhere, inside) = (cluster_rules(&RULES), engine_rules(&RULES));
    let is_apps = |group: &[String]| group == ["apps"];
    let fewer: Vec<_> = inside
        .iter()
        .filter(|rule| !rule.api_groups.as_deref().is_some_and(is_apps))
        .cloned()
        .collect();
    let poor = stage
        .plane
        .own_account_with(&stage.cluster, &everywhere, &fewer)
        .await;
    let why = without_output(&stage.render_as(&poor, &objects, &[]), 2);
    assert_eq!(why.lines().count(), 1, "{why}");
    for part in [
        "reading the cluster of",
        "listing deployments",
        "cannot list resource \"deployments\"",
        "grant the user this right",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let shown = stage.render_as(&poor, &objects, &["--refusal", "document"]);
    let document: Value =
        serde_json::from_slice(&shown.stdout).expect("one document for Helm 4 to show");
    let name = document["metadata"]["name"].as_str().unwrap_or_default();
    assert!(
        name.starts_with("fluxkeep refuses: reading the cluster of")
            && name.contains("deployments"),
        "{name}"
    );
    let entitled = stage
        .plane
        .own_account_with(&stage.cluster, &everywhere, &inside)
        .await;
    assert_eq!(
        stage.render_as(&entitled, &objects, &[]).status.code(),
        Some(0)
    );
}

#[tokio::test]
async fn an_apiserver_that_is_away_untrusted_or_does_not_know_the_user_is_told_in_one_line() {
    let stage = Stage::set("rendered-unreached").await;
    let (known, port) = (&stage.plane.credentials, stage.plane.port);
    let others = Credentials::write(&folder("another-authority"));
    for (kubeconfig, why) in [
        (
            known.kubeconfig("away", free_port(), None),
            "Connection refused (os error 111); check that the apiserver is reachable",
        ),
        (
            others.kubeconfig("untrusted", port, None),
            "check server and certificate-authority in the kubeconfig",
        ),
        (
            known.kubeconfig("unknown", port, Some("no token")),
            "the credentials are wrong or have expired",
        ),
    ] {
        let told = without_output(&stage.render_as(&kubeconfig, &flux().charted(), &[]), 2);
        assert_eq!(told.lines().count(), 1, "{told}");
        let asked = format!(
            "reading the cluster of {}: listing customresourcedefinitions: ",
            kubeconfig.display()
        );
        assert!(told.contains(&asked) && told.contains(why), "{told}");
    }
}
