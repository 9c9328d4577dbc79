//! The fields read of an object, by its kind's table, alike in YAML and JSON. Null means absent.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use fluxkeep::manifest::{Reading, read};
use fluxkeep::object::{Kind, Marks, Object};
use fluxkeep::yaml::Paths;
use fluxkeep_fixtures::{Review, yaml};
use serde_json::{Map, Value, json};

const KINDS: [(Kind, &str, &str); 14] = [
    (
        Kind::Definition,
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
    ),
    (
        Kind::HelmRelease,
        "helm.toolkit.fluxcd.io/v2",
        "HelmRelease",
    ),
    (Kind::Workload, "apps/v1", "Deployment"),
    (Kind::Service, "v1", "Service"),
    (Kind::NetworkPolicy, "networking.k8s.io/v1", "NetworkPolicy"),
    (
        Kind::Binding,
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
    ),
    (
        Kind::FluxInstance,
        "fluxcd.controlplane.io/v1",
        "FluxInstance",
    ),
    (
        Kind::Kustomization,
        "kustomize.toolkit.fluxcd.io/v1",
        "Kustomization",
    ),
    (
        Kind::FluxSource,
        "source.toolkit.fluxcd.io/v1",
        "GitRepository",
    ),
    (Kind::Quota, "v1", "ResourceQuota"),
    (Kind::Limits, "v1", "LimitRange"),
    (Kind::Role, "rbac.authorization.k8s.io/v1", "ClusterRole"),
    (Kind::Scale, "autoscaling/v1", "Scale"),
    (Kind::Other, "v1", "ConfigMap"),
];

/// An object with a value at every path of a table.
fn filled(paths: &Paths, key: &str) -> Value {
    match paths {
        Paths::Nested(0) => match key {
            "served"
            | "storage"
            | "suspend"
            | "paused"
            | "remediateLastFailure"
            | "preserveUnknownFields"
            | "x-kubernetes-preserve-unknown-fields"
            | "prune" => json!(true),
            "id" => json!("flux-system_helm-controller_apps_Deployment"),
            "retries" | "replicas" => json!(3),
            "operator" => json!("In"),
            "policyTypes" => json!("Egress"),
            // Without it, a Service's externalName has no effect.
            "type" => json!("ExternalName"),
            "kind" => json!("ServiceAccount"),
            key => json!(format!("a-{key}")),
        },
        // A text is kept as it is, with its nulls.
        Paths::Text => json!("text"),
        Paths::Whole | Paths::Nested(_) => json!({"a": {"b": "c"}}),
        Paths::Prefixed(prefixes) => {
            let entry = |prefix: &&str| (format!("{prefix}helm.sh/a"), json!("b"));
            Value::Object(prefixes.iter().map(entry).collect())
        }
        Paths::Items(item) => json!([filled(item, key)]),
        Paths::Keys([]) => json!({"a": "b"}),
        Paths::Keys(keys) => {
            let read = keys.iter().filter(|(key, _)| *key != "items");
            let entry = |(key, paths): &(&str, Paths)| ((*key).to_owned(), filled(paths, key));
            Value::Object(read.map(entry).collect())
        }
    }
}

fn example((kind, api_version, name): (Kind, &str, &str)) -> Value {
    let mut object = filled(kind.paths(), "");
    let map = object.as_object_mut().unwrap();
    map.insert("apiVersion".to_owned(), json!(api_version));
    map.insert("kind".to_owned(), json!(name));
    object
}

/// The JSON pointers of all values inside a value.
fn pointers(value: &Value) -> Vec<String> {
    let escaped = |key: &String| key.replace('~', "~0").replace('/', "~1");
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (escaped(key), value))
            .collect(),
        Value::Array(items) => items.iter().map(|item| ("0".to_owned(), item)).collect(),
        _ => Vec::new(),
    };
    let mut all = Vec::new();
    for (key, child) in children {
        all.push(format!("/{key}"));
        all.extend(pointers(child).iter().map(|rest| format!("/{key}{rest}")));
    }
    all
}

