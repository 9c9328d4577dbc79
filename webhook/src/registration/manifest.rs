//! Objects to register, of any kind.
//!
//! Live objects are compared whole, except for certificates that another program writes. So a
//! wanted object spells out every default of the apiserver.

use std::fmt;

use fluxkeep_cluster::write::Target;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
    ValidatingWebhookConfiguration,
};
use kube::Resource;
use kube::core::ApiResource;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// An object that the apiserver is to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The object's kind and name.
    pub reference: Reference,
    /// The object, with `apiVersion` and `kind`.
    pub body: Value,
}

/// The kind and name of a cluster-scoped object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The object's kind.
    pub resource: ApiResource,
    /// The object's name.
    pub name: String,
}

impl Reference {
    /// The object of a request.
    pub(super) fn target(&self) -> Target {
        Target {
            resource: self.resource.clone(),
            namespace: None,
            name: self.name.clone(),
        }
    }
}

impl Manifest {
    pub(super) fn of<K: Resource<DynamicType = ()> + Serialize>(object: &K) -> Self {
        let (resource, name) = (
            ApiResource::erase::<K>(&()),
            object.meta().name.clone().unwrap_or_default(),
        );
        // Serializing cannot fail: the object holds only strings, numbers and lists.
        let body = serde_json::to_value(object).unwrap_or_default();
        Self {
            reference: Reference { resource, name },
            body,
        }
    }

    pub(super) fn annotate(&mut self, key: &str, value: &str) {
        let metadata = self.body.get_mut("metadata").and_then(Value::as_object_mut);
        if let Some(metadata) = metadata {
            metadata.insert("annotations".to_owned(), json!({key: value}));
        }
    }
}

/// The registered kinds in the order of removal: webhooks, which need the server, come first.
pub(super) fn kinds() -> [ApiResource; 4] {
    [
        ApiResource::erase::<MutatingWebhookConfiguration>(&()),
        ApiResource::erase::<ValidatingWebhookConfiguration>(&()),
        ApiResource::erase::<ValidatingAdmissionPolicyBinding>(&()),
        ApiResource::erase::<ValidatingAdmissionPolicy>(&()),
    ]
}

/// The parts that decide about requests. They are compared whole.
const DECISIVE: [&str; 2] = ["spec", "webhooks"];

/// True if the decisive parts are as wanted and all wanted labels and annotations are present.
///
/// Certificates that are not wanted belong to another writer. Any other addition, such as a
/// selector, a condition or an exclusion, would change which requests are refused.
pub(super) fn is_as(wanted: &Value, live: &Value) -> bool {
    let is_part = |key: &&str| {
        let wanted = trusting(wanted, live, key);
        bare(&wanted) == bare(live.get(*key).unwrap_or(&Value::Null))
    };
    let has_marks = |key: &&str| {
        let marks = wanted.pointer(&format!("/metadata/{key}"));
        let live = live.pointer(&format!("/metadata/{key}"));
        let mut marks = marks.and_then(Value::as_object).into_iter().flatten();
        marks.all(|(key, value)| live.and_then(|live| live.get(key)) == Some(value))
    };
    DECISIVE.iter().all(is_part) && ["labels", "annotations"].iter().all(has_marks)
}

/// The merge patch that makes a live object as wanted. It fails if the object changed since.
pub(super) fn mend(wanted: &Value, live: &Value) -> Value {
    let metadata = json!({
        "resourceVersion": live.pointer("/metadata/resourceVersion"),
        "labels": wanted.pointer("/metadata/labels"),
        "annotations": wanted.pointer("/metadata/annotations").unwrap_or(&json!({})),
    });
    let mut patch = Map::from_iter([("metadata".to_owned(), metadata)]);
    for key in DECISIVE {
        if let (Some(_), Some(part)) = (wanted.get(key), live.get(key)) {
            patch.insert(
                key.to_owned(),
                replacing(&trusting(wanted, live, key), part),
            );
        }
    }
    Value::Object(patch)
}

