//! Reduces a live object to what is applied.

use serde_json::{Map, Value};

use crate::object::{ALLOW, REASON, UNTIL};

/// Fields of the metadata that the apiserver or a controller writes. The garbage collector would
/// delete an object whose owner has another uid since.
const SERVER: [&str; 11] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Annotations that tell of the live object alone. An override must not come back.
const PASSING: [&str; 5] = [
    "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
    ALLOW,
    REASON,
    UNTIL,
];

/// The object as it is applied: without status and without fields that the apiserver writes.
#[must_use]
pub fn stripped(mut object: Value) -> Value {
    let kind = object.get("kind").and_then(Value::as_str);
    let kind = kind.unwrap_or_default().to_owned();
    let Some(fields) = object.as_object_mut() else {
        return object;
    };
    fields.remove("status");
    if let Some(metadata) = map(fields, "metadata") {
        for field in SERVER {
            metadata.remove(field);
        }
        if let Some(annotations) = map(metadata, "annotations") {
            for key in PASSING {
                annotations.remove(key);
            }
        }
        drop_empty(metadata, "annotations");
        drop_empty(metadata, "labels");
    }
    match kind.as_str() {
        "Namespace" => {
            if let Some(spec) = map(fields, "spec") {
                spec.remove("finalizers");
            }
            drop_empty(fields, "spec");
        }
        // Tokens that Kubernetes made for the account; they are Secrets.
        "ServiceAccount" => drop(fields.remove("secrets")),
        "Service" => {
            if let Some(spec) = map(fields, "spec") {
                free_address(spec);
            }
        }
        _ => {}
    }
    object
}

/// Another Service may have the address by now. A headless Service has none: that is its setting.
fn free_address(spec: &mut Map<String, Value>) {
    if spec.get("clusterIP").and_then(Value::as_str) != Some("None") {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    spec.remove("healthCheckNodePort");
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        if let Some(port) = port.as_object_mut() {
            port.remove("nodePort");
        }
    }
}

fn map<'a>(fields: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    fields.get_mut(key)?.as_object_mut()
}

fn drop_empty(fields: &mut Map<String, Value>, key: &str) {
    let is_empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
    if fields.get(key).is_some_and(is_empty) {
        fields.remove(key);
    }
}
