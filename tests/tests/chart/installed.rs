//! The chart in a real apiserver. No pods run there: the server is a process of the test.

use std::process::Command;

use fluxkeep_tests::control_plane::{
    Cluster, ControlPlane, Helm, Process, Webhook, asked, eventually, fetch, folder, free_port,
    own, said,
};
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::rendered::variants;
use crate::{HELMS, chart, objects, values};

const KINDS: [&str; 4] = [
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];
/// Groups whose CRDs the test does not have.
const FOREIGN: [&str; 2] = ["monitoring.coreos.com/", "cert-manager.io/"];

fn registered(kind: &str) -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "fluxkeep"}})
}

/// Installs or upgrades release `fluxkeep` in the namespace of the same name.
pub(crate) fn helm(helm: Helm, cluster: &Cluster, verb: &[&str], given: &Value) {
    let (chart, values) = (chart(), values(given));
    let fixed = [
        "fluxkeep",
        &chart,
        "--namespace",
        "fluxkeep",
        "--values",
        &values,
    ];
    helm.runs(cluster, &[verb, &fixed].concat());
}

/// The number of objects that are left of the registration.
async fn left(cluster: &Cluster) -> usize {
    let ours = ListParams::default().labels("app.kubernetes.io/part-of=fluxkeep");
    let mut count = 0;
    for kind in KINDS {
        let api = cluster.api(&registered(kind)).await;
        count += api.list(&ours).await.unwrap().items.len();
    }
    count
}

/// The apiserver's answer to a dry-run deletion of Flux's Namespace; empty if it would succeed.
async fn deletion(cluster: &Cluster) -> String {
    let home =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}});
    let dry = DeleteParams::default().dry_run();
    let answer = cluster.api(&home).await.delete("flux-system", &dry).await;
    answer
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

