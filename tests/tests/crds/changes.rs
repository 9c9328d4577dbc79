//! The live definition, and changes of it.

use serde_json::{Value, json};

/// A definition with a single change.
pub(crate) struct Change {
    pub(crate) name: &'static str,
    pub(crate) definition: Value,
}

/// `things.example.org` with the versions `v1beta1` and `v1`; `storage` names the stored one.
pub(crate) fn base(storage: &str) -> Value {
    let version = |name: &str| {
        json!({"name": name, "served": true, "storage": name == storage,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": {"size": {"type": "integer"}, "text": {"type": "string"}}}}}}})
    };
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.org", "labels": {}, "annotations": {}},
        "spec": {"group": "example.org", "scope": "Namespaced",
            "names": {"kind": "Thing", "listKind": "ThingList", "plural": "things", "singular": "thing"},
            "versions": [version("v1beta1"), version("v1")]}})
}

/// Changes as `(name, place, value)`; a place is a JSON pointer with existing parents.
// Long because it is a table.
#[allow(clippy::too_many_lines)]
fn values() -> Vec<(&'static str, &'static str, Value)> {
    let webhook = |client: Value| json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": client}});
    let service = json!({"service": {"namespace": "tools", "name": "things"}});
    let schema = "/spec/versions/1/schema/openAPIV3Schema";
    let size = "/spec/versions/1/schema/openAPIV3Schema/properties/spec/properties/size";
    let spec = "/spec/versions/1/schema/openAPIV3Schema/properties/spec";
    vec![
        ("scope", "/spec/scope", json!("Cluster")),
        ("scope that is none", "/spec/scope", json!("Global")),
        ("kind", "/spec/names/kind", json!("Item")),
        ("plural", "/spec/names/plural", json!("items")),
        ("group", "/spec/group", json!("example.com")),
        (
            "stored version renamed",
            "/spec/versions/0/name",
            json!("v1beta2"),
        ),
        ("no versions", "/spec/versions", json!([])),
        (
            "no storage version",
            "/spec/versions/1/storage",
            json!(false),
        ),
        (
            "two storage versions",
            "/spec/versions/0/storage",
            json!(true),
        ),
        (
            "version named with upper case",
            "/spec/versions/0/name",
            json!("V1beta1"),
        ),
        (
            "version that begins with a digit",
            "/spec/versions/0/name",
            json!("1beta1"),
        ),
        ("schema is empty", "/spec/versions/1/schema", json!({})),
        ("openAPIV3Schema is null", schema, Value::Null),
        ("openAPIV3Schema is empty", schema, json!({})),
        (
            "schema is not structural",
            size,
            json!({"description": "no type"}),
        ),
        (
            "schema with an unknown type",
            size,
            json!({"type": "number of things"}),
        ),
        (
            "default of another type",
            size,
            json!({"type": "integer", "default": "many"}),
        ),
        (
            "CEL rule that does not compile",
            spec,
            json!({"type": "object", "x-kubernetes-validations": [{"rule": "self.nothing >"}]}),
        ),
        (
            "CEL rule that costs too much",
            spec,
            json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "array", "items": {"type": "string"},
                "x-kubernetes-validations": [{"rule": "self.all(x, self.all(y, x.contains(y)))"}]}}}}),
        ),
        (
            "preserveUnknownFields: true",
            "/spec/preserveUnknownFields",
            json!(true),
        ),
        (
            "preserveUnknownFields: false",
            "/spec/preserveUnknownFields",
            json!(false),
        ),
        (
            "conversion Webhook without webhook",
            "/spec/conversion",
            json!({"strategy": "Webhook"}),
        ),
        (
            "conversion Webhook without clientConfig",
            "/spec/conversion",
            json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"]}}),
        ),
        (
            "conversion webhook with url and service",
            "/spec/conversion",
            webhook(json!({"url": "https://example.org", "service": service["service"]})),
        ),
        (
            "conversion webhook without url and service",
            "/spec/conversion",
            webhook(json!({})),
        ),
        (
            "conversion webhook whose service has no name",
            "/spec/conversion",
            webhook(json!({"service": {"namespace": "tools"}})),
        ),
        (
            "conversion webhook over http",
            "/spec/conversion",
            webhook(json!({"url": "http://example.org"})),
        ),
        (
            "conversion webhook without review versions",
            "/spec/conversion",
            json!({"strategy": "Webhook", "webhook": {"clientConfig": service}}),
        ),
        (
            "conversion webhook with a bad caBundle",
            "/spec/conversion",
            webhook(json!({"service": service["service"], "caBundle": "bm90IGEgY2VydGlmaWNhdGU="})),
        ),
        (
            "conversion webhook to a service that is not there",
            "/spec/conversion",
            webhook(service.clone()),
        ),
        (
            "conversion None with a webhook",
            "/spec/conversion",
            json!({"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": service}}),
        ),
        (
            "conversion None with an empty webhook",
            "/spec/conversion",
            json!({"strategy": "None", "webhook": {}}),
        ),
        (
            "conversion None with a webhook of no versions",
            "/spec/conversion",
            json!({"strategy": "None", "webhook": {"conversionReviewVersions": []}}),
        ),
        (
            "conversion of an unknown strategy",
            "/spec/conversion",
            json!({"strategy": "Soap"}),
        ),
        (
            "conversion None",
            "/spec/conversion",
            json!({"strategy": "None"}),
        ),
        (
            "printer column of an unknown type",
            "/spec/versions/1/additionalPrinterColumns",
            json!([{"name": "Size", "type": "colour", "jsonPath": ".spec.size"}]),
        ),
        (
            "selectable field that is not there",
            "/spec/versions/1/selectableFields",
            json!([{"jsonPath": ".spec.nothing"}]),
        ),
        (
            "deprecation warning of a version that is not deprecated",
            "/spec/versions/0/deprecationWarning",
            json!("old"),
        ),
        (
            "label value with a blank",
            "/metadata/labels/team",
            json!("storage & backup"),
        ),
        (
            "label value of 64 letters",
            "/metadata/labels/team",
            json!("x".repeat(64)),
        ),
        (
            "label value that is empty",
            "/metadata/labels/team",
            json!(""),
        ),
        (
            "label value of 63 letters",
            "/metadata/labels/team",
            json!("x".repeat(63)),
        ),
        (
            "label key with a blank",
            "/metadata/labels/my team",
            json!("x"),
        ),
        (
            "annotations over 256 KiB",
            "/metadata/annotations/note",
            json!("x".repeat(256 * 1024)),
        ),
        (
            "annotations of 255 KiB",
            "/metadata/annotations/note",
            json!("x".repeat(255 * 1024)),
        ),
        (
            "short name with upper case",
            "/spec/names/shortNames",
            json!(["TH"]),
        ),
        ("short names", "/spec/names/shortNames", json!(["th"])),
        (
            "category with upper case",
            "/spec/names/categories",
            json!(["All"]),
        ),
        ("singular", "/spec/names/singular", json!("thingy")),
        ("listKind", "/spec/names/listKind", json!("Things")),
        ("listKind like kind", "/spec/names/listKind", json!("Thing")),
        (
            "description",
            schema,
            json!({"type": "object", "description": "other", "x-kubernetes-preserve-unknown-fields": true}),
        ),
        (
            "stored version not served any more",
            "/spec/versions/0/served",
            json!(false),
        ),
    ]
}

