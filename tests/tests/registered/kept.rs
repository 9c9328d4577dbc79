//! The registration is compared whole, and one of several servers keeps it.

use fluxkeep_tests::control_plane::{Cluster, ControlPlane, Webhook, eventually, folder};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

const API: &str = "admissionregistration.k8s.io/v1";

fn object(kind: &str, name: &str) -> Value {
    json!({"apiVersion": API, "kind": kind, "metadata": {"name": name}})
}

async fn live(cluster: &Cluster, kind: &str, name: &str) -> Value {
    let object = object(kind, name);
    eventually(&format!("{kind} {name} is there"), async || {
        cluster.get(&object).await
    })
    .await
}

/// The decisive parts of a live object.
fn decisive(live: &Value) -> Value {
    json!([live["webhooks"], live["spec"]])
}

async fn patched(cluster: &Cluster, object: &Value, path: &str, value: Value) {
    let change: json_patch::Patch =
        serde_json::from_value(json!([{"op": "add", "path": path, "value": value}])).unwrap();
    let mut changed = cluster.get(object).await.unwrap();
    json_patch::patch(&mut changed, &change).unwrap();
    let part = json!({"webhooks": changed["webhooks"], "spec": changed["spec"]});
    let parts = part
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, part)| !part.is_null());
    let body = json!(
        parts
            .map(|(key, part)| (key.clone(), part.clone()))
            .collect::<serde_json::Map<_, _>>()
    );
    let name = object["metadata"]["name"].as_str().unwrap();
    let api = cluster.api(object).await;
    api.patch(name, &PatchParams::default(), &Patch::Merge(body))
        .await
        .unwrap();
}

