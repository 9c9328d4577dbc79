//! The registration in a real kube-apiserver: taken as it is, reached through each door, closed for
//! the engine and open for strangers while the server is down.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::path::PathBuf;
use std::process::Command;

use fluxkeep_tests::control_plane::{Cluster, ControlPlane, Webhook, eventually, folder, own};
use fluxkeep_tests::deletes::{Deletion, deletions};
use fluxkeep_tests::{definition, record};
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

/// A cluster, the server, and what is registered.
struct Stage {
    plane: ControlPlane,
    cluster: Cluster,
    webhook: Webhook,
    authority: PathBuf,
}

impl Stage {
    async fn set(test: &str) -> Self {
        let plane = ControlPlane::start().await;
        let cluster = plane.cluster(test).await;
        let webhook = Webhook::start(&plane, [] as [&str; 0]).await;
        let authority = folder("authority").join("ca.crt");
        std::fs::write(&authority, &webhook.authority).unwrap();
        for namespace in ["flux-system", "elsewhere"] {
            cluster.namespace(namespace).await;
        }
        Self { plane, cluster, webhook, authority }
    }

    fn run(&self, command: &str, more: &[&str]) -> String {
        let mut program = Command::new(own("fluxkeep-webhook"));
        program.arg(command).arg("--kubeconfig").arg(self.plane.kubeconfig()).args(more);
        let output = program.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn register(&self, more: &[&str]) -> String {
        let authority = self.authority.to_str().unwrap();
        self.run("register", &[&["--url", &self.webhook.url, "--ca-file", authority], more].concat())
    }

    /// How many reviews came through a door, whatever was decided.
    async fn reviews(&self, door: &str) -> u32 {
        let mut sum = 0.0;
        for decision in ["allow", "warn", "refuse", "error"] {
            let labels = format!(r#"{{door="{door}",decision="{decision}"}}"#);
            sum += self.webhook.counted(&format!("fluxkeep_admission_reviews_total{labels}")).await;
        }
        format!("{sum}").parse().expect("a whole number")
    }

    /// What the apiserver says to a deletion that it would not do: nothing where it would.
    async fn deleted(&self, object: &Value) -> String {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap();
        let dry = DeleteParams::default().dry_run();
        said(self.cluster.api(object).await.delete(name, &dry).await)
    }

    /// What the apiserver says to the deletion of all Deployments beside the engine.
    async fn all_deleted(&self) -> String {
        let deployments = self.cluster.api(&controller(&json!({}))).await;
        let dry = DeleteParams::default().dry_run();
        said(deployments.delete_collection(&dry, &ListParams::default()).await)
    }

    /// Waits until the deletion of a controller is answered with this.
    async fn until(&self, part: &str) {
        let controller = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "source-controller", "namespace": "flux-system"}});
        eventually(&format!("a deletion is answered with {part:?}"), async || {
            let said = self.deleted(&controller).await;
            if said.contains(part) && said.is_empty() == part.is_empty() { Ok(()) } else { Err(said) }
        })
        .await;
    }
}

fn said<T>(answer: kube::Result<T>) -> String {
    answer.err().map(|error| error.to_string()).unwrap_or_default()
}

fn objects() -> Vec<Value> {
    deletions().into_iter().map(|deletion| deletion.object).collect()
}

const BY_WEBHOOK: &str = "admission webhook \"engine-deleted.engine.fluxkeep.io\" denied the request: engine-deleted: ";
const BY_TWIN: &str = "ValidatingAdmissionPolicy 'engine-deleted.fluxkeep.io'";
const DOWN: &str = "failed calling webhook \"engine-deleted.engine.fluxkeep.io\"";