fn with_null(object: &Value, pointer: &str) -> Value {
    let mut object = object.clone();
    *object.pointer_mut(pointer).unwrap() = Value::Null;
    object
}

fn without(object: &Value, pointer: &str) -> Value {
    let mut object = object.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/").replace("~0", "~");
    match object.pointer_mut(parent).unwrap() {
        Value::Object(map) => drop(map.remove(&key)),
        Value::Array(items) => items.clear(),
        _ => panic!("{pointer}"),
    }
    object
}

/// A document parsed from JSON and from YAML.
fn read_both(object: &Value) -> [Vec<Object>; 2] {
    [object.to_string(), yaml(object, 0)].map(|text| {
        read(&text, Reading::default()).unwrap_or_else(|unread| panic!("{unread} in\n{text}"))
    })
}

/// True for a label or annotation, which stays present when null: Go decodes null in
/// `map[string]string` as an empty string.
fn is_text_of_a_map(pointer: &str) -> bool {
    let maps = [
        "/labels/",
        "/annotations/",
        "/matchLabels/",
        "/target/",
        "/nodeSelector/",
    ];
    maps.iter().any(|map| pointer.contains(map)) || pointer.starts_with("/spec/selector/helm")
}

#[test]
fn a_null_anywhere_reads_as_what_is_left_out() {
    for kind in KINDS {
        let object = example(kind);
        let own = pointers(&object);
        // Values are looked up by the policy's paths, where null names no version.
        let own = own
            .iter()
            .filter(|pointer| !pointer.starts_with("/spec/values/"));
        for pointer in own {
            let null = read_both(&with_null(&object, pointer));
            let [json, yaml] = &null;
            assert_eq!(json, yaml, "{pointer} of {}", kind.2);
            let is_item = pointer.ends_with("/0");
            if !is_text_of_a_map(pointer) && !is_item {
                let absent = read_both(&without(&object, pointer));
                assert_eq!(null, absent, "{pointer} of {}", kind.2);
            }
        }
    }
}

/// True for fields without effect: a cluster-scoped object's namespace, and the content of a
/// kubeConfig, a schema, a status subresource or an aggregation, whose presence counts. Also true
/// for `spec.version`, which only apiextensions v1beta1 uses. A suspended Kustomization, as here,
/// prunes nothing.
fn is_unread((kind, _, _): &(Kind, &str, &str), pointer: &str) -> bool {
    let is_cluster_scoped = matches!(kind, Kind::Definition | Kind::Binding | Kind::Role);
    is_cluster_scoped && pointer == "/metadata/namespace"
        || pointer.starts_with("/spec/kubeConfig/")
        || pointer.starts_with("/spec/versions/0/schema/")
        || pointer.starts_with("/spec/versions/0/subresources/status/")
        || *kind == Kind::Kustomization
            && matches!(
                pointer,
                "/spec/prune" | "/spec/deletionPolicy" | "/spec/kubeConfig"
            )
        || pointer.starts_with("/aggregationRule/")
        // Only conditions of certain types are kept; `cut_off.rs` asks for each.
        || pointer.starts_with("/status/conditions")
        // A policy of type Egress has no rules for ingress, and only their number counts.
        || *kind == Kind::NetworkPolicy
            && (pointer.starts_with("/spec/ingress") || pointer == "/spec/egress/0/a")
        // Only a zero without a scope is kept; the updates of `tests/fixtures/src/updates.rs` ask each field.
        || matches!(kind, Kind::Quota | Kind::Limits) && pointer.starts_with("/spec")
        || pointer == "/spec/version"
}

#[test]
fn every_path_of_the_table_is_read_by_the_object() {
    for kind in KINDS {
        let object = example(kind);
        let [whole, _] = read_both(&object);
        for pointer in pointers(&object) {
            let [json, yaml] = read_both(&without(&object, &pointer));
            assert_eq!(json, yaml, "{pointer} of {}", kind.2);
            if !is_unread(&kind, &pointer) {
                assert_ne!(
                    json, whole,
                    "{pointer} of {} is in the table for nothing",
                    kind.2
                );
            }
        }
    }
}

