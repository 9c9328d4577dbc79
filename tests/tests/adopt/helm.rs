//! Helm 3 and 4 install over an adopted Flux.

use std::process::Command;

use fluxkeep_tests::control_plane::{Helm, own, said, umbrella};
use fluxkeep_tests::flux::HOME;
use serde_json::{Value, json};

use crate::stage::{Stage, running, succeeds};

#[tokio::test]
async fn helm_3_installs_over_what_was_adopted_without_taking_ownership_itself() {
    let stage = Stage::plain("adopt-helm-3").await;
    let chart = umbrella(&running());
    let install = ["install", "flux", &*chart.to_string_lossy()].map(str::to_owned);
    let install: Vec<_> = install.iter().map(String::as_str).collect();
    let refused = said(&Helm::Three.run(&stage.cluster, &install));
    assert!(refused.contains("invalid ownership metadata"), "{refused}");
    stage.adopts(&[]);
    stage.is_whole().await;
    Helm::Three.runs(&stage.cluster, &install);
    let deployed = said(&Helm::Three.run(&stage.cluster, &["status", "flux"]));
    assert!(deployed.contains("STATUS: deployed"), "{deployed}");
    let before = stage.inventory().await;
    let told = stage.adopts(&[]);
    assert!(
        told.contains("already did") && !told.contains(": adopted"),
        "{told}"
    );
    assert_eq!(stage.inventory().await, before, "nothing is left to do");
}

/// Helm 4 applies server-side: a field of another manager with another value is a conflict.
#[tokio::test]
async fn helm_4_stops_at_a_field_of_somebody_else_and_goes_on_with_the_flag_that_is_printed() {
    let stage = Stage::plain("adopt-helm-4").await;
    let scale = [
        "scale",
        "-n",
        HOME,
        "deployment/source-controller",
        "--replicas=2",
    ];
    let scaled = stage.cluster.kubectl(&scale);
    assert!(scaled.status.success(), "{}", said(&scaled));
    let told = stage.adopts(&[]);
    for part in ["belong to", "kubectl", "--force-conflicts"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let chart = umbrella(&running());
    let chart = chart.to_string_lossy();
    let refused = said(&Helm::Four.run(&stage.cluster, &["install", "flux", &chart]));
    assert!(refused.contains("conflict"), "{refused}");
    let flag = ["upgrade", "--install", "flux", &*chart, "--force-conflicts"];
    Helm::Four.runs(&stage.cluster, &flag);
}

/// Preflight foretells Helm's refusal. Its line, run as printed, makes Helm's installation succeed.
#[tokio::test]
async fn the_line_that_preflight_prints_before_an_installation_makes_helm_take_flux_over() {
    let stage = Stage::plain("adopt-foretold").await;
    let chart = umbrella(&running());
    let chart = chart.to_string_lossy();
    let rendered = Helm::Three.run(&stage.cluster, &["template", "flux", &chart]);
    let manifest = stage.folder.join("rendered.yaml");
    std::fs::write(&manifest, &rendered.stdout).expect("a writable folder");
    let judged = Command::new(own("fluxkeep"))
        .args(["preflight", "--release-name", "flux", "--namespace", HOME])
        .arg("--kubeconfig")
        .arg(&stage.cluster.kubeconfig)
        .arg(&manifest)
        .output()
        .expect("fluxkeep");
    let told = said(&judged);
    assert!(
        told.contains("cannot be imported into the current release"),
        "{told}"
    );
    let refused = said(&Helm::Three.run(&stage.cluster, &["install", "flux", &chart]));
    assert!(
        refused.contains("cannot be imported into the current release"),
        "Helm says the same: {refused}"
    );
    let mut lines = told.lines().map(str::trim);
    let line = lines.find(|line| line.starts_with("fluxkeep adopt "));
    let programs = own("fluxkeep");
    let programs = programs.parent().expect("a folder").display().to_string();
    let adopted = Command::new("sh")
        .args(["-c", line.expect("a line")])
        .current_dir(&stage.folder)
        .env("PATH", format!("{programs}:/usr/bin:/bin"))
        .output();
    succeeds(&adopted.expect("sh"));
    Helm::Three.runs(&stage.cluster, &["install", "flux", &chart]);
}

/// Each command of kubectl leaves another field manager. The chart writes other values than live.
#[tokio::test]
async fn helm_4_installs_with_the_printed_flag_over_every_kind_of_installation_by_kubectl() {
    for way in [
        &["create"][..],
        &["apply"],
        &["apply", "--server-side"],
        &["apply", "--server-side", "--field-manager=flux"],
    ] {
        let none = json!({});
        let scaled = |object: &mut Value| {
            if object["kind"] == "Deployment" {
                object["spec"]["replicas"] = json!(3);
            }
        };
        let stage = Stage::by("adopt-by-kubectl", way, &none, &none, scaled).await;
        let told = stage.adopts(&[]);
        let last = told.lines().last().expect("a line");
        assert!(
            last.contains("give it --force-conflicts"),
            "{way:?}: {told}"
        );
        stage.is_whole().await;
        let chart = umbrella(&running());
        let chart = chart.to_string_lossy();
        let refused = said(&Helm::Four.run(&stage.cluster, &["install", "flux", &chart]));
        assert!(refused.contains("conflict"), "{way:?}: {refused}");
        let flag = ["upgrade", "--install", "flux", &*chart, "--force-conflicts"];
        Helm::Four.runs(&stage.cluster, &flag);
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "source-controller", "namespace": HOME}});
        let live = stage
            .cluster
            .get(&deployment)
            .await
            .expect("the Deployment");
        assert_eq!(live["spec"]["replicas"], 1, "{way:?}: the chart's value");
    }
}

