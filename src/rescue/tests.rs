#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use serde_json::{Value, json};

use super::*;
use crate::helm::record::{Driver, write};
use crate::recovery::Point;

const HOME: &str = "flux-system";
const CONTROLLER: &str = "source-controller";

fn deployment(image: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": CONTROLLER, "namespace": HOME},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "manager", "image": image}]}}}})
}

fn definition() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "buckets.source.toolkit.fluxcd.io"}, "spec": {"group": "source.toolkit.fluxcd.io"}})
}

const IMAGE: &str = "ghcr.io/fluxcd/source-controller:v1.4.1";
const OLDER: &str = "ghcr.io/fluxcd/source-controller:v1.3.0";

fn engine() -> Engine {
    Engine::default()
}

fn point() -> Point {
    Point::of(vec![deployment(IMAGE), definition()], &engine(), None).unwrap()
}

/// A record of revision 1 that holds the controller, or a stranger.
fn record(release: &str, status: &str, of_engine: bool) -> Record {
    let manifest = if of_engine {
        deployment(OLDER)
    } else {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
    };
    let release_json = json!({"name": release, "namespace": HOME, "version": 1, "info": {"status": status},
        "chart": {"metadata": {"name": "umbrella", "version": "1.0.0"}}, "manifest": manifest.to_string()});
    let data = write(&release_json, Driver::Secret).unwrap();
    let secret = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": format!("sh.helm.release.v1.{release}.v1"), "namespace": HOME, "resourceVersion": "7",
            "labels": {"owner": "helm", "name": release, "status": status, "version": "1", "modifiedAt": "1000"}},
        "data": {"release": data}});
    Record::of(&secret).unwrap()
}

fn helm_release(name: &str, more: &Value) -> LiveRelease {
    let mut live = json!({"metadata": {"name": name, "namespace": HOME},
        "spec": {"releaseName": name, "chart": {"spec": {"version": "1.0.0"}}}});
    for (field, value) in more.as_object().unwrap() {
        live[field]
            .as_object_mut()
            .unwrap()
            .extend(value.as_object().unwrap().clone());
    }
    LiveRelease::of(&live).unwrap()
}

fn wiped() -> Left {
    Left {
        objects: vec![definition()],
        releases: vec![
            helm_release("flux", &json!({})),
            helm_release("shop", &json!({})),
        ],
        records: vec![
            record("flux", "uninstalling", true),
            record("shop", "deployed", false),
        ],
        ..Left::default()
    }
}

fn steps(plan: &Plan) -> Vec<(Action, String)> {
    let steps = plan.steps.iter();
    steps
        .map(|step| (step.action, step.object.to_string()))
        .collect()
}

#[test]
fn a_wiped_engine_is_suspended_applied_and_its_record_goes_last() {
    let plan = plan(&point(), &wiped(), &engine());
    let expected = [
        (Action::Suspend, "HelmRelease flux-system/flux"),
        (Action::Create, "Deployment flux-system/source-controller"),
        (
            Action::DeleteRecord,
            "Secret flux-system/sh.helm.release.v1.flux.v1",
        ),
    ];
    assert_eq!(
        steps(&plan),
        expected.map(|(action, object)| (action, object.to_owned()))
    );
    assert_eq!((plan.equal, plan.obstacles.len()), (1, 0));
    assert_eq!(plan.lost(), None);
}

#[test]
fn a_whole_engine_needs_nothing_and_its_release_is_not_suspended() {
    let mut left = wiped();
    left.objects.push(deployment(IMAGE));
    left.records = vec![record("flux", "deployed", true)];
    assert_eq!(steps(&plan(&point(), &left, &engine())), []);
}

#[test]
fn an_engine_at_an_older_version_is_corrected() {
    let mut left = wiped();
    left.objects.push(deployment(OLDER));
    left.records = vec![record("flux", "failed", true)];
    let plan = plan(&point(), &left, &engine());
    let corrected = plan.of(&[Action::Change]).next().unwrap();
    assert!(
        corrected.why.contains("v1.3.0") && corrected.why.contains("v1.4.1"),
        "{}",
        corrected.why
    );
}

/// A release beside the engine without any record may be about to install it.
#[test]
fn a_helm_release_without_a_record_is_suspended_only_beside_the_engine() {
    let mut left = wiped();
    left.records.clear();
    left.releases.push(helm_release(
        "far",
        &json!({"metadata": {"namespace": "apps"}}),
    ));
    let plan = plan(&point(), &left, &engine());
    let suspended: Vec<String> = plan
        .of(&[Action::Suspend])
        .map(|step| step.object.to_string())
        .collect();
    assert_eq!(
        suspended,
        [
            "HelmRelease flux-system/flux",
            "HelmRelease flux-system/shop"
        ]
    );
}

#[test]
fn a_helm_release_that_is_being_deleted_stands_in_the_way_unless_it_is_suspended() {
    for (spec, obstacles) in [(json!({}), 1), (json!({"suspend": true}), 0)] {
        let mut left = wiped();
        let deleted =
            json!({"metadata": {"deletionTimestamp": "2026-12-01T00:00:00Z"}, "spec": spec});
        left.releases = vec![helm_release("flux", &deleted)];
        let plan = plan(&point(), &left, &engine());
        assert_eq!(plan.obstacles.len(), obstacles, "{:?}", plan.obstacles);
        for obstacle in plan.obstacles {
            assert!(
                obstacle
                    .why
                    .contains("kubectl patch helmrelease -n flux-system flux"),
                "{obstacle:?}"
            );
        }
    }
}