#[tokio::test(flavor = "multi_thread")]
async fn registering_twice_changes_nothing_and_unregistering_leaves_nothing() {
    let stage = Stage::set("registering_twice").await;
    let before = stage.cluster.inventory(&[]).await;
    let dry = stage.register(&["--dry-run"]);
    assert!(dry.lines().count() == 6 && dry.lines().all(|line| line.ends_with(" created (dry run)")), "{dry}");
    assert_eq!(stage.cluster.inventory(&[]).await, before);
    let first = stage.register(&[]);
    assert!(first.lines().count() == 6 && first.lines().all(|line| line.ends_with(" created")), "{first}");
    let registered = stage.cluster.inventory(&[]).await;
    let second = stage.register(&[]);
    assert!(second.lines().all(|line| line.ends_with(" unchanged")), "{second}");
    assert_eq!(stage.cluster.inventory(&[]).await, registered);
    let gone = stage.run("unregister", &[]);
    assert!(gone.lines().count() == 6 && gone.lines().all(|line| line.ends_with(" deleted")), "{gone}");
    assert_eq!(stage.cluster.inventory(&[]).await, before);
    assert_eq!(stage.run("unregister", &[]), "nothing is registered\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_registered_follows_the_policy_whoever_wrote_the_certificates() {
    let stage = Stage::set("follows_the_policy").await;
    stage.register(&[]);
    let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "fluxkeep"}});
    let mut bundles = configuration.clone();
    let names = ["crd.engine", "crd.others", "engine-deleted.engine", "engine-deleted.others"];
    bundles["webhooks"] =
        names.map(|name| json!({"name": format!("{name}.fluxkeep.io"), "clientConfig": {"caBundle": ""}})).into();
    stage.cluster.apply(&bundles).await.unwrap();
    let policy = folder("policy").join("policy.yaml");
    std::fs::write(&policy, "levels: {engine-deleted: \"off\"}\nengine: {namespaces: [flux-system, flux]}\n").unwrap();
    let said = stage.register(&["--policy", policy.to_str().unwrap()]);
    let deleted = said.lines().filter(|line| line.ends_with(" deleted")).count();
    assert_eq!(deleted, 2, "the twin and its binding: {said}");
    let live = stage.cluster.get(&configuration).await.unwrap();
    let names: Vec<_> =
        live["webhooks"].as_array().unwrap().iter().map(|webhook| webhook["name"].as_str().unwrap()).collect();
    let label = ["engine-label-removed.engine.fluxkeep.io", "engine-label-removed.others.fluxkeep.io"];
    assert_eq!(names, [&["crd.engine.fluxkeep.io", "crd.others.fluxkeep.io"][..], &label[..]].concat());
    assert_eq!(stage.register(&["--policy", policy.to_str().unwrap()]).matches(" unchanged").count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_twin_refuses_exactly_the_deletions_that_the_webhook_refuses() {
    let mut stage = Stage::set("the_twin").await;
    stage.cluster.apply_all(&objects()).await;
    stage.register(&[]);
    stage.until(BY_WEBHOOK).await;
    for Deletion { object, refused, .. } in deletions() {
        let said = stage.deleted(&object).await;
        assert_eq!(said.contains(BY_WEBHOOK), refused, "the webhook on {object}: {said}");
        assert_eq!(said.is_empty(), !refused, "{object}: {said}");
    }
    assert!(stage.all_deleted().await.contains(BY_WEBHOOK), "a request for a collection has no name");
    stage.webhook.process.kill();
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        let configuration =
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "fluxkeep"}});
        stage.cluster.delete(&configuration).await.unwrap();
    }
    stage.until(BY_TWIN).await;
    for Deletion { object, refused, .. } in deletions() {
        let said = stage.deleted(&object).await;
        assert_eq!(said.contains(BY_TWIN) && said.contains("Forbidden"), refused, "the twin on {object}: {said}");
        assert_eq!(said.is_empty(), !refused, "{object}: {said}");
    }
    assert!(stage.all_deleted().await.contains(BY_TWIN), "a request for a collection has no name");
    let labelled = |object: &Value| object["metadata"]["labels"].is_object() && object["kind"] == "Deployment";
    let mut bare = objects().into_iter().find(labelled).unwrap();
    bare["metadata"].as_object_mut().unwrap().remove("labels");
    let said = said(stage.cluster.apply(&bare).await);
    assert!(said.contains("ValidatingAdmissionPolicy 'engine-label-removed.fluxkeep.io'"), "{said}");
    let home = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system", "annotations": {
        "fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "moving", "fluxkeep.io/until": "2026-12-01T18:00:00Z"}}});
    stage.cluster.apply(&home).await.unwrap();
    stage.until("").await;
    for Deletion { object, .. } in deletions() {
        assert_eq!(stage.deleted(&object).await, "", "an override on the Namespace covers {object}");
    }
}

/// Something written, and what that is to the registration.
struct Write {
    door: &'static str,
    object: Value,
    /// Whether it is the engine's.
    closed: bool,
}

/// Writes that each door has to see once, in an order in which each is possible.
fn writes() -> Vec<Write> {
    let write = |door, object, closed| Write { door, object, closed };
    let status = |mut object: Value| {
        object["status"] = json!({"storedVersions": ["v1", "v2"]});
        object
    };
    vec![
        write("crd", two_versions(THINGS), false),
        write("crd", two_versions(BUCKETS), true),
        write("crd-status", status(two_versions(THINGS)), false),
        write("crd-status", status(two_versions(BUCKETS)), true),
        write("helm-release", helm_release("shop", "elsewhere"), false),
        write("helm-release", helm_release("fluxkeep", "flux-system"), false),
        write("helm-release", helm_release("flux", "flux-system"), true),
        write("release-record", release_record("shop", "elsewhere"), false),
        write("release-record", release_record("fluxkeep", "flux-system"), false),
        write("release-record", release_record("flux", "flux-system"), true),
        write("engine", controller(&json!({})), true),
    ]
}