/// A wanted part, with the live webhooks' certificates filled in if none are wanted.
fn trusting(wanted: &Value, live: &Value, key: &str) -> Value {
    let mut part = wanted.get(key).cloned().unwrap_or_default();
    let live = live.get(key).and_then(Value::as_array);
    for webhook in part.as_array_mut().into_iter().flatten() {
        let named = |other: &&Value| other.get("name") == webhook.get("name");
        let other = live.and_then(|live| live.iter().find(named));
        let bundle = other
            .and_then(|other| other.pointer("/clientConfig/caBundle"))
            .cloned();
        let config = webhook
            .get_mut("clientConfig")
            .and_then(Value::as_object_mut);
        if let (Some(bundle), Some(config)) = (bundle, config) {
            config.entry("caBundle").or_insert(bundle);
        }
    }
    part
}

/// The merge patch that replaces `live` with `wanted`: keys that are not wanted become null.
fn replacing(wanted: &Value, live: &Value) -> Value {
    let (Value::Object(wanted), Value::Object(live)) = (wanted, live) else {
        return wanted.clone();
    };
    let mut patch = Map::new();
    for key in live.keys() {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in wanted {
        let value = live
            .get(key)
            .map_or_else(|| value.clone(), |live| replacing(value, live));
        patch.insert(key.clone(), value);
    }
    Value::Object(patch)
}

/// A value without nulls and empty lists, which the apiserver leaves out.
fn bare(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| (key.clone(), bare(value)));
            let is_there = |value: &Value| !value.is_null() && *value != json!([]);
            Value::Object(entries.filter(|(_, value)| is_there(value)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(bare).collect()),
        scalar => scalar.clone(),
    }
}

/// Writes `kind.group/name`, as kubectl does.
impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}.{}/{}",
            self.resource.kind.to_lowercase(),
            self.resource.group,
            self.name
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    fn asked_for() -> Value {
        json!({"metadata": {"labels": {"a": "b"}}, "webhooks": [{
            "name": "a", "failurePolicy": "Fail", "namespaceSelector": {}, "matchConditions": [{"name": "x"}],
            "rules": [], "clientConfig": {"url": "https://a"},
        }]})
    }

    fn live() -> Value {
        let mut live = asked_for();
        live["metadata"] =
            json!({"labels": {"a": "b", "c": "d"}, "generation": 2, "resourceVersion": "7"});
        live["webhooks"][0]["clientConfig"]["caBundle"] = json!("x");
        live["webhooks"][0]
            .as_object_mut()
            .map(|webhook| webhook.remove("rules"));
        live
    }

    #[test]
    fn certificates_and_marks_of_others_are_no_difference() {
        assert!(is_as(&asked_for(), &live()));
        let mut trusted = asked_for();
        trusted["webhooks"][0]["clientConfig"]["caBundle"] = json!("y");
        assert!(
            !is_as(&trusted, &live()),
            "a certificate that is wanted counts"
        );
    }

    #[test]
    fn whatever_loosens_or_widens_what_is_refused_is_a_difference_and_is_mended() {
        let selector = json!({"matchLabels": {"guarded": "yes"}});
        let condition = json!([{"name": "x"}, {"name": "never"}]);
        let cases = [
            ("/webhooks/0/failurePolicy", json!("Ignore")),
            ("/webhooks/0/namespaceSelector", selector.clone()),
            ("/webhooks/0/objectSelector", selector),
            ("/webhooks/0/matchConditions", condition),
            ("/webhooks", json!([])),
            ("/metadata/labels/a", json!("z")),
        ];
        for (path, value) in cases {
            let mut changed = live();
            let (parent, key) = path.rsplit_once('/').unwrap_or_default();
            if let Some(parent) = changed.pointer_mut(parent) {
                parent[key] = value;
            }
            assert!(!is_as(&asked_for(), &changed), "{path}");
            let mut mended = changed.clone();
            json_patch::merge(&mut mended, &mend(&asked_for(), &changed));
            assert!(is_as(&asked_for(), &mended), "{path}: {mended}");
        }
    }

    #[test]
    fn what_a_merge_would_leave_in_a_map_is_taken_out() {
        let wanted = json!({"spec": {"matchConstraints": {"objectSelector": {}}}});
        let live = json!({"spec": {"matchConstraints": {"objectSelector": {"matchLabels": {"a": "b"}}},
            "variables": [{"name": "x"}]}});
        assert!(!is_as(&wanted, &live));
        let mut mended = live.clone();
        json_patch::merge(&mut mended, &mend(&wanted, &live));
        assert_eq!(mended["spec"], wanted["spec"]);
    }
}
