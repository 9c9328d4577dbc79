//! A HelmRelease that GitOps applies repeatedly while the server mutates it.

use fluxkeep::helm::post_renderer::stanza;
use fluxkeep_tests::control_plane::{Cluster, ControlPlane, Webhook, eventually, folder};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::objects::{helm_release, one_version};

/// The patch parameters of kustomize-controller.
fn applying() -> PatchParams {
    PatchParams::apply("kustomize-controller").force()
}

async fn written(
    cluster: &Cluster,
    object: &Value,
    params: &PatchParams,
    patch: &Patch<Value>,
) -> Result<Value, String> {
    let name = object["metadata"]["name"].as_str().unwrap();
    let answer = cluster.api(object).await.patch(name, params, patch).await;
    answer
        .map(|object| json!(object))
        .map_err(|error| error.to_string())
}

async fn applied(cluster: &Cluster, file: &Value) -> Value {
    written(cluster, file, &applying(), &Patch::Apply(file.clone()))
        .await
        .unwrap()
}

async fn tried(cluster: &Cluster, file: &Value) -> Result<Value, String> {
    written(
        cluster,
        file,
        &applying().dry_run(),
        &Patch::Apply(file.clone()),
    )
    .await
}

/// A HelmRelease of the chart that carries Flux, with these post-renderers in its file.
fn file(name: &str, renderers: &Value) -> Value {
    let mut file = helm_release(name, "flux-system");
    file["spec"]["chart"] = json!({"spec": {"chart": "flux2", "version": "2.14.1"}});
    if renderers.is_array() {
        file["spec"]["postRenderers"] = renderers.clone();
    }
    file
}

fn own() -> Value {
    json!({"kustomize": {"images": [{"name": "a", "newTag": "b"}]}})
}

/// A cluster that serves HelmReleases, and a server that mutates them.
async fn stage(test: &str) -> (ControlPlane, Cluster, Webhook) {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster(test).await;
    cluster.namespace("flux-system").await;
    cluster
        .apply_all(&[one_version("helmreleases.helm.toolkit.fluxcd.io")])
        .await;
    let policy = folder("policy").join("policy.yaml");
    std::fs::write(&policy, "mutate: {helmReleases: true}\n").unwrap();
    let webhook = Webhook::registered(&plane, ["--policy", policy.to_str().unwrap()]).await;
    let probe = file("probe", &Value::Null);
    eventually("the apiserver asks for what is to be added", async || {
        let tried = tried(&cluster, &probe).await?;
        if tried["spec"]["postRenderers"].is_array() {
            Ok(())
        } else {
            Err(tried.to_string())
        }
    })
    .await;
    (plane, cluster, webhook)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gitops_applies_again_has_the_stanza_once_and_comes_to_rest() {
    let (_plane, cluster, webhook) = stage("gitops").await;
    let cases = [
        ("silent", Value::Null, json!([stanza()])),
        ("with-its-own", json!([own()]), json!([own(), stanza()])),
        ("with-the-stanza", json!([stanza()]), json!([stanza()])),
    ];
    for (name, renderers, expected) in cases {
        let file = file(name, &renderers);
        let first = applied(&cluster, &file).await;
        assert_eq!(first["spec"]["postRenderers"], expected, "{name}");
        let is_told = first["metadata"]["annotations"]["fluxkeep.io/added"] == "spec.postRenderers";
        assert_eq!(is_told, renderers != expected, "{name}: {first}");
        for round in 1..=2 {
            let tried = tried(&cluster, &file).await.unwrap();
            assert_eq!(
                tried["spec"], first["spec"],
                "{name}: a dry run of round {round} sees no drift"
            );
            let again = applied(&cluster, &file).await;
            assert_eq!(again["spec"], first["spec"], "{name}, round {round}");
            for key in ["annotations", "generation", "resourceVersion"] {
                assert_eq!(
                    again["metadata"][key], first["metadata"][key],
                    "{name}, round {round}: {key}"
                );
            }
        }
    }
    assert!(webhook.counted("fluxkeep_mutations_total").await >= 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_away_by_hand_comes_back_and_what_is_nobodys_engine_stays_as_it_was_written()
{
    let (_plane, cluster, _webhook) = stage("by_hand").await;
    let release = file("flux", &Value::Null);
    applied(&cluster, &release).await;
    let taken = Patch::Merge(json!({"spec": {"postRenderers": null}}));
    let after = written(&cluster, &release, &PatchParams::default(), &taken)
        .await
        .unwrap();
    assert_eq!(after["spec"]["postRenderers"], json!([stanza()]));
    let mut suspended = release.clone();
    suspended["metadata"]["name"] = json!("suspended");
    suspended["spec"]["suspend"] = json!(true);
    let own_release = file("fluxkeep", &json!([own()]));
    for left in [helm_release("shop", "flux-system"), own_release, suspended] {
        let live = applied(&cluster, &left).await;
        assert_eq!(live["spec"], left["spec"]);
        assert_eq!(live["metadata"].get("annotations"), None, "{live}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_applies_it_with_kubectl_is_warned_and_a_list_that_is_none_is_told() {
    let (_plane, cluster, _webhook) = stage("kubectl").await;
    let kubectl = |object: &Value| {
        let path = folder("file").join("release.json");
        std::fs::write(&path, object.to_string()).unwrap();
        cluster.kubectl(&[
            "apply",
            "--server-side",
            "--filename",
            path.to_str().unwrap(),
        ])
    };
    let output = kubectl(&file("flux", &Value::Null));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    assert!(
        told.contains("Warning: HelmRelease flux-system/flux: fluxkeep added spec.postRenderers: "),
        "{told}"
    );
    let mut bad = file("bad", &Value::Null);
    bad["spec"]["postRenderers"] = json!({"kustomize": {}});
    let output = kubectl(&bad);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{told}");
    assert!(
        told.contains("HelmRelease flux-system/bad: fluxkeep cannot add spec.postRenderers: "),
        "{told}"
    );
}