/// Writes that no rule finds anything in.
fn quiet() -> Vec<Value> {
    let secret = |name: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "flux-system"}});
    let noted = controller(&json!({"labels": {"app.kubernetes.io/part-of": "flux"}, "annotations": {"note": "x"}}));
    let mut release = helm_release("quiet", "flux-system");
    release["metadata"]["annotations"] = json!({"note": "x"});
    vec![secret("token"), noted, release, two_versions("items.example.org"), one_version(THINGS), one_version(BUCKETS)]
}

const THINGS: &str = "things.example.org";
const BUCKETS: &str = "buckets.source.toolkit.fluxcd.io";

fn one_version(name: &str) -> Value {
    let (plural, group) = name.split_once('.').unwrap();
    let mut object = definition(&[("v1", true, true)], &[]);
    let kind = if plural == "helmreleases" { "HelmRelease" } else { plural.trim_end_matches('s') };
    object["metadata"]["name"] = json!(name);
    object["spec"]["group"] = json!(group);
    object["spec"]["names"] =
        json!({"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")});
    object["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-preserve-unknown-fields"] = json!(true);
    object.as_object_mut().unwrap().remove("status");
    object
}

fn two_versions(name: &str) -> Value {
    let mut object = one_version(name);
    let mut second = object["spec"]["versions"][0].clone();
    second["name"] = json!("v2");
    second["storage"] = json!(false);
    object["spec"]["versions"].as_array_mut().unwrap().push(second);
    object
}

fn helm_release(name: &str, namespace: &str) -> Value {
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v1", "kind": "HelmRelease", "spec": {"interval": "1h"},
        "metadata": {"name": name, "namespace": namespace}})
}

fn release_record(name: &str, namespace: &str) -> Value {
    let mut secret = record("", &[]);
    secret["metadata"]["name"] = json!(format!("sh.helm.release.v1.{name}.v1"));
    secret["metadata"]["namespace"] = json!(namespace);
    secret
}

fn controller(metadata: &Value) -> Value {
    let mut metadata = metadata.clone();
    metadata["name"] = json!("helm-controller");
    metadata["namespace"] = json!("flux-system");
    let labels = json!({"app": "helm-controller"});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "manager", "image": "x"}]}});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {"selector": {"matchLabels": labels}, "template": pod}})
}

/// What the writes find: definitions with one version, a controller with its label, a release.
fn before() -> Vec<Value> {
    let definitions = [THINGS, BUCKETS, "helmreleases.helm.toolkit.fluxcd.io"].map(one_version);
    let labelled = controller(&json!({"labels": {"app.kubernetes.io/part-of": "flux"}}));
    let source = deletions().into_iter().find(|one| one.resource == "deployments").unwrap().object;
    definitions.into_iter().chain([labelled, source, helm_release("quiet", "flux-system")]).collect()
}

impl Stage {
    async fn written(&self, object: &Value) -> String {
        match object.get("status") {
            Some(status) => said(self.cluster.patch_status(object, status).await),
            None => said(self.cluster.apply(object).await),
        }
    }

