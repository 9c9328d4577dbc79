//! Objects that a chart hides in lists, with real Helm 3 and 4: what Helm applies is judged, what Helm
//! keeps is kept, and a kind that only looks like a list passes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep_tests::control_plane::{Cluster, ControlPlane, Helm, Webhook, chart, said};
use fluxkeep_tests::flux::{Flux, HOME, Names};
use serde_json::{Value, json};

const HELMS: [Helm; 2] = [Helm::Three, Helm::Four];

/// A cluster with Flux 2.4.0 and a namespace for applications.
async fn cluster(test: &str) -> (ControlPlane, Cluster) {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster(test).await;
    let flux = Flux::release("2.4.0").installed(Names::Install);
    cluster.apply_all(&flux).await;
    cluster.namespace("apps").await;
    (plane, cluster)
}

/// A Deployment with this image.
fn deployment(name: &str, namespace: &str, image: &str) -> Value {
    let labels = json!({"app": name});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "manager", "image": image}]}}}})
}

/// The object inside a list of these kinds: any kind with `items` is a list to Go, and a typed list
/// gives its items their kind.
fn hidden(object: &Value) -> [(&'static str, Value); 3] {
    let mut bare = object.clone();
    let fields = bare.as_object_mut().unwrap();
    fields.remove("kind");
    fields.remove("apiVersion");
    let metadata = json!({"name": "harmless"});
    [
        (
            "ConfigMap",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "items": [object]}),
        ),
        (
            "List",
            json!({"apiVersion": "v1", "kind": "List", "items": [object]}),
        ),
        (
            "DeploymentList",
            json!({"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [bare]}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_controller_in_a_list_of_any_kind_is_refused_and_an_application_in_it_is_installed()
 {
    let (plane, cluster) = cluster("hidden_controllers").await;
    let _webhook = Webhook::guarding(&plane, &cluster).await;
    let older = deployment(
        "source-controller",
        HOME,
        "ghcr.io/fluxcd/source-controller:v1.3.0",
    );
    let image = "/spec/template/spec/containers/0/image";
    let was = cluster.get(&older).await.unwrap().pointer(image).cloned();
    for helm in HELMS {
        for (kind, list) in hidden(&older) {
            let path = chart("hidden", &list.to_string());
            let chart = path.to_str().unwrap();
            let install = ["install", "hidden", chart, "-n", "apps", "--take-ownership"];
            let output = helm.run(&cluster, &install);
            let told = said(&output);
            assert!(!output.status.success(), "{helm:?} {kind}: {told}");
            assert!(
                told.contains("flux-version-mismatch: "),
                "{helm:?} {kind}: {told}"
            );
            let now = cluster.get(&older).await.unwrap().pointer(image).cloned();
            assert_eq!(now, was, "{helm:?} {kind}");
        }
        let application = deployment("shop", "apps", "nginx:1.27");
        for (kind, list) in hidden(&application) {
            let path = chart("shop", &list.to_string());
            helm.runs(
                &cluster,
                &["install", "shop", path.to_str().unwrap(), "-n", "apps"],
            );
            let live = cluster.get(&application).await;
            assert!(live.is_ok(), "{helm:?} applies what is hidden in a {kind}");
            helm.runs(&cluster, &["uninstall", "shop", "-n", "apps"]);
        }
    }
}

/// A kind of applications whose `items` are no list.
fn allow_list() -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "allowlists.acme.example.org"},
        "spec": {"group": "acme.example.org", "scope": "Namespaced",
            "names": {"kind": "AllowList", "plural": "allowlists", "listKind": "AllowListList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_ends_in_list_is_installed_where_its_items_are_none() {
    let (plane, cluster) = cluster("kinds_like_lists").await;
    cluster.apply_all(&[allow_list()]).await;
    let object = json!({"apiVersion": "acme.example.org/v1", "kind": "AllowList",
        "metadata": {"name": "office", "namespace": "apps"}});
    drop(cluster.api(&object).await);
    let unguarded = HELMS.map(|helm| FORMS.map(|form| installs(helm, &cluster, form)));
    let _webhook = Webhook::guarding(&plane, &cluster).await;
    let guarded = HELMS.map(|helm| FORMS.map(|form| installs(helm, &cluster, form)));
    assert_eq!(guarded, unguarded);
    assert!(
        guarded.iter().all(|passes| passes[0] && passes[1]),
        "{guarded:?}"
    );
}

/// What follows `kind: AllowList`. To Helm, a null is a list of no objects.
const FORMS: [&str; 5] = [
    "items:",
    "spec: {items: [a]}",
    "items: {office: 10.0.0.0/8}",
    "items: none",
    "items: [10.0.0.0/8]",
];

/// True if Helm installs a release with such an object.
fn installs(helm: Helm, cluster: &Cluster, form: &str) -> bool {
    let head = "apiVersion: acme.example.org/v1\nkind: AllowList\nmetadata: {name: office}\n";
    let path = chart("lists", &format!("{head}{form}\n"));
    let output = helm.run(
        cluster,
        &["install", "lists", path.to_str().unwrap(), "-n", "apps"],
    );
    assert!(
        !said(&output).contains("fluxkeep"),
        "{form}: {}",
        said(&output)
    );
    // A failed installation leaves its record.
    let _ = helm.run(cluster, &["uninstall", "lists", "-n", "apps"]);
    output.status.success()
}

/// Nobody guards here: Helm's own uninstall shows which annotation it reads.
#[tokio::test(flavor = "multi_thread")]
async fn keep_on_the_list_itself_survives_helms_uninstall_and_on_an_item_it_does_not() {
    let (_plane, cluster) = cluster("kept_lists").await;
    let item = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept", "namespace": "apps"}});
    let keep = json!({"annotations": {"helm.sh/resource-policy": "keep"}});
    let mut marked = item.clone();
    marked["metadata"]["annotations"] = keep["annotations"].clone();
    let list = |metadata: &Value, item: &Value| json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": [item]});
    for helm in HELMS {
        for (list, stays) in [
            (list(&keep, &item), true),
            (list(&json!({}), &marked), false),
        ] {
            let path = chart("kept", &list.to_string());
            helm.runs(
                &cluster,
                &["install", "kept", path.to_str().unwrap(), "-n", "apps"],
            );
            helm.runs(&cluster, &["uninstall", "kept", "-n", "apps"]);
            assert_eq!(cluster.get(&item).await.is_ok(), stays, "{helm:?} {list}");
            let _ = cluster.delete(&item).await;
        }
    }
}
