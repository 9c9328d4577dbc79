//! Removing the engine on purpose, and letting go of its release.

use fluxkeep_tests::control_plane::{Helm, chart, eventually};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::shell::command;
use crate::stage::{Stage, said};

fn controller(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "flux-system"}})
}

async fn dry_deleted(stage: &Stage, object: &Value) -> String {
    let dry = DeleteParams::default().dry_run();
    let name = object["metadata"]["name"].as_str().unwrap();
    said(stage.cluster.api(object).await.delete(name, &dry).await)
}

/// Repeats a dry-run deletion until its answer differs from `before`.
async fn dry_deleted_after(stage: &Stage, object: &Value, before: &str) -> String {
    eventually("the server has seen the change", async || {
        let now = dry_deleted(stage, object).await;
        if now == before { Err(now) } else { Ok(now) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn flux_is_removed_on_purpose_by_the_command_that_the_refusal_names() {
    let mut stage = Stage::set("removed_on_purpose").await;
    stage.guard().await;
    let object = controller("source-controller");
    let refused = dry_deleted(&stage, &object).await;
    assert!(refused.contains("engine-deleted: "), "{refused}");
    stage.shell.succeeds("sh", command(&refused).unwrap());
    assert_eq!(dry_deleted_after(&stage, &object, &refused).await, "");
    stage.cluster.delete(&object).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helm_release_that_owns_flux_is_deleted_once_it_is_suspended_as_told() {
    let mut stage = Stage::set("suspended_as_told").await;
    let owner = json!({"metadata": {"annotations": {"meta.helm.sh/release-name": "flux",
        "meta.helm.sh/release-namespace": "flux-system"}}});
    for name in ["source-controller", "helm-controller"] {
        let object = controller(name);
        let api = stage.cluster.api(&object).await;
        api.patch(name, &PatchParams::default(), &Patch::Merge(&owner))
            .await
            .unwrap();
    }
    let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "flux", "namespace": "flux-system"}, "spec": {"interval": "1h",
            "chart": {"spec": {"chart": "flux2", "version": "2.14.0",
                "sourceRef": {"kind": "HelmRepository", "name": "community"}}}}});
    stage
        .cluster
        .apply_all(std::slice::from_ref(&release))
        .await;
    stage.guard().await;
    let refused = dry_deleted(&stage, &release).await;
    assert!(refused.contains("engine-deleted: "), "{refused}");
    stage.shell.succeeds("bash", command(&refused).unwrap());
    assert_eq!(dry_deleted_after(&stage, &release, &refused).await, "");
    stage.cluster.delete(&release).await.unwrap();
    stage
        .cluster
        .get(&controller("helm-controller"))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_let_go_of_by_the_command_that_the_refusal_names() {
    let mut stage = Stage::set("let_go_of").await;
    // An owner that is not there owns nothing.
    let owner = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "flux-system", "namespace": "flux-system"},
        "spec": {"interval": "1h", "path": "./", "prune": true,
            "sourceRef": {"kind": "GitRepository", "name": "flux-system"}}});
    stage.cluster.apply_all(&[owner]).await;
    let object = controller("source-controller");
    let labels = json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "flux-system",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}}});
    stage
        .cluster
        .api(&object)
        .await
        .patch(
            "source-controller",
            &PatchParams::default(),
            &Patch::Merge(&labels),
        )
        .await
        .unwrap();
    stage.guard().await;
    let mut brought = stage.cluster.get(&object).await.unwrap();
    brought["metadata"] = json!({"name": "source-controller", "namespace": "flux-system",
        "labels": {"app.kubernetes.io/part-of": "flux"}, "annotations": {"helm.sh/resource-policy": "keep"}});
    brought.as_object_mut().unwrap().remove("status");
    let refused = stage
        .stored("flux", "flux-system", &[brought.clone()])
        .await;
    assert!(refused.contains("foreign-owner: "), "{refused}");
    let line = refused.lines().find(|line| line.contains("kubectl label"));
    let line = line.unwrap();
    let line = &line[line.find("kubectl label").unwrap()..];
    stage.shell.succeeds("sh", line.trim_end_matches('.'));
    eventually("nobody else owns it", async || {
        let now = stage
            .stored("flux", "flux-system", &[brought.clone()])
            .await;
        if now.contains("foreign-owner: ") {
            Err(now)
        } else {
            Ok(())
        }
    })
    .await;
}

/// Both commands of the remedy, before and after the upgrade that it tells of.
fn steps(refused: &str) -> (String, String) {
    let line = refused
        .lines()
        .find(|line| line.contains("kubectl annotate"));
    let line = &line.unwrap()[line.unwrap().find("kubectl annotate").unwrap()..];
    let (first, rest) = line.split_once(", then upgrade Helm release ").unwrap();
    let (_, last) = rest.split_once(", then: ").unwrap();
    (first.to_owned(), last.trim_end_matches('.').to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_lets_go_of_an_object_of_flux_which_stays_by_the_commands_that_the_refusal_names()
{
    for (helm, name) in [
        (Helm::Three, "helm-controller"),
        (Helm::Four, "source-controller"),
    ] {
        let mut stage = Stage::set(&format!("let_go_by_{name}")).await;
        let object = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": "flux-system", "labels": {"app.kubernetes.io/part-of": "flux"}}});
        stage.cluster.delete(&object).await.unwrap();
        let rest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "rest"}});
        let with = chart("old", &format!("{object}\n---\n{rest}\n"));
        helm.runs(&stage.cluster, &["install", "old", with.to_str().unwrap()]);
        stage.guard().await;
        let mut brought = object.clone();
        brought["metadata"]["annotations"] = json!({"helm.sh/resource-policy": "keep"});
        let refused = stage
            .stored("flux", "flux-system", &[brought.clone()])
            .await;
        assert!(refused.contains("foreign-owner: "), "{refused}");
        let (first, last) = steps(&refused);
        stage.shell.succeeds("sh", &first);
        let without = chart("old", &format!("{rest}\n"));
        helm.runs(
            &stage.cluster,
            &["upgrade", "old", without.to_str().unwrap()],
        );
        stage.shell.succeeds("sh", &last);
        stage.cluster.get(&object).await.unwrap();
        eventually("nobody else owns it", async || {
            let now = stage
                .stored("flux", "flux-system", &[brought.clone()])
                .await;
            if now.contains("foreign-owner: ") {
                Err(now)
            } else {
                Ok(())
            }
        })
        .await;
        helm.runs(&stage.cluster, &["uninstall", "old"]);
        stage.cluster.get(&object).await.unwrap();
    }
}