async fn until_deletion(cluster: &Cluster, is: impl Fn(&str) -> bool) {
    eventually("the answer to a deletion of Flux", async || {
        let said = deletion(cluster).await;
        if is(&said) { Ok(()) } else { Err(said) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apiserver_takes_every_variant_without_an_unknown_field() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("chart_variants").await;
    for namespace in ["fluxkeep", "flux-system", "team-a"] {
        cluster.namespace(namespace).await;
    }
    for given in variants() {
        for helm in HELMS {
            let mut objects = objects(helm, &given, &[]);
            objects.retain(|object| {
                let version = object["apiVersion"].as_str().unwrap();
                !FOREIGN.iter().any(|group| version.starts_with(group))
            });
            let file = folder("rendered").join("all.json");
            let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
            std::fs::write(&file, list.to_string()).unwrap();
            let output = cluster.kubectl(&[
                "apply",
                "--server-side",
                "--dry-run=server",
                "--validate=strict",
                "--filename",
                file.to_str().unwrap(),
            ]);
            assert!(
                output.status.success(),
                "{helm:?} {given}: {}",
                said(&output)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn installed_it_refuses_upgraded_it_follows_the_policy_and_uninstalled_it_leaves_nothing() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("chart_installed").await;
    for namespace in ["fluxkeep", "flux-system"] {
        cluster.namespace(namespace).await;
    }
    for version in HELMS {
        let mut webhook = Webhook::start(&plane, [] as [&str; 0]).await;
        let trusted = json!({"caBundle": webhook.authority});
        let given = json!({"webhook": {"url": webhook.url}, "certificates": trusted});
        assert!(!probe(&plane, "1"), "{version:?}: nothing is registered");
        helm(version, &cluster, &["install"], &given);
        asked(&cluster).await;
        assert!(probe(&plane, "30"), "{version:?}");
        let said = deletion(&cluster).await;
        assert!(
            said.contains("engine-deleted: Namespace flux-system"),
            "{said}"
        );

        let off = json!({"webhook": {"url": webhook.url}, "certificates": trusted,
            "policy": {"levels": {"engine-deleted": "off"}}});
        helm(version, &cluster, &["upgrade"], &off);
        until_deletion(&cluster, str::is_empty).await;
        version.runs(
            &cluster,
            &["rollback", "fluxkeep", "1", "--namespace", "fluxkeep"],
        );
        until_deletion(&cluster, |said| said.contains("engine-deleted: ")).await;

        // With the server dead, Flux is still guarded, and the release can be removed.
        webhook.process.kill();
        until_deletion(&cluster, |said| said.contains("failed calling webhook")).await;
        version.runs(
            &cluster,
            &["uninstall", "fluxkeep", "--namespace", "fluxkeep"],
        );
        assert_eq!(left(&cluster).await, 0, "{version:?}");
        until_deletion(&cluster, str::is_empty).await;
    }
}

/// True if the probe finds that the apiserver asks the server.
fn probe(plane: &ControlPlane, within: &str) -> bool {
    let mut program = Command::new(own("fluxkeep-webhook"));
    program
        .arg("probe")
        .arg("--kubeconfig")
        .arg(plane.kubeconfig());
    let output = program.args(["--within", within]).output().unwrap();
    let text = said(&output);
    let fits =
        text.contains("the apiserver asks fluxkeep") || text.contains("does not ask fluxkeep");
    assert!(fits, "{text}");
    output.status.success()
}

/// The server as the chart's Deployment starts it, with the rights of the chart's account.
pub(crate) async fn server(
    plane: &ControlPlane,
    cluster: &Cluster,
    files: &Value,
) -> (Process, u16) {
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "fluxkeep", "namespace": "fluxkeep"}});
    let live = cluster.get(&deployment).await.unwrap();
    let container = &live["spec"]["template"]["spec"]["containers"][0];
    let policy = folder("mounted").join("policy.yaml");
    std::fs::write(&policy, files["policy.yaml"].as_str().unwrap()).unwrap();
    let account = plane.account(cluster, "fluxkeep", "fluxkeep").await;
    let (port, observe) = (free_port(), free_port());
    let mut command = Command::new(own("fluxkeep-webhook"));
    for argument in container["args"].as_array().unwrap() {
        let argument = argument.as_str().unwrap();
        let given = match argument.split_once('=').unwrap_or((argument, "")) {
            ("--listen", _) => format!("--listen=127.0.0.1:{port}"),
            ("--observe", _) => format!("--observe=127.0.0.1:{observe}"),
            ("--policy", _) => format!("--policy={}", policy.display()),
            _ => argument.to_owned(),
        };
        command.arg(given);
    }
    command
        .arg("--kubeconfig")
        .arg(account)
        .args(["--linger", "0"]);
    let log = plane.folder.join(format!("fluxkeep-{port}.log"));
    (Process::start(command, &log), observe)
}

/// The registered objects that the server compared and found to differ.
async fn differing(observe: u16) -> Result<(), Vec<String>> {
    let url = format!("http://127.0.0.1:{observe}/metrics");
    let (_, text) = fetch(&url).await.map_err(|error| vec![error])?;
    let compared: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("fluxkeep_registration_differs{"))
        .collect();
    let differing = compared.iter().filter(|line| line.ends_with(" 1"));
    let differing: Vec<_> = differing.map(|line| (*line).to_owned()).collect();
    // One object of each kind at least.
    let is_all = compared.len() >= KINDS.len() && differing.is_empty();
    if is_all { Ok(()) } else { Err(differing) }
}

/// The bundles of all webhooks, and the generations of both configurations.
pub(crate) async fn bundles(cluster: &Cluster) -> (Vec<Value>, Vec<Value>) {
    let (mut bundles, mut generations) = (Vec::new(), Vec::new());
    for kind in &KINDS[..2] {
        let live = cluster.get(&registered(kind)).await.unwrap();
        let webhooks = live["webhooks"].as_array().unwrap().iter();
        bundles.extend(webhooks.map(|webhook| webhook["clientConfig"]["caBundle"].clone()));
        generations.push(live["metadata"]["generation"].clone());
    }
    (bundles, generations)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_charts_rights_alone_the_server_writes_the_bundles_and_helm_leaves_them() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("chart_built_in").await;
    for namespace in ["fluxkeep", "flux-system"] {
        cluster.namespace(namespace).await;
    }
    for version in HELMS {
        helm(version, &cluster, &["install"], &json!({}));
        let file = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "fluxkeep-policy", "namespace": "fluxkeep"}});
        let file = cluster.get(&file).await.unwrap();
        let (mut process, observe) = server(&plane, &cluster, &file["data"]).await;
        eventually("the server is ready", async || {
            process.is_running();
            match fetch(&format!("http://127.0.0.1:{observe}/readyz")).await {
                Ok((200, _)) => Ok(()),
                other => Err(other),
            }
        })
        .await;
        let (written, generations) = bundles(&cluster).await;
        assert!(written.iter().all(Value::is_string), "{written:?}");

        eventually("nothing differs", async || differing(observe).await).await;

        helm(version, &cluster, &["upgrade"], &json!({"replicaCount": 3}));
        assert_eq!(
            bundles(&cluster).await,
            (written.clone(), generations),
            "{version:?}: an upgrade touches no bundle"
        );
        let open =
            json!({"webhooks": [{"name": "crd.engine.fluxkeep.io", "failurePolicy": "Ignore"}]});
        let patch = [
            "patch",
            "mutatingwebhookconfiguration",
            "fluxkeep",
            "--patch",
            &open.to_string(),
        ];
        assert!(cluster.kubectl(&patch).status.success());
        eventually("what a person opened is told", async || {
            match differing(observe).await {
                Err(objects) if objects.len() == 1 => Ok(()),
                other => Err(other),
            }
        })
        .await;
        let log = process.tail(100);
        assert!(
            !log.contains("forbidden") && !log.contains("rights lack"),
            "{log}"
        );

        version.runs(
            &cluster,
            &["uninstall", "fluxkeep", "--namespace", "fluxkeep"],
        );
        assert_eq!(left(&cluster).await, 0, "{version:?}");
        let secret = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "fluxkeep-authority", "namespace": "fluxkeep"}});
        assert!(cluster.get(&secret).await.is_err(), "{version:?}");
        process.kill();
    }
}