#[test]
fn custom_resources_that_hold_a_crd_are_named_with_their_way_back() {
    let mut left = wiped();
    left.objects[0]["metadata"]["deletionTimestamp"] = json!("2026-12-01T00:00:00Z");
    let bucket = |name: &str, labels: &Value| {
        json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "Bucket",
            "metadata": {"name": name, "namespace": "apps", "finalizers": ["a/b"], "labels": labels}})
    };
    let from = json!({"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": HOME});
    let name = "buckets.source.toolkit.fluxcd.io";
    left.held = [bucket("a", &from), bucket("b", &json!({}))]
        .iter()
        .filter_map(|live| Held::of(name, live))
        .collect();
    let plan = plan(&point(), &left, &engine());
    let why = &plan.obstacles[0].why;
    assert!(
        why.contains("kubectl patch buckets.source.toolkit.fluxcd.io -n apps a "),
        "{why}"
    );
    assert!(
        why.contains("Kustomization flux-system/apps brings it back from Git"),
        "{why}"
    );
    assert!(
        why.contains("-n apps b ") && why.contains("no Kustomization applied it"),
        "{why}"
    );
}

#[test]
fn a_namespace_that_is_being_deleted_is_waited_for() {
    let mut left = wiped();
    let mut home = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}});
    let point = Point::of(vec![home.clone(), deployment(IMAGE)], &engine(), None).unwrap();
    home["metadata"]["deletionTimestamp"] = json!("2026-12-01T00:00:00Z");
    home["status"] = json!({"conditions": [{"status": "True", "message": "Some content remains: helmreleases"}]});
    left.objects = vec![home];
    let plan = plan(&point, &left, &engine());
    assert!(
        plan.obstacles[0]
            .why
            .contains("Some content remains: helmreleases"),
        "{:?}",
        plan.obstacles
    );
}

#[test]
fn a_missing_crd_tells_of_the_objects_that_went_with_it() {
    let mut left = wiped();
    left.objects.clear();
    let lost = plan(&point(), &left, &engine()).lost().unwrap();
    assert!(
        lost.contains("buckets") && lost.contains("do not come from Git"),
        "{lost}"
    );
}

#[test]
fn only_stuck_records_of_the_named_release_are_mended() {
    let release = Owner {
        name: "flux".to_owned(),
        namespace: HOME.to_owned(),
    };
    let now = Timestamp::from_second(2_000).unwrap();
    for (status, is_stuck) in [
        ("uninstalling", true),
        ("pending-upgrade", true),
        ("failed", false),
        ("deployed", false),
    ] {
        let mut left = wiped();
        left.records = vec![record("flux", status, true), record("shop", status, false)];
        let plan = mend(&release, &left, now);
        assert_eq!(plan.steps.len(), if is_stuck { 2 } else { 0 }, "{status}");
    }
}

#[test]
fn a_pending_record_is_left_alone_while_helm_may_be_at_work() {
    let release = Owner {
        name: "flux".to_owned(),
        namespace: HOME.to_owned(),
    };
    let mut left = wiped();
    left.records = vec![record("flux", "pending-install", true)];
    for (now, obstacles) in [(1_299, 1), (1_300, 0)] {
        let plan = mend(&release, &left, Timestamp::from_second(now).unwrap());
        assert_eq!(plan.obstacles.len(), obstacles, "{now}");
    }
}

#[test]
fn the_next_install_is_known_only_for_the_chart_version_of_the_record() {
    let records = [record("flux", "uninstalling", true)];
    assert!(next_install(&helm_release("flux", &json!({})), &records).is_some());
    for version in ["1.0.1", "1.x", "*"] {
        let other = json!({"spec": {"chart": {"spec": {"version": version}}}});
        assert!(
            next_install(&helm_release("flux", &other), &records).is_none(),
            "{version}"
        );
    }
}

#[test]
fn a_saved_record_can_be_created_again() {
    let record = record("flux", "uninstalling", true);
    assert_eq!(record.secret["metadata"].get("resourceVersion"), None);
    assert_eq!(record.chart.unwrap().version, "1.0.0");
    assert_eq!(record.written, Timestamp::from_second(1_000).ok());
}

#[test]
fn a_binding_needs_the_right_to_bind_its_role() {
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "cluster-reconciler"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}});
    let point = Point::of(vec![deployment(IMAGE), binding], &engine(), None).unwrap();
    let rights = rights(&plan(&point, &Left::default(), &engine()), Some(&point));
    let told: Vec<String> = rights
        .iter()
        .map(|right| {
            format!(
                "{} {} {}",
                right.verb,
                right.resource,
                right.name.clone().unwrap()
            )
        })
        .collect();
    assert!(
        told.contains(&"bind clusterroles cluster-admin".to_owned()),
        "{told:?}"
    );
    assert!(
        told.contains(&"create deployments source-controller".to_owned()),
        "{told:?}"
    );
}
