//! The post-renderer under real Helm 3 and 4: stored objects stay, refused ones are not stored.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fluxkeep::helm::record::{Driver, read};
use fluxkeep_tests::control_plane::{Cluster, ControlPlane, folder, own, program};
use serde_json::{Value, json};

const NAMESPACE: &str = "flux-system";

const ENGINE: &str = "apiVersion: v1
kind: Service
metadata:
  name: source-controller # a comment
  labels: {app: source-controller, size: {{ .Values.size | quote }}}
spec:
  ports: [{port: 80}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: cluster-reconciler
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: buckets.source.toolkit.fluxcd.io
  annotations:
    made-by: hand
spec:
  group: source.toolkit.fluxcd.io
  scope: Namespaced
  names: {kind: Bucket, plural: buckets}
  versions:
  - name: {{ .Values.version }}
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

const STRANGER: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: stranger\ndata:\n  size: {{ .Values.size | quote }}\n";

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: source-controller
spec:
  selector:
    matchLabels: {app: source-controller}
  template:
    metadata:
      # The pods.
      labels:
        app: source-controller
        {{ .Values.label }}: \"yes\"
    spec:
      containers:
      - {name: manager, image: ghcr.io/fluxcd/source-controller:v1.4.1}
";

const HOOK: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: hook
  annotations:
    helm.sh/hook: pre-install
";

/// A Helm with its own home and a chart.
struct Helm {
    program: &'static str,
    home: PathBuf,
    kubeconfig: PathBuf,
    renderer: Vec<String>,
}

impl Helm {
    fn new(program: &'static str, plane: &ControlPlane) -> Self {
        let home = folder(program);
        let write = |name: &str, text: &str| {
            let path = home.join("chart").join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
            std::fs::write(path, text).expect("a writable folder");
        };
        write(
            "Chart.yaml",
            "apiVersion: v2\nname: engine\nversion: 1.0.0\n",
        );
        write("values.yaml", "version: v1\nsize: small\n");
        write("templates/engine.yaml", ENGINE);
        write("templates/stranger.yaml", STRANGER);
        write("templates/hook.yaml", HOOK);
        let mut helm = Self {
            program,
            home,
            kubeconfig: plane.kubeconfig(),
            renderer: Vec::new(),
        };
        let renderer = own("fluxkeep-postrenderer");
        if program == "helm-4" {
            let plugin = helm.home.join("plugin");
            assert!(
                Command::new(&renderer)
                    .arg("plugin")
                    .arg(&plugin)
                    .status()
                    .expect("the program")
                    .success()
            );
            succeeds(&helm.run(&["plugin", "install", &plugin.display().to_string()]));
            helm.renderer = vec!["--post-renderer".to_owned(), "fluxkeep".to_owned()];
        } else {
            helm.renderer = vec!["--post-renderer".to_owned(), renderer.display().to_string()];
        }
        helm.told("--release-name=flux")
            .told("--namespace=flux-system")
    }

    fn told(mut self, argument: &str) -> Self {
        self.renderer
            .push(format!("--post-renderer-args={argument}"));
        self
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program(self.program));
        command
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.home);
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, self.home.join(variable));
        }
        command.output().expect("helm starts")
    }

    /// Installs or upgrades with the post-renderer.
    fn apply(&self, verb: &str, more: &[&str]) -> Output {
        let chart = self.home.join("chart").display().to_string();
        let fixed = [verb, "flux", chart.as_str(), "--namespace", NAMESPACE];
        let renderer = self.renderer.iter().map(String::as_str);
        self.run(
            &fixed
                .into_iter()
                .chain(renderer)
                .chain(more.iter().copied())
                .collect::<Vec<_>>(),
        )
    }
}

