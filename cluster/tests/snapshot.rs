//! A snapshot of realistic size, in every format that kubectl prints.

#![allow(clippy::unwrap_used, missing_docs)]

use fluxkeep_cluster::{FactSource, Snapshot};
use fluxkeep_fixtures::yaml;
use serde_json::{Value, json};

const CRDS: usize = 200;

/// A CRD with a schema of some kilobytes, as `kubectl get crd -o json` prints it.
fn crd(number: usize) -> Value {
    let field = |index: usize| {
        (
            format!("field{index}"),
            json!({"type": "string", "description": "It's \"a\": [field]\n- x"}),
        )
    };
    let properties: serde_json::Map<_, _> = (0..50).map(field).collect();
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": properties}});
    let version = |name: &str, storage: bool| json!({"name": name, "served": true, "storage": storage, "schema": schema});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things{number}.example.org"), "managedFields": [{"manager": "kubectl"}]},
        "spec": {"group": "example.org", "scope": "Namespaced", "versions": [version("v1beta1", false), version("v1", true)],
            "names": {"kind": format!("Thing{number}"), "plural": format!("things{number}")}},
        "status": {"storedVersions": ["v1beta1", "v1"], "conditions": [{"type": "Established", "status": "True"}]},
    })
}

fn facts_of(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot.yaml");
    std::fs::write(&path, text).unwrap();
    let facts = Snapshot::load(&path).unwrap().facts();
    assert_eq!(facts.objects().count(), CRDS);
    for definition in facts.objects().map(|object| object.definition().unwrap()) {
        assert_eq!(definition.stored, ["v1beta1", "v1"]);
        assert_eq!(definition.storage(), Some("v1"));
        assert!(definition.serves("v1beta1"));
    }
    facts.objects().map(ToString::to_string).collect()
}

#[test]
fn two_hundred_crds_load_alike_from_every_form() {
    let crds: Vec<Value> = (0..CRDS).map(crd).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": crds});
    let stream: Vec<String> = crds
        .iter()
        .map(|crd| format!("---\n{}", yaml(crd, 0)))
        .collect();
    let expected = facts_of(&list.to_string());
    assert_eq!(
        facts_of(&serde_json::to_string_pretty(&list).unwrap()),
        expected
    );
    assert_eq!(facts_of(&yaml(&list, 0)), expected);
    assert_eq!(facts_of(&stream.concat()), expected);
}
