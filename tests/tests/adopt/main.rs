//! `fluxkeep adopt` on a real apiserver: a Helm without takeover installs over adopted objects, and
//! an undo restores the former state.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod helm;
mod stage;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use fluxkeep_tests::control_plane::{Helm, said, umbrella};
use fluxkeep_tests::flux::HOME;
use serde_json::{Value, json};

use crate::stage::{Stage, running, succeeds};

/// Marks by which other tools would prune, and a label that Helm needs with another value.
fn tied() -> (Value, Value) {
    let labels =
        json!({"argocd.argoproj.io/instance": "flux", "app.kubernetes.io/managed-by": "somebody"});
    (
        labels,
        json!({"kapp.k14s.io/identity": "v1;flux-system//Service/a;v1"}),
    )
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_touches_nothing() {
    let (labels, annotations) = tied();
    let stage = Stage::set("adopt-dry-run", &labels, &annotations).await;
    let before = stage.inventory().await;
    let refused = said(&stage.adopting(&[]).output().expect("fluxkeep"));
    assert!(
        refused.contains("Argo CD application flux owns it")
            && refused.contains("--take-over flux"),
        "{refused}"
    );
    let taken = stage.adopting(&["--take-over", "flux"]).output();
    let told = succeeds(&taken.expect("fluxkeep"));
    let line = told
        .lines()
        .find(|line| line.starts_with("Service flux-system/source-controller "))
        .expect("a row");
    for part in [
        "unowned",
        "keep owner (over app.kubernetes.io/managed-by=somebody)",
        "argocd.argoproj.io/instance=flux",
        "kapp.k14s.io/identity=",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(told.contains("nothing was changed; add --yes"), "{told}");
    assert_eq!(stage.inventory().await, before);
    assert!(!stage.undo_file().exists());
}

#[tokio::test]
async fn the_engine_is_looked_for_where_the_release_goes_too() {
    let stage = Stage::plain("adopt-namespace").await;
    let told = succeeds(
        &stage
            .adopting(&["--engine-namespace", "elsewhere"])
            .output()
            .expect("fluxkeep"),
    );
    for object in [
        "Service flux-system/source-controller ",
        "Deployment flux-system/helm-controller ",
    ] {
        assert!(
            told.lines().any(|line| line.starts_with(object)),
            "{object}: {told}"
        );
    }
}

#[tokio::test]
async fn where_the_undo_file_cannot_be_written_nothing_is() {
    let stage = Stage::plain("adopt-no-undo").await;
    let before = stage.inventory().await;
    let release = ["--release-name", "flux", "--namespace", HOME];
    let more = ["--yes", "--undo-file", "/nowhere/undo.json"];
    let output = Stage::command(&stage.cluster.kubeconfig, &[&release[..], &more].concat())
        .output()
        .expect("fluxkeep");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("writing the undo file /nowhere/undo.json; nothing was changed"),
        "{}",
        said(&output)
    );
    assert_eq!(stage.inventory().await, before);
}

/// A rendered release takes over its own objects; others are named and left alone.
#[tokio::test]
async fn what_the_release_does_not_hold_is_left_alone() {
    let stage = Stage::plain("adopt-held").await;
    let manifest = stage.folder.join("manifest.yaml");
    let chart = umbrella(&running());
    let rendered = Helm::Three.run(
        &stage.cluster,
        &["template", "flux", &chart.to_string_lossy()],
    );
    std::fs::write(&manifest, &rendered.stdout).expect("a writable folder");
    let told = stage.adopts(&[&manifest.to_string_lossy()]);
    let orphans = "Not in the release, and left alone: Namespace flux-system, ResourceQuota flux-system/critical-pods";
    assert!(told.contains(orphans), "{told}");
    let left: Vec<_> = stage
        .adopted()
        .await
        .into_iter()
        .filter(|(_, stamped)| !stamped)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        left,
        [
            "\"Namespace\" \"flux-system\"",
            "\"ResourceQuota\" \"critical-pods\""
        ]
    );
    Helm::Three.runs(
        &stage.cluster,
        &["install", "flux", &chart.to_string_lossy()],
    );
}

