//! Objects that are being deleted stand in the way: nothing is written, and the printed commands
//! clear it.

use fluxkeep_tests::control_plane::{eventually, helm_release, said};
use fluxkeep_tests::flux::{HOME, Names};
use serde_json::{Value, json};

use crate::rescuer::Rescuer;
use crate::stage::{Stage, running};
use crate::wiped::{free_definitions, is_whole, patches};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_deleted_is_cleared_by_the_printed_commands() {
    let stage = Stage::set("rescue-in-the-way", Names::Install).await;
    let rescuer = Rescuer::of(&stage.cluster);
    let install = rescuer.manifest("install.yaml", &running().installed(Names::Install));
    let arguments = ["--from", install.as_str(), "--yes"];
    let before = stage.inventory().await;
    stage
        .cluster
        .delete(&named("Deployment", "helm-controller"))
        .await
        .unwrap();

    let release = held(helm_release(&running()));
    stage.cluster.apply(&release).await.unwrap();
    stage.cluster.delete(&release).await.unwrap();
    let told = refused(&stage, &rescuer, &arguments).await;
    assert!(
        told.contains("helm-controller would uninstall Helm release flux-system/flux again"),
        "{told}"
    );
    cleared(&stage, &told);
    assert!(stage.cluster.get(&release).await.is_err(), "it is gone");

    stage.cluster.apply(&bucket()).await.unwrap();
    let definition = named(
        "CustomResourceDefinition",
        "buckets.source.toolkit.fluxcd.io",
    );
    stage.cluster.delete(&definition).await.unwrap();
    let told = refused(&stage, &rescuer, &arguments).await;
    assert!(
        told.contains("Kustomization flux-system/apps brings it back from Git"),
        "{told}"
    );
    cleared(&stage, &told);
    eventually("the CRD is gone", async || {
        free_definitions(&stage).await;
        match stage.cluster.get(&definition).await {
            Err(kube::Error::Api(missing)) if missing.code == 404 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let done = rescuer.runs(&arguments);
    assert!(
        done.contains("objects are as the recovery point says"),
        "{done}"
    );
    is_whole(&stage, &before).await;

    // Without Kubernetes' controllers a Namespace never ends, so it comes last.
    stage
        .cluster
        .delete(&named("Namespace", HOME))
        .await
        .unwrap();
    let told = refused(&stage, &rescuer, &arguments).await;
    assert!(
        told.contains("kubectl wait --for=delete namespace/flux-system"),
        "{told}"
    );
}

/// Runs the command, which refuses and writes nothing.
async fn refused(stage: &Stage, rescuer: &Rescuer, arguments: &[&str]) -> String {
    let before = stage.inventory().await;
    let output = rescuer.run(arguments);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("nothing was written"),
        "{}",
        said(&output)
    );
    assert_eq!(stage.inventory().await, before);
    said(&output)
}

/// Runs the commands in a text.
fn cleared(stage: &Stage, text: &str) {
    let commands = patches(text);
    assert_eq!(commands.len(), 1, "{text}");
    for command in commands {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let output = stage.cluster.kubectl(&words);
        assert!(output.status.success(), "{}", said(&output));
    }
}

/// A custom resource that a Kustomization applied.
fn bucket() -> Value {
    let labels = json!({"kustomize.toolkit.fluxcd.io/name": "apps",
        "kustomize.toolkit.fluxcd.io/namespace": HOME});
    held(
        json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "Bucket",
        "metadata": {"name": "charts", "namespace": HOME, "labels": labels}}),
    )
}

fn held(mut object: Value) -> Value {
    object["metadata"]["finalizers"] = json!(["finalizers.fluxcd.io"]);
    object
}

fn named(kind: &str, name: &str) -> Value {
    let objects = running().installed(Names::Install);
    let mut same = objects
        .into_iter()
        .filter(|one| one["kind"] == kind && one["metadata"]["name"] == name);
    same.next().unwrap()
}