fn succeeds(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// kubectl's output, trimmed.
fn shown(cluster: &Cluster, arguments: &[&str]) -> String {
    String::from_utf8_lossy(&cluster.kubectl(arguments).stdout)
        .trim()
        .to_owned()
}

/// The manifest that Helm stored for a revision.
fn stored(cluster: &Cluster, revision: u32) -> String {
    let name = format!("secret/sh.helm.release.v1.flux.v{revision}");
    let data = shown(
        cluster,
        &[
            "get",
            "-n",
            NAMESPACE,
            &name,
            "-o",
            "jsonpath={.data.release}",
        ],
    );
    read(&data, Driver::Secret).expect("a record").manifest
}

async fn cluster(plane: &ControlPlane, test: &str) -> Cluster {
    let cluster = plane.cluster(test).await;
    cluster.namespace(NAMESPACE).await;
    cluster
}

/// Install, upgrade, rollback, uninstall: the engine remains, the stranger is deleted.
async fn survives(program: &'static str) {
    let plane = ControlPlane::start().await;
    let cluster = cluster(&plane, program).await;
    let helm = Helm::new(program, &plane);
    succeeds(&helm.apply("install", &[]));
    succeeds(&helm.apply("upgrade", &["--set", "size=large"]));
    let kept = |manifest: &str| manifest.matches("helm.sh/resource-policy").count();
    for revision in [1, 2] {
        let manifest = stored(&cluster, revision);
        assert_eq!(kept(&manifest), 3, "{manifest}");
        assert!(
            manifest.contains("made-by: hand") && !manifest.contains("postrender-filename"),
            "{manifest}"
        );
    }
    succeeds(&helm.run(&["rollback", "flux", "1", "--namespace", NAMESPACE]));
    let size = [
        "get",
        "-n",
        NAMESPACE,
        "service/source-controller",
        "-o",
        "jsonpath={.metadata.labels.size}",
    ];
    assert_eq!(shown(&cluster, &size), "small");
    succeeds(&helm.run(&["uninstall", "flux", "--namespace", NAMESPACE]));
    for object in [
        "service/source-controller",
        "crd/buckets.source.toolkit.fluxcd.io",
        "clusterrolebinding/cluster-reconciler",
    ] {
        assert!(
            cluster
                .kubectl(&["get", "-n", NAMESPACE, object])
                .status
                .success(),
            "{object} stands"
        );
    }
    assert!(
        !cluster
            .kubectl(&["get", "-n", NAMESPACE, "configmap/stranger"])
            .status
            .success(),
        "the stranger is gone"
    );
}

/// A CRD that drops a stored version: Helm shows the reason, and nothing is written.
async fn refuses(program: &'static str) {
    let plane = ControlPlane::start().await;
    let cluster = cluster(&plane, &format!("{program}-refuses")).await;
    let kubeconfig = format!("--kubeconfig={}", plane.kubeconfig().display());
    let helm = Helm::new(program, &plane).told(&kubeconfig);
    succeeds(&helm.apply("install", &[]));
    let before = cluster.inventory(&[]).await;
    let refused = helm.apply("upgrade", &["--set", "version=v1beta2"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    for part in [
        "stored-version-dropped",
        "CustomResourceDefinition buckets.source.toolkit.fluxcd.io",
        "stored as v1",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(cluster.inventory(&[]).await, before, "nothing was written");
}

/// The chart renames a pod label that a Service outside of the release selects by.
#[tokio::test]
async fn a_label_that_a_live_service_relies_on_stays_on_the_pods() {
    let plane = ControlPlane::start().await;
    let cluster = cluster(&plane, "pod-labels").await;
    let helm =
        Helm::new("helm-3", &plane).told(&format!("--kubeconfig={}", plane.kubeconfig().display()));
    std::fs::write(
        helm.home.join("chart/templates/deployment.yaml"),
        DEPLOYMENT,
    )
    .expect("a writable folder");
    succeeds(&helm.apply("install", &["--set", "label=metrics"]));
    let selector = json!({"app": "source-controller", "metrics": "yes"});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "metrics", "namespace": NAMESPACE},
        "spec": {"selector": selector, "ports": [{"port": 8080}]}});
    cluster.apply_all(&[service]).await;
    let report = helm.home.join("report.json");
    let helm = helm.told(&format!("--report={}", report.display()));
    succeeds(&helm.apply("upgrade", &["--set", "label=telemetry"]));
    let labels = [
        "get",
        "-n",
        NAMESPACE,
        "deployment/source-controller",
        "-o",
        "jsonpath={.spec.template.metadata.labels}",
    ];
    let labels: Value = serde_json::from_str(&shown(&cluster, &labels)).expect("JSON");
    assert_eq!(
        labels,
        json!({"app": "source-controller", "metrics": "yes", "telemetry": "yes"})
    );
    assert!(
        stored(&cluster, 2).contains("# The pods."),
        "the rest of the text is as it was"
    );
    let report: Value =
        serde_json::from_slice(&std::fs::read(report).expect("a report")).expect("JSON");
    let objects = report["objects"].as_array().cloned().unwrap_or_default();
    let edits = objects
        .iter()
        .filter_map(|object| object["edits"].as_array())
        .flatten();
    let kept: Vec<_> = edits
        .filter(|edit| edit["path"] == "/spec/template/metadata/labels/metrics")
        .collect();
    let reason = "so that Service flux-system/metrics still selects these pods";
    assert_eq!(
        kept,
        [
            &json!({"path": "/spec/template/metadata/labels/metrics", "value": "yes", "reason": reason})
        ]
    );
}

#[tokio::test]
async fn an_uninstall_by_helm_3_leaves_the_engine_standing() {
    survives("helm-3").await;
}

#[tokio::test]
async fn an_uninstall_by_helm_4_leaves_the_engine_standing() {
    survives("helm-4").await;
}

#[tokio::test]
async fn helm_3_shows_a_refusal_and_stores_nothing() {
    refuses("helm-3").await;
}

#[tokio::test]
async fn helm_4_shows_a_refusal_and_stores_nothing() {
    refuses("helm-4").await;
}

/// An empty manifest is refused before Helm deletes everything for it.
#[tokio::test]
async fn a_chart_that_renders_nothing_deletes_nothing() {
    let plane = ControlPlane::start().await;
    let cluster = cluster(&plane, "empty").await;
    let helm = Helm::new("helm-3", &plane);
    succeeds(&helm.apply("install", &[]));
    empty(&helm.home.join("chart/templates"));
    let refused = helm.apply("upgrade", &[]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("holds no object"));
    assert!(
        cluster
            .kubectl(&["get", "-n", NAMESPACE, "configmap/stranger"])
            .status
            .success()
    );
}

fn empty(folder: &Path) {
    std::fs::remove_dir_all(folder).expect("a folder of the test's own");
}
