//! An object to register, whatever its kind.

use std::fmt;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
    ValidatingWebhookConfiguration,
};
use kube::Resource;
use kube::core::ApiResource;
use serde::Serialize;
use serde_json::Value;

/// What is asked of the apiserver to be there.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Which object.
    pub reference: Reference,
    /// The object, with `apiVersion` and `kind`.
    pub body: Value,
}

/// A cluster-scoped object, by kind and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its kind.
    pub resource: ApiResource,
    /// Its name.
    pub name: String,
}

impl Manifest {
    pub(super) fn of<K: Resource<DynamicType = ()> + Serialize>(object: &K) -> Self {
        let (resource, name) = (
            ApiResource::erase::<K>(&()),
            object.meta().name.clone().unwrap_or_default(),
        );
        // Only strings, numbers and lists: nothing that serde_json could refuse.
        let body = serde_json::to_value(object).unwrap_or_default();
        Self {
            reference: Reference { resource, name },
            body,
        }
    }
}

/// The kinds that are registered, in the order in which they are taken away: what needs the server
/// first.
pub(super) fn kinds() -> [ApiResource; 4] {
    [
        ApiResource::erase::<MutatingWebhookConfiguration>(&()),
        ApiResource::erase::<ValidatingWebhookConfiguration>(&()),
        ApiResource::erase::<ValidatingAdmissionPolicyBinding>(&()),
        ApiResource::erase::<ValidatingAdmissionPolicy>(&()),
    ]
}

/// Whether a live object is as wanted. The apiserver adds defaults, and another may write the
/// certificates to trust: what is not asked for is not looked at.
pub(super) fn is_as(wanted: &Value, live: &Value) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => wanted
            .iter()
            .all(|(key, value)| live.get(key).is_some_and(|live| is_as(value, live))),
        (Value::Array(wanted), Value::Array(live)) => {
            wanted.len() == live.len()
                && wanted
                    .iter()
                    .zip(live)
                    .all(|(wanted, live)| is_as(wanted, live))
        }
        (wanted, live) => wanted == live,
    }
}

/// `kind.group/name`, as kubectl prints it.
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
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_apiserver_adds_is_no_difference_and_what_a_person_changes_is() {
        let entry = |policy: &str| json!({"name": "a", "failurePolicy": policy, "clientConfig": {"caBundle": "x"}});
        let live = |webhooks: Value| json!({"metadata": {"generation": 2}, "webhooks": webhooks});
        let wanted = json!({"webhooks": [{"name": "a", "failurePolicy": "Fail"}]});
        assert!(is_as(&wanted, &live(json!([entry("Fail")]))));
        for changed in [
            json!([entry("Ignore")]),
            json!([entry("Fail"), entry("Fail")]),
            json!([]),
        ] {
            assert!(!is_as(&wanted, &live(changed.clone())), "{changed}");
        }
        assert!(!is_as(&wanted, &json!({})));
    }
}
