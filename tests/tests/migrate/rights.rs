//! The printed rights are enough, and each is needed.

use std::process::Output;

use fluxkeep_tests::control_plane::said;
use serde_json::{Value, json};

use crate::stage::{GROUP, NAME, Stage};

const ACCOUNT: &str = "migrator";

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_rights_are_enough_and_each_is_needed() {
    let stage = Stage::grown("migrate-rights").await;
    tried(&stage, &["--group", GROUP]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_rights_for_a_move_of_the_storage_flag_are_enough_and_each_is_needed() {
    let stage = Stage::storing_the_old("migrate-rights-flag").await;
    tried(&stage, &["--crd", NAME, "--storage", "v1"]).await;
}

/// Runs the command with each printed right taken away, then with all of them.
async fn tried(stage: &Stage, arguments: &[&str]) {
    let printed = stage.run(&[arguments, &["--print-rbac"]].concat());
    let role: Value = serde_json::from_slice(&printed.stdout).expect("a ClusterRole");
    stage.cluster.namespace(ACCOUNT).await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": ACCOUNT, "namespace": ACCOUNT}});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": ACCOUNT},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "fluxkeep-migrate"},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": ACCOUNT}]});
    stage
        .cluster
        .apply_all(&[account, role.clone(), binding])
        .await;
    let kubeconfig = stage.plane.account(&stage.cluster, ACCOUNT, ACCOUNT).await;
    let run = || -> Output {
        let mut command = Stage::command_as(&kubeconfig, arguments);
        command.output().expect("fluxkeep")
    };
    let rules = role["rules"].as_array().cloned().unwrap_or_default();
    for (place, rule) in rules.iter().enumerate() {
        for verb in rule["verbs"].as_array().into_iter().flatten() {
            let mut less = role.clone();
            let verbs = &mut less["rules"][place]["verbs"];
            let kept = rule["verbs"].as_array().into_iter().flatten();
            *verbs = kept.filter(|other| *other != verb).cloned().collect();
            if verbs.as_array().is_some_and(Vec::is_empty) {
                less["rules"].as_array_mut().expect("rules").remove(place);
            }
            stage.cluster.apply_all(&[less]).await;
            stage
                .cluster
                .until_allowed(ACCOUNT, &asked(rule, verb), false)
                .await;
            let output = run();
            assert_ne!(
                output.status.code(),
                Some(0),
                "{rule} {verb}: {}",
                said(&output)
            );
            assert!(said(&output).contains("--print-rbac"), "{}", said(&output));
        }
    }
    stage.cluster.apply_all(&[role]).await;
    for rule in &rules {
        for verb in rule["verbs"].as_array().into_iter().flatten() {
            stage
                .cluster
                .until_allowed(ACCOUNT, &asked(rule, verb), true)
                .await;
        }
    }
    let done = run();
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains(NAME), "{}", said(&done));
}

fn asked(rule: &Value, verb: &Value) -> Value {
    let resource = rule["resources"][0].as_str().unwrap_or_default();
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    json!({"group": rule["apiGroups"][0], "resource": resource, "subresource": subresource,
        "verb": verb, "name": rule["resourceNames"][0]})
}
