//! `fluxkeep plan` on a cluster that grew, carried out step by step on a real apiserver.

#![allow(clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::process::{Command, Output};

use fluxkeep_tests::control_plane::{Cluster, ControlPlane, own, said};
use fluxkeep_tests::flux::{Flux, Names};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

/// Objects of the kind that has to be migrated.
const RELEASES: usize = 7;

fn fluxkeep(cluster: &Cluster, words: &[&str]) -> Output {
    let mut command = Command::new(own("fluxkeep"));
    command.args(words);
    if !words.contains(&"--kubeconfig") {
        command.arg("--kubeconfig").arg(&cluster.kubeconfig);
    }
    command.output().expect("fluxkeep")
}

fn plan(cluster: &Cluster, to: &str) -> Value {
    let output = fluxkeep(cluster, &["plan", "--to", to, "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    document["plans"][0].clone()
}

/// Flux 2.6.4 with CRDs that grew through every minor from 2.2, and HelmReleases of each time.
async fn grown(cluster: &Cluster) {
    for version in ["2.2.3", "2.3.0", "2.4.0", "2.5.1"] {
        cluster
            .apply_all(&Flux::release(version).definitions())
            .await;
        if version == "2.2.3" {
            for place in 0..RELEASES {
                let name = format!("app-{place}");
                cluster.apply_all(&[helm_release(&name, "v2beta2")]).await;
            }
        }
    }
    cluster.namespace("flux-system").await;
    cluster
        .apply_all(&Flux::release("2.6.4").installed(Names::Install))
        .await;
}

fn helm_release(name: &str, version: &str) -> Value {
    json!({"apiVersion": format!("helm.toolkit.fluxcd.io/{version}"), "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"interval": "1h", "chart": {"spec": {"chart": "podinfo", "valuesFile": "more.yaml"}}}})
}

/// The CRDs that the apiserver refuses, in a dry run.
async fn refused(cluster: &Cluster, version: &str) -> Vec<String> {
    let mut refused = Vec::new();
    for definition in Flux::release(version).definitions() {
        let api = cluster.api(&definition).await;
        let name = definition["metadata"]["name"].as_str().expect("a name");
        let params = PatchParams {
            dry_run: true,
            ..PatchParams::apply("a-test").force()
        };
        if api
            .patch(name, &params, &Patch::Apply(&definition))
            .await
            .is_err()
        {
            refused.push(name.to_owned());
        }
    }
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_grew_reaches_2_9_by_the_steps_of_its_plan() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("plan").await;
    grown(&cluster).await;
    let plan_now = plan(&cluster, "2.9.4");
    assert_eq!(plan_now["running"], "Flux 2.6.4");
    assert_eq!(plan_now["outlook"], "prepared", "{plan_now:#}");
    let steps = plan_now["steps"].as_array().cloned().unwrap_or_default();
    let mut counted = None;
    let mut edited = None;
    for step in &steps {
        match step["step"].as_str() {
            Some("migrate") => {
                let before = step["before"].as_str().expect("a release");
                let migrations = step["migrations"].as_array().cloned().unwrap_or_default();
                let crds: Vec<_> = migrations
                    .iter()
                    .map(|one| one["crd"].as_str().expect("a name").to_owned())
                    .collect();
                assert_eq!(refused(&cluster, before).await, crds, "before {before}");
                for one in &migrations {
                    if one["crd"] == "helmreleases.helm.toolkit.fluxcd.io" {
                        counted = one["objects"].as_u64();
                    }
                    let command = one["command"].as_str().expect("a command");
                    let words: Vec<&str> = command.split(' ').skip(1).collect();
                    let output = fluxkeep(&cluster, &words);
                    assert!(output.status.success(), "{command}: {}", said(&output));
                }
            }
            Some("rewrite") => edited = Some(step.clone()),
            Some("install") => {
                let to = step["to"].as_str().expect("a release");
                assert_eq!(refused(&cluster, to).await, Vec::<String>::new(), "{to}");
                let objects = Flux::release(to).installed(Names::Install);
                cluster.apply_all(&objects).await;
            }
            other => unreachable!("{other:?}"),
        }
    }
    assert_eq!(counted, Some(RELEASES as u64), "{plan_now:#}");
    let edited = edited.expect("the manifests are in v2beta2");
    let manifests = &edited["manifests"][0];
    assert_eq!(manifests["owner"], "a-test", "{edited:#}");
    assert_eq!(
        manifests["objects"].as_array().map(Vec::len),
        Some(RELEASES)
    );
    let fields = manifests["fields"].to_string();
    assert!(fields.contains("spec.chart.spec.valuesFile"), "{edited:#}");
    assert_eq!(plan(&cluster, "2.9.4")["outlook"], "reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_contexts_are_a_table() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("plan-table").await;
    cluster
        .apply_all(&Flux::release("2.8.8").installed(Names::Install))
        .await;
    let config = std::fs::read_to_string(&cluster.kubeconfig).expect("a kubeconfig");
    let config: Value = fluxkeep::yaml::values(&config).expect("YAML").remove(0);
    let context = config["current-context"].as_str().expect("a context");
    let both = format!("{context},{context}");
    let output = fluxkeep(&cluster, &["plan", "--to", "2.8.8", "--context", &both]);
    let told = said(&output);
    assert!(output.status.success(), "{told}");
    let row = format!("context {context}  Flux 2.8.8  2.8.8   reached  none");
    assert_eq!(told.matches(&row).count(), 2, "{told}");
}
