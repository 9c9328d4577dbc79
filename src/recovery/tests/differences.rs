//! Comparing a point with live objects.

use super::*;

fn fields(wanted: &Value, live: &Value) -> Vec<String> {
    match difference_of(wanted, Some(live)) {
        Some(Difference {
            how: How::Fields(fields),
            ..
        }) => fields.iter().map(ToString::to_string).collect(),
        None => Vec::new(),
        Some(other) => vec![other.to_string()],
    }
}

#[test]
fn a_point_does_not_differ_from_the_cluster_it_was_taken_of() {
    assert_eq!(difference(&point(), &flux()), []);
}

#[test]
fn missing_and_additional_objects_are_named() {
    let mut live = flux();
    live.remove(0);
    live.push(deployment("notification-controller", "v1.4.0"));
    let told: Vec<String> = difference(&point(), &live)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        told,
        [
            "Deployment flux-system/source-controller: missing in the cluster",
            "Deployment flux-system/notification-controller: not in the recovery point"
        ]
    );
}

#[test]
fn defaults_of_the_apiserver_are_no_difference() {
    let wanted = json!({"kind": "Deployment", "spec": {"template": {"spec": {"hostNetwork": false, "containers": [
        {"name": "manager", "args": [], "resources": {"limits": {"cpu": "1000m", "memory": "1Gi"}},
         "ports": [{"containerPort": 80}]}]}}}});
    let live = json!({"kind": "Deployment", "spec": {"strategy": {}, "template": {"spec": {"containers": [
        {"name": "sidecar"},
        {"name": "manager", "imagePullPolicy": "Always", "resources": {"limits": {"cpu": "1", "memory": "1024Mi"}},
         "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}}}});
    assert_eq!(fields(&wanted, &live), [""; 0]);
}

#[test]
fn settings_that_differ_are_named_with_their_place() {
    let wanted = json!({"kind": "Deployment", "spec": {"replicas": 1, "template": {"spec": {"containers": [
        {"name": "manager", "image": "a:1", "securityContext": {"allowPrivilegeEscalation": false}}]}}}});
    let live = json!({"kind": "Deployment", "spec": {"replicas": 0, "template": {"spec": {"containers": [
        {"name": "manager", "image": "a:2", "securityContext": {}}]}}}});
    assert_eq!(
        fields(&wanted, &live),
        [
            "spec.replicas is 0, the recovery point has 1",
            "spec.template.spec.containers[manager].image is \"a:2\", the recovery point has \"a:1\"",
            "spec.template.spec.containers[manager].securityContext.allowPrivilegeEscalation is missing, \
             the recovery point has false",
        ]
    );
}

#[test]
fn a_list_that_is_applied_as_a_whole_must_be_equal() {
    let binding = |names: &[&str]| {
        let subjects: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"kind": "ClusterRoleBinding", "subjects": subjects})
    };
    assert_eq!(fields(&binding(&["a"]), &binding(&["a", "b"])).len(), 1);
    assert_eq!(fields(&binding(&["a"]), &binding(&["a"])).len(), 0);
    let versions = |names: &[&str]| {
        let versions: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"kind": "CustomResourceDefinition", "spec": {"versions": versions}})
    };
    assert_eq!(
        fields(&versions(&["v1"]), &versions(&["v1", "v2"])).len(),
        1
    );
}

#[test]
fn a_bundle_that_a_controller_rotates_is_no_difference() {
    let webhook = |bundle: &str| json!({"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": bundle}}}}});
    assert_eq!(fields(&webhook("a"), &webhook("b")).len(), 0);
}

#[test]
fn a_quantity_is_compared_by_its_value() {
    for (left, right) in [
        ("1000m", "1"),
        ("1Gi", "1024Mi"),
        ("0.1", "100m"),
        ("1e3", "1k"),
    ] {
        assert!(quantity::are_equal(left, right), "{left} {right}");
    }
    for (left, right) in [("1", "1m"), ("inf", "inf"), ("", ""), ("1Gi", "1G")] {
        assert!(!quantity::are_equal(left, right), "{left} {right}");
    }
}