pub(crate) fn changes() -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, place, value) in values() {
        let mut definition = base("v1");
        let (parent, key) = place.rsplit_once('/').unwrap();
        definition.pointer_mut(parent).unwrap()[key] = value;
        changes.push(Change { name, definition });
    }
    let mut push = |name, change: &dyn Fn(&mut Value)| {
        let mut definition = base("v1");
        change(&mut definition);
        changes.push(Change { name, definition });
    };
    push("stored version gone", &|crd| {
        crd["spec"]["versions"].as_array_mut().unwrap().remove(0);
    });
    push("version named twice", &|crd| {
        let mut again = crd["spec"]["versions"][0].clone();
        again["storage"] = json!(false);
        crd["spec"]["versions"].as_array_mut().unwrap().push(again);
    });
    push("served version without a schema", &|crd| {
        let version = crd["spec"]["versions"][1].as_object_mut().unwrap();
        version.remove("schema");
    });
    push("version more, served, without a schema", &|crd| {
        let version = json!({"name": "v2", "served": true, "storage": false});
        crd["spec"]["versions"]
            .as_array_mut()
            .unwrap()
            .push(version);
    });
    push("version more, not served, without a schema", &|crd| {
        let version = json!({"name": "v2", "served": false, "storage": false});
        crd["spec"]["versions"]
            .as_array_mut()
            .unwrap()
            .push(version);
    });
    push("version more", &|crd| {
        let mut version = crd["spec"]["versions"][0].clone();
        version["name"] = json!("v2");
        crd["spec"]["versions"]
            .as_array_mut()
            .unwrap()
            .push(version);
    });
    push("apiVersion v1beta1", &|crd| {
        crd["apiVersion"] = json!("apiextensions.k8s.io/v1beta1");
    });
    push("nothing", &|_| {});
    changes
}
