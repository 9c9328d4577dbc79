//! Bad input: one line that says what to do, exit code 2, and nothing written.

use fluxkeep::flux::engine::Engine;
use fluxkeep::recovery::{Point, Reading};
use fluxkeep_tests::control_plane::{free_port, said};
use fluxkeep_tests::flux::{HOME, Names};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::rescuer::Rescuer;
use crate::stage::{Stage, running};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_point_is_refused_and_nothing_is_written() {
    let stage = Stage::set("rescue-wrong", Names::Install).await;
    let rescuer = Rescuer::of(&stage.cluster);
    stage.cluster.delete(&a_deployment()).await.unwrap();
    let before = stage.inventory().await;
    let foreign = rescuer.write("foreign", &encoded(HOME));
    let other = rescuer.write("other", &encoded("flux-two"));
    let whole = encoded(HOME);
    let spoilt = rescuer.write("spoilt", &whole[..whole.len() / 2]);
    let none = rescuer.write("none", b"made-up, and longer than the head of gzip");
    for (arguments, why) in [
        (["--point", foreign.as_str()], "of another cluster"),
        (["--point", &other], "add --namespace flux-two"),
        (["--point", &spoilt], "spoilt"),
        (["--point", &none], "no recovery point"),
        (["--point", "nowhere"], "reading nowhere"),
        (["--from", &none], "no controller of Flux"),
        (["--digest", "abc"], "give --point FILE"),
    ] {
        let refused = rescuer.run(&[&arguments[..], &["--yes"]].concat());
        let told = said(&refused);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(
            told.contains(why) && told.trim_end().lines().count() == 1,
            "{arguments:?}: {told}"
        );
    }
    assert_eq!(stage.inventory().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rights_or_a_server_nothing_is_written() {
    let stage = Stage::set("rescue-rightless", Names::Install).await;
    let rescuer = Rescuer::of(&stage.cluster);
    stage.cluster.delete(&a_deployment()).await.unwrap();
    let install = rescuer.manifest("install.yaml", &running().installed(Names::Install));
    let before = stage.inventory().await;
    let arguments = ["--from", install.as_str(), "--yes"];

    let reader = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": HOME}});
    let reads = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "reader"},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": HOME}]});
    stage.cluster.apply_all(&[reader]).await;
    let kubeconfig = stage.plane.account(&stage.cluster, HOME, "reader").await;
    let nothing = rescuer.run_as(&kubeconfig, &arguments);
    assert_eq!(nothing.status.code(), Some(2), "{}", said(&nothing));
    assert!(
        said(&nothing).contains("--print-rbac"),
        "{}",
        said(&nothing)
    );
    stage.cluster.apply_all(&[reads, binding]).await;
    let told = fluxkeep_tests::control_plane::eventually("reading is allowed", async || {
        let output = rescuer.run_as(&kubeconfig, &arguments);
        let told = said(&output);
        if told.contains("you may not create deployments helm-controller") {
            assert_eq!(output.status.code(), Some(2), "{told}");
            Ok(told)
        } else {
            Err(told)
        }
    })
    .await;
    assert!(told.contains("nothing was written"), "{told}");

    let text = std::fs::read_to_string(&stage.cluster.kubeconfig).unwrap();
    let nowhere = text.replace(&stage.plane.port.to_string(), &free_port().to_string());
    let nowhere_file = rescuer.folder.join("nowhere");
    std::fs::write(&nowhere_file, nowhere).unwrap();
    let unreached = rescuer.run_as(&nowhere_file, &arguments);
    assert_eq!(unreached.status.code(), Some(2), "{}", said(&unreached));
    assert!(
        said(&unreached).contains("check that the apiserver is reachable"),
        "{}",
        said(&unreached)
    );

    let after = stage.inventory().await;
    assert!(
        before
            .iter()
            .all(|(key, version)| after.get(key) == Some(version))
    );
}

/// A controller that never comes up is named, and the release records stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_stays_away_is_named() {
    let stage = Stage::set("rescue-waits", Names::Install).await;
    let rescuer = Rescuer::without_pods(&stage.cluster);
    let install = rescuer.manifest("install.yaml", &running().installed(Names::Install));
    let late = rescuer.run(&["--from", &install, "--yes", "--timeout", "1"]);
    assert_eq!(late.status.code(), Some(2), "{}", said(&late));
    assert!(said(&late).contains("helm-controller: "), "{}", said(&late));
    assert!(
        said(&late).contains("kubectl get pods -n flux-system"),
        "{}",
        said(&late)
    );
}

fn a_deployment() -> Value {
    let objects = running().installed(Names::Install);
    let mut found = objects.into_iter();
    found
        .find(|one| one["kind"] == "Deployment" && one["metadata"]["name"] == "helm-controller")
        .unwrap()
}

/// A point of another cluster.
fn encoded(namespace: &str) -> Vec<u8> {
    let mut objects = running().installed(Names::Install);
    for object in &mut objects {
        if object["metadata"]["namespace"].is_string() {
            object["metadata"]["namespace"] = json!(namespace);
        }
    }
    let engine = Engine {
        namespaces: vec![namespace.to_owned()],
        ..Engine::default()
    };
    let reading = Reading {
        cluster: "another".to_owned(),
        taken: Timestamp::UNIX_EPOCH,
    };
    let point = Point::of(objects, &engine, Some(reading)).unwrap();
    point.encode().concat()
}