/// `flux bootstrap` leaves kustomize-controller as the owner of every field.
#[tokio::test]
async fn helm_4_installs_over_a_suspended_bootstrap_with_the_printed_flag() {
    let applied = [
        "apply",
        "--server-side",
        "--field-manager=kustomize-controller",
    ];
    let labels = json!({"kustomize.toolkit.fluxcd.io/name": "flux-system", "kustomize.toolkit.fluxcd.io/namespace": HOME});
    let scaled = |object: &mut Value| match object["kind"].as_str() {
        Some("Deployment") => object["spec"]["replicas"] = json!(3),
        Some("Namespace") => object["metadata"]["labels"] = labels.clone(),
        _ => {}
    };
    let stage = Stage::by("adopt-bootstrap", &applied, &labels, &json!({}), scaled).await;
    let suspended = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "flux-system", "namespace": HOME},
        "spec": {"interval": "10m", "path": "./clusters/one", "prune": true, "suspend": true}});
    stage.cluster.apply_all(&[suspended]).await;
    let chart = umbrella(&running());
    let chart = chart.to_string_lossy();
    let rendered = Helm::Four.run(&stage.cluster, &["template", "flux", &chart]);
    let manifest = stage.folder.join("rendered.yaml");
    std::fs::write(&manifest, &rendered.stdout).expect("a writable folder");
    let told = stage.adopts(&[&manifest.to_string_lossy()]);
    let last = told.lines().last().expect("a line");
    assert!(last.contains("give it --force-conflicts"), "{told}");
    let home = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}});
    let home = stage.cluster.get(&home).await.expect("the Namespace");
    let left = &home["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"];
    assert!(
        left.is_null(),
        "kustomize-controller would prune it: {home}"
    );
    let release = &home["metadata"]["annotations"]["meta.helm.sh/release-name"];
    assert!(release.is_null(), "the chart does not hold it: {home}");
    let refused = said(&Helm::Four.run(&stage.cluster, &["install", "flux", &chart]));
    assert!(refused.contains("kustomize-controller"), "{refused}");
    let flag = ["upgrade", "--install", "flux", &*chart, "--force-conflicts"];
    Helm::Four.runs(&stage.cluster, &flag);
}

/// Objects kept after an uninstall still name that release as their owner.
#[tokio::test]
async fn what_a_release_that_is_gone_left_behind_is_taken_over_by_the_flag_that_is_printed() {
    let gone =
        json!({"meta.helm.sh/release-name": "gone", "meta.helm.sh/release-namespace": "elsewhere"});
    let stage = Stage::set("adopt-left-behind", &json!({}), &gone).await;
    let before = stage.inventory().await;
    let refused = said(&stage.adopting(&["--yes"]).output().expect("fluxkeep"));
    assert!(
        refused.contains("helm status gone -n elsewhere")
            && refused.contains("add --take-over elsewhere/gone"),
        "{refused}"
    );
    assert_eq!(stage.inventory().await, before);
    let status = Helm::Three.run(&stage.cluster, &["status", "gone", "-n", "elsewhere"]);
    assert!(
        said(&status).contains("release: not found"),
        "{}",
        said(&status)
    );
    stage.adopts(&["--take-over", "elsewhere/gone"]);
    stage.is_whole().await;
    let chart = umbrella(&running());
    Helm::Three.runs(
        &stage.cluster,
        &["install", "flux", &chart.to_string_lossy()],
    );
}