    async fn asked_in_all(&self) -> u32 {
        let mut sum = 0;
        for door in ["crd", "crd-status", "helm-release", "release-record", "engine", "none"] {
            sum += self.reviews(door).await;
        }
        sum
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_door_is_reached_and_nobody_is_asked_about_what_no_rule_looks_at() {
    let stage = Stage::set("each_door").await;
    stage.cluster.apply_all(&before()).await;
    stage.register(&[]);
    stage.until(BY_WEBHOOK).await;
    let start = stage.asked_in_all().await;
    for object in quiet() {
        assert_eq!(stage.written(&object).await, "", "{object}");
    }
    assert_eq!(stage.asked_in_all().await, start, "quiet writes are not sent");
    for Write { door, object, .. } in writes() {
        let before = stage.reviews(door).await;
        let said = stage.written(&object).await;
        assert_eq!(stage.reviews(door).await - before, 1, "{door} is asked about {object}: {said}");
        assert_eq!(said.is_empty(), door != "engine", "{object}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_server_down_the_engine_is_closed_and_everything_else_goes_on() {
    let mut stage = Stage::set("server_down").await;
    stage.cluster.apply_all(&before()).await;
    stage.register(&[]);
    stage.until(BY_WEBHOOK).await;
    stage.webhook.process.kill();
    stage.until(DOWN).await;
    for object in quiet() {
        assert_eq!(stage.written(&object).await, "", "{object}");
    }
    for Write { object, closed, .. } in writes() {
        let said = stage.written(&object).await;
        assert_eq!(said.contains("failed calling webhook"), closed, "{object}: {said}");
        assert_eq!(said.is_empty(), !closed, "{object}: {said}");
    }
    stage.run("unregister", &[]);
    stage.until("").await;
}

/// The Deployment of a Flux that Helm release `flux` owns, and the HelmRelease that makes that.
fn owned() -> [Value; 2] {
    let owner = json!({"meta.helm.sh/release-name": "flux", "meta.helm.sh/release-namespace": "flux-system"});
    [controller(&json!({"annotations": owner})), helm_release("flux", "flux-system")]
}

/// What is said in `kubectl describe` of an object.
fn described(cluster: &Cluster, object: &str) -> String {
    String::from_utf8(cluster.kubectl(&["describe", "--namespace", "flux-system", object]).stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_deletion_shows_once_on_the_object_and_on_its_helm_release() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("refused_deletion").await;
    cluster.namespace("flux-system").await;
    cluster.apply_all(&["helmreleases.helm.toolkit.fluxcd.io", BUCKETS].map(one_version)).await;
    cluster.apply_all(&owned()).await;
    let webhook = Webhook::registered(&plane, ["--events"]).await;
    let [deployment, _] = owned();
    eventually("the deletion is refused by the webhook", async || {
        let dry = DeleteParams::default().dry_run();
        let said = said(cluster.api(&deployment).await.delete("helm-controller", &dry).await);
        if said.contains(BY_WEBHOOK) { Ok(()) } else { Err(said) }
    })
    .await;
    assert!(!described(&cluster, "deployment/helm-controller").contains("DeletionRefused"), "nothing of a dry run");
    for _ in 0..3 {
        assert!(said(cluster.delete(&deployment).await).contains(BY_WEBHOOK));
        assert!(said(cluster.delete(&one_version(BUCKETS)).await).contains(BY_WEBHOOK));
    }
    for (object, part) in [
        ("deployment/helm-controller", "engine-deleted: Deployment flux-system/helm-controller: admin deletes"),
        ("crd/buckets.source.toolkit.fluxcd.io", "engine-deleted: CustomResourceDefinition buckets"),
        ("helmrelease/flux", "Suspend or correct this HelmRelease before you delete that release record"),
    ] {
        eventually(&format!("{object} shows {part:?}"), async || {
            let shown = described(&cluster, object);
            let events: Vec<_> = shown.lines().filter(|line| line.contains("DeletionRefused")).collect();
            let is_told = matches!(events.as_slice(), [one] if one.contains(part) && one.contains("(x3 over"));
            if is_told { Ok(()) } else { Err(shown) }
        })
        .await;
    }
    assert!(webhook.counted(r#"fluxkeep_events_total{result="written"}"#).await >= 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_keeps_its_registration_puts_back_what_is_deleted_or_changed_by_hand_and_counts_it() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("keeps_its_registration").await;
    let webhook = Webhook::registered(&plane, [] as [&str; 0]).await;
    let live = async |kind: &str, name: &str| {
        let object = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}});
        eventually(&format!("{kind} {name} is there"), async || cluster.get(&object).await).await
    };
    let changes = async |change: &str, wanted: f64| {
        let sample = format!(r#"fluxkeep_registration_changes_total{{change="{change}"}}"#);
        eventually(&format!("{wanted} are {change}"), async || {
            let counted = webhook.counted(&sample).await;
            if counted >= wanted { Ok(()) } else { Err(counted) }
        })
        .await;
    };
    changes("created", 6.0).await;
    let twin = live("ValidatingAdmissionPolicy", "engine-deleted.fluxkeep.io").await;
    let configuration = live("MutatingWebhookConfiguration", "fluxkeep").await;
    for gone in [&twin, &configuration] {
        cluster.delete(gone).await.unwrap();
    }
    changes("created", 8.0).await;
    let put_back = live("MutatingWebhookConfiguration", "fluxkeep").await;
    assert_eq!(put_back["webhooks"], configuration["webhooks"]);
    assert_eq!(live("ValidatingAdmissionPolicy", "engine-deleted.fluxkeep.io").await["spec"], twin["spec"]);
    let mut opened = put_back.clone();
    opened["webhooks"][0]["failurePolicy"] = json!("Ignore");
    opened["metadata"].as_object_mut().unwrap().remove("managedFields");
    cluster.apply(&opened).await.unwrap();
    changes("configured", 1.0).await;
    assert_eq!(live("MutatingWebhookConfiguration", "fluxkeep").await["webhooks"], configuration["webhooks"]);
}
