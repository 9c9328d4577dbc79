//! The registration's arrival in the cluster, its upkeep and its removal.

use std::process::Command;

use fluxkeep_tests::control_plane::{
    ControlPlane, Process, Webhook, eventually, folder, free_port, own,
};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::objects::controller;
use crate::stage::{BY_WEBHOOK, Stage, said};

#[tokio::test(flavor = "multi_thread")]
async fn registering_twice_changes_nothing_and_unregistering_leaves_nothing() {
    let stage = Stage::set("registering_twice").await;
    let before = stage.cluster.inventory(&[]).await;
    let dry = stage.register(&["--dry-run"]);
    assert!(
        dry.lines().count() == 6 && dry.lines().all(|line| line.ends_with(" created (dry run)")),
        "{dry}"
    );
    assert_eq!(stage.cluster.inventory(&[]).await, before);
    let first = stage.register(&[]);
    assert!(
        first.lines().count() == 6 && first.lines().all(|line| line.ends_with(" created")),
        "{first}"
    );
    let registered = stage.cluster.inventory(&[]).await;
    let second = stage.register(&[]);
    assert!(
        second.lines().all(|line| line.ends_with(" unchanged")),
        "{second}"
    );
    assert_eq!(stage.cluster.inventory(&[]).await, registered);
    let gone = stage.run("unregister", &[]);
    assert!(
        gone.lines().count() == 6 && gone.lines().all(|line| line.ends_with(" deleted")),
        "{gone}"
    );
    assert_eq!(stage.cluster.inventory(&[]).await, before);
    assert_eq!(stage.run("unregister", &[]), "nothing is registered\n");
}

/// The configuration's bundles as another field manager applies them.
fn with_bundles(configuration: &Value) -> Value {
    let gates = [
        "crd.engine",
        "crd.others",
        "engine-deleted.engine",
        "engine-deleted.others",
        "post-renderer.mutation",
    ];
    let entry = |gate: &&str| json!({"name": format!("{gate}.fluxkeep.io"), "clientConfig": {"caBundle": ""}});
    let mut bundles = configuration.clone();
    bundles["webhooks"] = gates.iter().map(entry).collect();
    bundles
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_registered_follows_the_policy_whoever_wrote_the_certificates() {
    let stage = Stage::set("follows_the_policy").await;
    let policy = folder("policy").join("policy.yaml");
    std::fs::write(&policy, "mutate: {helmReleases: true}\n").unwrap();
    stage.register(&["--policy", policy.to_str().unwrap()]);
    let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "fluxkeep"}});
    stage
        .cluster
        .apply(&with_bundles(&configuration))
        .await
        .unwrap();
    let live = stage.cluster.get(&configuration).await.unwrap();
    assert_eq!(
        live["webhooks"].as_array().unwrap().len(),
        5,
        "four of the gates, and the mutation"
    );
    std::fs::write(
        &policy,
        "levels: {engine-deleted: \"off\"}\nengine: {namespaces: [flux-system, flux]}\n",
    )
    .unwrap();
    let said = stage.register(&["--policy", policy.to_str().unwrap()]);
    let deleted = said
        .lines()
        .filter(|line| line.ends_with(" deleted"))
        .count();
    assert_eq!(deleted, 2, "the twin and its binding: {said}");
    let live = stage.cluster.get(&configuration).await.unwrap();
    let names: Vec<_> = live["webhooks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|webhook| webhook["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["crd.engine.fluxkeep.io", "crd.others.fluxkeep.io"]);
    assert_eq!(
        stage
            .register(&["--policy", policy.to_str().unwrap()])
            .matches(" unchanged")
            .count(),
        4
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_keeps_its_registration_puts_back_what_is_deleted_or_changed_by_hand_and_counts_it()
 {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("keeps_its_registration").await;
    let webhook = Webhook::registered(&plane, [] as [&str; 0]).await;
    let live = async |kind: &str, name: &str| {
        let object = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}});
        eventually(&format!("{kind} {name} is there"), async || {
            cluster.get(&object).await
        })
        .await
    };
    let changes = async |change: &str, wanted: f64| {
        let sample = format!(r#"fluxkeep_registration_changes_total{{change="{change}"}}"#);
        eventually(&format!("{wanted} are {change}"), async || {
            let counted = webhook.counted(&sample).await;
            if counted >= wanted {
                Ok(())
            } else {
                Err(counted)
            }
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
    assert_eq!(
        live("ValidatingAdmissionPolicy", "engine-deleted.fluxkeep.io").await["spec"],
        twin["spec"]
    );
    let mut opened = put_back.clone();
    opened["webhooks"][0]["failurePolicy"] = json!("Ignore");
    opened["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("managedFields");
    cluster.apply(&opened).await.unwrap();
    changes("configured", 1.0).await;
    let mut unregister = Command::new(own("fluxkeep-webhook"));
    unregister
        .arg("unregister")
        .arg("--kubeconfig")
        .arg(plane.kubeconfig());
    let output = unregister.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("a running server wrote ") && told.contains("First stop every server"),
        "{told}"
    );
    assert_eq!(
        live("MutatingWebhookConfiguration", "fluxkeep").await["webhooks"],
        configuration["webhooks"]
    );
}

/// Server-side apply removes fields that the same manager applied earlier but omits now.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_version_registered_beside_is_taken_away() {
    let stage = Stage::set("an_earlier_version").await;
    stage.register(&[]);
    let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "fluxkeep"}});
    let now = stage.cluster.get(&configuration).await.unwrap();
    let mut earlier = configuration.clone();
    earlier["webhooks"] = now["webhooks"].clone();
    earlier["webhooks"][0]["namespaceSelector"] = json!({"matchLabels": {"guarded": "yes"}});
    let by_fluxkeep = PatchParams::apply("fluxkeep").force();
    stage
        .cluster
        .api(&configuration)
        .await
        .patch("fluxkeep", &by_fluxkeep, &Patch::Apply(&earlier))
        .await
        .unwrap();
    let said = stage.register(&[]);
    assert_eq!(
        said.lines()
            .filter(|line| line.ends_with(" configured"))
            .count(),
        1,
        "{said}"
    );
    assert_eq!(
        stage.cluster.get(&configuration).await.unwrap()["webhooks"],
        now["webhooks"]
    );
}