#[test]
fn what_the_table_does_not_name_may_be_as_deep_as_it_likes() {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    for kind in KINDS {
        let object = example(kind);
        let text = object.to_string();
        let text = text.replacen(
            "\"metadata\":{",
            &format!("\"metadata\":{{\"other\":{deep},"),
            1,
        );
        let read = read(&text, Reading::default()).unwrap();
        assert_eq!([read.clone(), read], read_both(&object), "{}", kind.2);
    }
}

#[test]
fn values_of_a_release_may_be_as_deep_as_they_like_at_its_door() {
    let mut object = example(KINDS[1]);
    object["metadata"]["namespace"] = json!("apps");
    object["spec"]["values"] = json!({"a": 1});
    let review = Review {
        kind: "helm.toolkit.fluxcd.io/v2/HelmRelease",
        resource: "helmreleases",
        object,
        ..Review::default()
    };
    let deep = format!("{}1{}", "{\"a\":".repeat(500), "}".repeat(500));
    let body = String::from_utf8(review.bytes()).unwrap();
    let body = body.replacen("\"values\":{", &format!("\"values\":{{\"deep\":{deep},"), 1);
    assert!(body.contains(&deep));
    let policy = fluxkeep::case::policy::Policy::default();
    let facts = fluxkeep::case::facts::Facts::default();
    let answer =
        fluxkeep::admission::answer(body.as_bytes(), &facts, &policy, fluxkeep_fixtures::now());
    assert!(answer.request.unwrap().gaps.is_empty());
}

#[test]
fn a_key_that_stands_twice_counts_as_its_later_value_everywhere() {
    let text = r#"{"apiVersion": "v1", "kind": "Secret", "kind": "Service", "metadata": {"name": "a", "name": "b"}}"#;
    let expected = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b"}});
    let yaml = text.replacen('{', "{? ", 1);
    for text in [text, &yaml] {
        assert_eq!(
            [read(text, Reading::default()).unwrap()],
            read_both(&expected)[..1],
            "{text}"
        );
    }
}

#[test]
fn of_apiextensions_v1beta1_the_only_version_is_offered() {
    let object = json!({"apiVersion": "apiextensions.k8s.io/v1beta1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "a"}, "spec": {"version": "v1alpha1"}});
    let [read, _] = read_both(&object);
    assert_eq!(read[0].api_version, "apiextensions.k8s.io/v1beta1");
    assert!(read[0].definition().unwrap().serves("v1alpha1"));
    let mut newer = object;
    newer["apiVersion"] = json!("apiextensions.k8s.io/v1");
    assert!(
        !read_both(&newer)[0][0]
            .definition()
            .unwrap()
            .offers("v1alpha1")
    );
}

#[test]
fn what_is_no_text_where_one_belongs_is_none() {
    let odd = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a",
        "annotations": {"helm.sh/resource-policy": {"keep": true}, "helm.sh/b": ["c"], "helm.sh/d": 5},
        "labels": "app"}});
    for read in read_both(&odd) {
        assert_eq!(read[0].annotations.get("helm.sh/resource-policy"), None);
        assert_eq!(read[0].annotations.get("helm.sh/d").unwrap(), "5");
        assert_eq!(read[0].labels, Marks::default());
    }
}

/// An empty map equals a map of nulls.
#[test]
fn an_empty_map_is_read_as_one_of_nulls() {
    let with = |metadata: Value| {
        read_both(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}))
    };
    let nulls: Map<String, Value> = ["name", "labels", "annotations"]
        .map(|key| (key.to_owned(), Value::Null))
        .into_iter()
        .collect();
    assert_eq!(with(json!({})), with(Value::Object(nulls)));
}
