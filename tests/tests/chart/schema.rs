//! The schema of the values.

use fluxkeep::rules::RULES;
use fluxkeep_tests::control_plane::{Helm, said};
use serde_json::{Map, Value, json};

use crate::{HELMS, chart, root, template};

/// The schema as it is, with the part `policy` made from the rules.
pub(crate) fn expected() -> Value {
    let path = root().join("charts/fluxkeep/values.schema.json");
    let text = std::fs::read_to_string(path).unwrap();
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    schema["properties"]["policy"] = policy();
    schema
}

/// A bare `off` is false in Helm's YAML.
fn policy() -> Value {
    let level = json!({"enum": ["enforce", "warn", "audit", "off", false]});
    let levels: Map<_, _> = RULES
        .iter()
        .map(|rule| (rule.id.to_owned(), level.clone()))
        .collect();
    let rules: Vec<_> = RULES.iter().map(|rule| rule.id).collect();
    let text = json!({"type": "string", "minLength": 1});
    let object = |properties: Value| json!({"type": ["object", "null"], "additionalProperties": false, "properties": properties});
    let mut exception = object(json!({
        "rule": {"enum": rules}, "object": text, "reason": text, "until": text
    }));
    exception["required"] = json!(["rule", "object", "reason", "until"]);
    let names = json!({"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}});
    object(json!({
        "levels": object(Value::Object(levels)),
        "engine": object(json!({
            "namespaces": names,
            "valuesPaths": {"type": ["array", "null"], "items": text},
        })),
        "mutate": object(json!({"helmReleases": {"type": "boolean"}})),
        "overrides": {"type": "array", "items": exception},
    }))
}

/// The keys of an object, nested ones with dots.
fn keys(value: &Value, path: &str, found: &mut Vec<String>) {
    for (key, inner) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        keys(inner, &path, found);
        found.push(path);
    }
}

/// The schema behind a key of the values.
fn described<'a>(schema: &'a Value, path: &str) -> Option<&'a Value> {
    let mut place = schema;
    for key in path.split('.').skip(1) {
        // A part that the schema leaves open may hold anything.
        if place.get("properties").is_none() {
            return place.get("type").map(|_| place);
        }
        place = place.pointer(&format!("/properties/{key}"))?;
    }
    Some(place)
}

#[test]
fn it_knows_every_key_of_the_values_and_of_those_it_closes_no_other() {
    let text = std::fs::read_to_string(root().join("charts/fluxkeep/values.yaml")).unwrap();
    let values: Value = serde_saphyr::from_str(&text).unwrap();
    let schema = expected();
    let mut given = Vec::new();
    keys(&values, "", &mut given);
    for path in &given {
        assert!(described(&schema, path).is_some(), "{path}");
    }
    let mut closed = Vec::new();
    properties(&schema, "", &mut closed);
    for path in closed {
        let is_rule = path.starts_with(".policy.levels.");
        let of_umbrella = path == ".enabled" || path.starts_with(".global.");
        assert!(is_rule || of_umbrella || given.contains(&path), "{path}");
    }
}

fn properties(schema: &Value, path: &str, found: &mut Vec<String>) {
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        properties(inner, &path, found);
        found.push(path);
    }
}

fn refused(helm: Helm, given: &Value) -> String {
    let output = template(helm, given, &[]);
    assert!(!output.status.success(), "{given} is rendered");
    said(&output)
}

#[test]
fn an_unknown_key_rule_level_or_mode_is_refused_by_name() {
    let cases = [
        (json!({"replicas": 2}), "replicas"),
        (json!({"webhook": {"prot": 1}}), "prot"),
        (json!({"image": {"name": "a"}}), "name"),
        (
            json!({"policy": {"levels": {"engine-delete": "warn"}}}),
            "engine-delete",
        ),
        (
            json!({"policy": {"levels": {"engine-deleted": "harsh"}}}),
            "engine-deleted",
        ),
        (
            json!({"policy": {"levels": {"engine-deleted": true}}}),
            "engine-deleted",
        ),
        (
            json!({"policy": {"engine": {"namespaces": []}}}),
            "namespaces",
        ),
        (
            json!({"policy": {"overrides": [{"rule": "engine-deleted", "object": "Namespace/a", "until": "2026-12-01T00:00:00Z"}]}}),
            "reason",
        ),
        (json!({"certificates": {"mode": "selfsigned"}}), "mode"),
        (
            json!({"webhook": {"failurePolicy": "Deny"}}),
            "failurePolicy",
        ),
        (json!({"webhook": {"url": "http://a"}}), "url"),
        (
            json!({"webhook": {"failOpenReleases": ["a".repeat(54)]}}),
            "failOpenReleases",
        ),
    ];
    for helm in HELMS {
        for (given, named) in &cases {
            let text = refused(helm, given);
            assert!(text.contains(named), "{helm:?} {given}: {text}");
        }
    }
}

#[test]
fn values_that_cannot_work_together_are_refused_with_the_cure() {
    let cases = [
        (json!({"hostNetwork": true}), "10260"),
        (json!({"metrics": {"port": 10250}}), "are the same"),
        (
            json!({"certificates": {"mode": "secret"}}),
            "certificates.secretName",
        ),
        (
            json!({"certificates": {"caBundle": "a"}}),
            "leave certificates.caBundle empty",
        ),
        (
            json!({"replicaCount": 1, "podDisruptionBudget": {"minAvailable": 1}}),
            "maxUnavailable",
        ),
    ];
    for helm in HELMS {
        for (given, cure) in &cases {
            let text = refused(helm, given);
            assert!(text.contains(cure), "{helm:?} {given}: {text}");
        }
    }
}

/// Umbrella charts add `global` and the condition `enabled` to a part's values.
#[test]
fn values_of_an_umbrella_chart_are_taken() {
    let given =
        json!({"enabled": true, "global": {"imageRegistry": "mirror.example.org", "other": 1}});
    for helm in HELMS {
        let objects = crate::objects(helm, &given, &[]);
        let server = crate::of_kind(&objects, "Deployment")[0];
        let image = &server["spec"]["template"]["spec"]["containers"][0]["image"];
        let image = image.as_str().unwrap();
        assert!(image.starts_with("mirror.example.org/"), "{image}");
    }
}

#[test]
fn both_helms_lint_it_without_a_warning() {
    let chart = chart();
    for helm in HELMS {
        let output = helm.offline(&[
            "lint",
            "--strict",
            &chart,
            "--kube-version",
            crate::KUBERNETES,
        ]);
        let text = said(&output);
        assert!(
            output.status.success() && !text.contains("[WARNING]"),
            "{text}"
        );
    }
}