/// Without rights on Deployments the adoption stops there; with them, another run does the rest.
#[tokio::test]
async fn an_adoption_that_was_refused_half_way_goes_on_and_is_undone_to_the_byte() {
    let (labels, annotations) = tied();
    let stage = Stage::set("adopt-resumed", &labels, &annotations).await;
    let half = stage.half_entitled().await;
    let before = stage.objects().await;
    let cut = stage
        .adopting_as(&half, &["--yes", "--take-over", "flux"])
        .output()
        .expect("fluxkeep");
    assert_eq!(cut.status.code(), Some(2), "{}", said(&cut));
    let why = String::from_utf8_lossy(&cut.stderr).into_owned();
    assert_eq!(why.lines().count(), 1, "{why}");
    for part in [
        "adopting Deployment flux-system/",
        "run it again to go on",
        "the user needs the verbs get and patch",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let done = stage
        .adopted()
        .await
        .into_values()
        .filter(|stamped| *stamped)
        .count();
    assert!(
        done > 0 && done < stage.installed.len(),
        "{done} of {}",
        stage.installed.len()
    );
    let versions = stage.inventory().await;
    stage.adopts(&["--take-over", "flux"]);
    stage.is_whole().await;
    let kept = stage
        .inventory()
        .await
        .into_iter()
        .filter(|(key, version)| versions.get(key) == Some(version));
    assert!(kept.count() >= done, "what was done was not written again");
    let told = succeeds(&stage.undone());
    assert!(!told.contains("but for"), "{told}");
    stage.is_as(&before).await;
    assert!(
        succeeds(&stage.undone())
            .lines()
            .all(|line| line.ends_with(": as it was"))
    );
}

#[tokio::test]
async fn an_adoption_that_was_killed_is_finished_by_the_next_and_can_be_undone() {
    let stage = Stage::plain("adopt-killed").await;
    let before = stage.objects().await;
    let mut running = stage
        .adopting(&["--yes"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("fluxkeep");
    let lines = BufReader::new(running.stdout.take().expect("a pipe"))
        .lines()
        .map_while(Result::ok);
    assert!(
        lines.into_iter().any(|line| line.ends_with(": adopted")),
        "one object at least was written"
    );
    running.kill().expect("a process");
    running.wait().expect("a process");
    stage.adopts(&[]);
    stage.is_whole().await;
    succeeds(&stage.undone());
    stage.is_as(&before).await;
}

#[tokio::test]
async fn what_somebody_wrote_since_is_told_and_not_undone() {
    let stage = Stage::plain("adopt-written-since").await;
    stage.adopts(&[]);
    let label = [
        "label",
        "--overwrite",
        "-n",
        HOME,
        "service/source-controller",
        "app.kubernetes.io/managed-by=me",
    ];
    assert!(stage.cluster.kubectl(&label).status.success());
    assert!(
        stage
            .cluster
            .kubectl(&["delete", "-n", HOME, "service/webhook-receiver"])
            .status
            .success()
    );
    let undone = stage.undone();
    let told = said(&undone);
    assert_eq!(undone.status.code(), Some(1), "{told}");
    assert!(
        told.contains(
            "Service flux-system/source-controller: put back, except app.kubernetes.io/managed-by"
        ),
        "{told}"
    );
    assert!(
        told.contains("Service flux-system/webhook-receiver: gone"),
        "{told}"
    );
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "source-controller", "namespace": HOME}});
    let live = stage.cluster.get(&service).await.expect("the Service");
    assert_eq!(
        live["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "me"
    );
    assert_eq!(
        live["metadata"]["annotations"]["meta.helm.sh/release-name"],
        Value::Null
    );
}

/// An active Kustomization would rewrite its labels on the engine, and prune by them.
#[tokio::test]
async fn what_a_kustomization_applies_is_taken_over_once_that_is_suspended() {
    let labels = json!({"kustomize.toolkit.fluxcd.io/name": "flux", "kustomize.toolkit.fluxcd.io/namespace": HOME});
    let stage = Stage::set("adopt-kustomization", &labels, &json!({})).await;
    let version = "kustomize.toolkit.fluxcd.io/v1";
    let kustomization = |suspend| {
        json!({"apiVersion": version, "kind": "Kustomization", "metadata": {"name": "flux", "namespace": HOME},
            "spec": {"interval": "10m", "path": ".", "prune": true, "suspend": suspend}})
    };
    stage.cluster.apply_all(&[kustomization(false)]).await;
    let (before, objects) = (stage.inventory().await, stage.objects().await);
    let refused = stage.adopting(&["--yes"]).output().expect("fluxkeep");
    let told = said(&refused);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(
        told.contains("foreign (Kustomization flux-system/flux)"),
        "{told}"
    );
    assert!(
        told.contains("flux suspend kustomization flux -n flux-system"),
        "{told}"
    );
    assert_eq!(stage.inventory().await, before);
    stage.cluster.apply_all(&[kustomization(true)]).await;
    let told = stage.adopts(&[]);
    assert!(
        told.contains("take these objects out of its source before it is resumed"),
        "{told}"
    );
    stage.is_whole().await;
    let labelled = said(&stage.cluster.kubectl(&[
        "get",
        "services",
        "-A",
        "-l",
        "kustomize.toolkit.fluxcd.io/name",
    ]));
    assert!(labelled.contains("No resources found"), "{labelled}");
    succeeds(&stage.undone());
    stage.is_as(&objects).await;
}