/// Manual changes that open the guard without deleting an object.
fn loosened() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let selector = json!({"matchLabels": {"guarded": "never"}});
    let (mutating, policy) = ("MutatingWebhookConfiguration", "ValidatingAdmissionPolicy");
    let twin = "engine-deleted.fluxkeep.io";
    let exclusion = json!([{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]);
    vec![
        (
            mutating,
            "fluxkeep",
            "/webhooks/0/namespaceSelector",
            selector.clone(),
        ),
        (
            mutating,
            "fluxkeep",
            "/webhooks/2/objectSelector",
            selector.clone(),
        ),
        (
            mutating,
            "fluxkeep",
            "/webhooks/2/matchConditions/-",
            json!({"name": "never", "expression": "false"}),
        ),
        (mutating, "fluxkeep", "/webhooks/2/timeoutSeconds", json!(1)),
        (
            policy,
            twin,
            "/spec/matchConstraints/objectSelector",
            selector.clone(),
        ),
        (
            policy,
            twin,
            "/spec/matchConstraints/excludeResourceRules",
            exclusion,
        ),
        (
            policy,
            twin,
            "/spec/matchConditions/-",
            json!({"name": "never", "expression": "false"}),
        ),
        (
            "ValidatingAdmissionPolicyBinding",
            "engine-deleted.flux-system.fluxkeep.io",
            "/spec/matchResources/objectSelector",
            selector,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_loosens_the_registration_is_taken_out_within_a_tick_and_after_a_restart() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("loosened").await;
    let mut webhook = Webhook::registered(&plane, [] as [&str; 0]).await;
    for (kind, name, path, value) in loosened() {
        let was = live(&cluster, kind, name).await;
        for restarted in [false, true] {
            if restarted {
                webhook.process.kill();
            }
            patched(&cluster, &object(kind, name), path, value.clone()).await;
            if restarted {
                webhook.restart().await;
            }
            eventually(&format!("{path} of {kind} is put back"), async || {
                let is = cluster
                    .get(&object(kind, name))
                    .await
                    .map_err(|error| error.to_string())?;
                if decisive(&is) == decisive(&was) {
                    Ok(())
                } else {
                    Err(is.to_string())
                }
            })
            .await;
        }
    }
    let gauge = r#"fluxkeep_registration_differs{object="mutatingwebhookconfiguration.admissionregistration.k8s.io/fluxkeep"}"#;
    assert!(webhook.counted(gauge).await.abs() < 0.5);
}

/// The server's writes so far.
async fn writes(webhook: &Webhook) -> f64 {
    let mut sum = 0.0;
    for change in ["created", "configured", "deleted"] {
        let sample = format!(r#"fluxkeep_registration_changes_total{{change="{change}"}}"#);
        sum += webhook.counted(&sample).await;
    }
    sum
}

/// The apiserver's answered reads of these kinds, without watches.
async fn reads(cluster: &Cluster) -> f64 {
    let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
    let text = cluster.client.request_text(request).await.unwrap();
    let group = r#"group="admissionregistration.k8s.io""#;
    let lines = text
        .lines()
        .filter(|line| line.starts_with("apiserver_request_total{") && line.contains(group));
    let read =
        lines.filter(|line| line.contains(r#"verb="GET""#) || line.contains(r#"verb="LIST""#));
    read.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// Most reads that a server needs for one change: the object and the object with the mark, both
/// after the change and after the repair.
const READS: f64 = 4.0;
/// Most reads of two servers that still notice each other: twice every object, each time with the
/// object that bears the mark.
const SETTLING: f64 = 2.0 * 2.0 * 2.0 * 15.0;
/// More changes than the reads of settling can hide.
const CHANGES: u8 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn of_two_servers_with_other_policies_one_leaves_it_to_the_other_and_both_ask_little() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("two_servers").await;
    let first = Webhook::registered(&plane, [] as [&str; 0]).await;
    let mark = |live: &Value| live["metadata"]["annotations"]["fluxkeep.io/registered-by"].clone();
    let configuration = ("ValidatingWebhookConfiguration", "fluxkeep");
    let before = mark(&live(&cluster, configuration.0, configuration.1).await);
    let policy = folder("policy").join("policy.yaml");
    std::fs::write(&policy, "levels: {override-in-release: off}\n").unwrap();
    let second = Webhook::registered(&plane, ["--policy", policy.to_str().unwrap()]).await;
    let after = eventually("the second one's is registered", async || {
        let is = mark(&live(&cluster, configuration.0, configuration.1).await);
        if is == before { Err(is) } else { Ok(is) }
    })
    .await;
    let twin = object(
        "ValidatingAdmissionPolicy",
        "override-in-release.fluxkeep.io",
    );
    eventually(
        "what the second one does not want is gone",
        async || match cluster.get(&twin).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await;
    eventually("the first one sees it", async || {
        let object = "validatingwebhookconfiguration.admissionregistration.k8s.io/fluxkeep";
        let differs = first
            .counted(&format!(
                r#"fluxkeep_registration_differs{{object="{object}"}}"#
            ))
            .await;
        if differs > 0.5 { Ok(()) } else { Err(differs) }
    })
    .await;
    let (written, read) = (writes(&first).await, reads(&cluster).await);
    let second_wrote = writes(&second).await;
    let own = changes_are_put_back(&cluster).await;
    assert!(
        (writes(&first).await - written).abs() < 0.5,
        "the first one writes nothing"
    );
    let wrote = writes(&second).await - second_wrote;
    assert!(
        (wrote - f64::from(CHANGES)).abs() < 0.5,
        "{wrote} writes for {CHANGES} changes"
    );
    let asked = reads(&cluster).await - read - own;
    let most = f64::from(CHANGES) * READS * 2.0 + SETTLING;
    assert!(asked <= most, "{asked} reads for {CHANGES} changes");
    assert_eq!(
        mark(&live(&cluster, configuration.0, configuration.1).await),
        after
    );
}

/// Changes the VAP twin [`CHANGES`] times, and waits each time until the server restores the twin.
/// Returns the number of this test's own reads.
async fn changes_are_put_back(cluster: &Cluster) -> f64 {
    let (kind, name) = ("ValidatingAdmissionPolicy", "engine-deleted.fluxkeep.io");
    let was = live(cluster, kind, name).await;
    let mut own = 1.0;
    for _ in 0..CHANGES {
        patched(
            cluster,
            &object(kind, name),
            "/spec/failurePolicy",
            json!("Ignore"),
        )
        .await;
        own += 1.0;
        eventually("the twin is put back", async || {
            own += 1.0;
            let is = cluster
                .get(&object(kind, name))
                .await
                .map_err(|error| error.to_string())?;
            if decisive(&is) == decisive(&was) {
                Ok(())
            } else {
                Err(is.to_string())
            }
        })
        .await;
    }
    own
}
