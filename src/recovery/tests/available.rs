//! The availability of a controller.

use super::*;

fn told(generation: i64, spec: &Value, status: &Value) -> Option<String> {
    unavailable(&json!({"metadata": {"generation": generation}, "spec": spec, "status": status}))
}

#[test]
fn a_controller_is_available_when_all_its_newest_pods_are() {
    let status = |updated: i64, available: i64| json!({"observedGeneration": 2, "updatedReplicas": updated, "availableReplicas": available});
    assert_eq!(told(2, &json!({}), &status(1, 1)), None);
    assert_eq!(told(2, &json!({"replicas": 2}), &status(2, 2)), None);
    let old = told(3, &json!({}), &status(1, 1)).unwrap();
    assert!(old.contains("rolled out"), "{old}");
    assert_eq!(
        told(2, &json!({}), &status(0, 1)).unwrap(),
        "0 of 1 pods are updated"
    );
    assert_eq!(
        told(2, &json!({}), &status(1, 0)).unwrap(),
        "0 of 1 pods are available"
    );
    assert_eq!(
        told(2, &json!({"replicas": 0}), &status(0, 0)).unwrap(),
        "it is scaled to zero"
    );
    assert!(told(1, &json!({}), &json!(null)).is_some());
}