/// The registration carries no certificate and the authority no webhooks: each owns its part.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_its_own_authority_is_trusted_again_after_its_registration_was_deleted() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("own_authority").await;
    cluster.namespace("flux-system").await;
    let deployment = controller(&json!({}));
    cluster.apply_all(std::slice::from_ref(&deployment)).await;
    let port = free_port();
    let mut command = Command::new(own("fluxkeep-webhook"));
    command.arg("--kubeconfig").arg(plane.kubeconfig()).args([
        "--tls-secret",
        "flux-system/authority",
        "--linger",
        "0",
    ]);
    command.args([
        format!("--listen=127.0.0.1:{port}"),
        format!("--url=https://127.0.0.1:{port}"),
    ]);
    command.arg(format!("--observe=127.0.0.1:{}", free_port()));
    let mut server = Process::start(command, &plane.folder.join("own-authority.log"));
    let refused = async |server: &mut Process| {
        eventually("the server is asked, and trusted", async || {
            server.is_running();
            let said = said({
                let dry = DeleteParams::default().dry_run();
                cluster
                    .api(&deployment)
                    .await
                    .delete("helm-controller", &dry)
                    .await
            });
            if said.contains(BY_WEBHOOK) {
                Ok(())
            } else {
                Err(said)
            }
        })
        .await;
    };
    refused(&mut server).await;
    let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "fluxkeep"}});
    let was = cluster.get(&configuration).await.unwrap();
    cluster.delete(&configuration).await.unwrap();
    eventually("another configuration is trusted", async || {
        let is = cluster
            .get(&configuration)
            .await
            .map_err(|error| error.to_string())?;
        let trusts = is["webhooks"][0]["clientConfig"]["caBundle"].is_string();
        if trusts && is["metadata"]["uid"] != was["metadata"]["uid"] {
            Ok(())
        } else {
            Err(is.to_string())
        }
    })
    .await;
    refused(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registering_a_server_that_does_not_answer_or_is_not_trusted_is_told_with_the_way_to_open()
{
    let plane = ControlPlane::start().await;
    let _cluster = plane.cluster("no_answer").await;
    let register = |more: &[&str]| {
        let mut program = Command::new(own("fluxkeep-webhook"));
        program
            .args(["register", "--dry-run", "--kubeconfig"])
            .arg(plane.kubeconfig())
            .args(more);
        let output = program.output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}");
        told
    };
    let closed = format!("https://127.0.0.1:{}", free_port());
    let told = register(&["--url", &closed]);
    for part in [
        "no --ca-file",
        "does not answer from here: Connection refused",
        "fluxkeep-webhook unregister",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let server = Webhook::start(&plane, [] as [&str; 0]).await;
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let folder = folder("authority");
    let [wrong, right] = ["wrong.crt", "right.crt"].map(|name| folder.join(name));
    std::fs::write(&wrong, other.cert.pem()).unwrap();
    std::fs::write(&right, &server.authority).unwrap();
    let told = register(&["--url", &server.url, "--ca-file", wrong.to_str().unwrap()]);
    assert!(
        told.contains("does not answer from here: invalid peer certificate"),
        "{told}"
    );
    let told = register(&["--url", &server.url, "--ca-file", right.to_str().unwrap()]);
    assert_eq!(told, "");
}
