//! The chart's generated files agree with the tables. `make docs` rewrites them.

use fluxkeep::case::finding::Level;
use fluxkeep::rules::RULES;
use fluxkeep_cluster::rbac::{cluster_rules, engine_rules};
use fluxkeep_tests::control_plane::Helm;
use fluxkeep_webhook::{events, recovery, registration};
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::{Value, json};

use crate::{alerts, dashboard, readme, root, schema, template};

/// One test, because Helm renders the last file from the first ones.
#[test]
fn generated_files_are_what_the_tables_and_helm_say() {
    registration_is_the_table_of_gates();
    rights_are_what_the_server_asks_for();
    alerts_and_their_page_are_the_table();
    is_file("charts/fluxkeep/files/dashboard.json", &dashboard::text());
    schema_knows_the_rules();
    readme_has_a_line_for_each_value();
    manifests_are_the_rendered_chart();
}

/// Writes the file if `FLUXKEEP_WRITE_DOCS` is set, and compares it.
fn is_file(name: &str, text: &str) {
    let path = root().join(name);
    if std::env::var_os("FLUXKEEP_WRITE_DOCS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{name} is out of date; run `make docs` and commit what it writes"
    );
}

fn yaml(about: &str, value: &Value) -> String {
    let text = serde_saphyr::to_string(value).unwrap();
    format!("# Written by `make docs` from {about}.\n{text}")
}

fn registration_is_the_table_of_gates() {
    let mut data = registration::chart();
    for policy in data["policies"].as_array_mut().unwrap() {
        let id = policy["rule"].as_str().unwrap();
        let rule = fluxkeep::rules::find(id).unwrap();
        policy["level"] = json!(rule.level.name());
    }
    let text = yaml("the tables in webhook/src/registration", &data);
    // Helm replaces tokens in the text, where YAML's own quotes would double those of CEL.
    assert!(!text.contains("''@") && !text.contains("@''"));
    is_file("charts/fluxkeep/files/registration.yaml", &text);
    // The template takes a rule that the values do not name for switched on.
    assert!(RULES.iter().all(|rule| rule.level != Level::Off));
}

fn rights_are_what_the_server_asks_for() {
    let inside = engine_rules(&RULES);
    let (events_engine, events): (Vec<_>, Vec<_>) = events::rights()
        .into_iter()
        .partition(|rule| is_within(rule, &inside));
    let (recovery_engine, recovery): (Vec<_>, Vec<_>) = recovery::engine_rights()
        .into_iter()
        .partition(|rule| is_within(rule, &inside));
    let configurations = [
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
    ];
    let name = fluxkeep_webhook::REGISTRATION.to_owned();
    let compared = [
        (&configurations[..], vec![name.clone()]),
        (&["validatingadmissionpolicies"], names("")),
        (&["validatingadmissionpolicybindings"], names("/bindings")),
    ];
    let compared = compared.map(|(resources, names)| registered(resources, names, "get"));
    let data = json!({
        "facts": cluster_rules(&RULES),
        "engine": inside,
        "events": events,
        "eventsEngine": events_engine,
        "recovery": recovery,
        "recoveryEngine": recovery_engine,
        "recoveryStore": recovery::store_rights("@NS@"),
        "registration": compared,
        "bundles": [registered(&configurations, vec![name], "patch")],
    });
    is_file(
        "charts/fluxkeep/files/rbac.yaml",
        &yaml("what the server follows and writes", &data),
    );
}

fn registered(resources: &[&str], names: Vec<String>, verb: &str) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec!["admissionregistration.k8s.io".to_owned()]),
        resources: Some(resources.iter().map(|one| (*one).to_owned()).collect()),
        resource_names: Some(names),
        verbs: vec![verb.to_owned()],
        ..PolicyRule::default()
    }
}

/// The names of the policies, or of what they hold.
fn names(inner: &str) -> Vec<String> {
    let data = registration::chart();
    let policies = data["policies"].as_array().unwrap().iter();
    let mut names = Vec::new();
    for policy in policies {
        let held = policy.pointer(inner).unwrap();
        let held = held
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![held.clone()]);
        names.extend(
            held.iter()
                .map(|one| one["name"].as_str().unwrap().to_owned()),
        );
    }
    names
}

/// True if the rule is about kinds that are followed in the engine's namespaces only.
fn is_within(rule: &PolicyRule, inside: &[PolicyRule]) -> bool {
    let resources = rule.resources.as_deref().unwrap_or_default();
    inside
        .iter()
        .filter(|one| one.api_groups == rule.api_groups)
        .any(|one| {
            let known = one.resources.as_deref().unwrap_or_default();
            resources.iter().all(|resource| known.contains(resource))
        })
}

fn alerts_and_their_page_are_the_table() {
    let text = yaml("tests/tests/chart/alerts/table.rs", &alerts::rules());
    is_file("charts/fluxkeep/files/alerts.yaml", &text);
    is_file("docs/alerts.md", &alerts::page());
}

fn schema_knows_the_rules() {
    let schema = schema::expected();
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    is_file("charts/fluxkeep/values.schema.json", &text);
}

fn readme_has_a_line_for_each_value() {
    is_file("charts/fluxkeep/README.md", &readme::page());
}

/// Helm 3 and 4 render the same; the file is Helm 4's.
fn manifests_are_the_rendered_chart() {
    let given = json!({});
    let rendered = |helm| {
        let output = template(helm, &given, &["--skip-tests"]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = rendered(Helm::Four);
    let namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: fluxkeep\n  labels:\n    \
                     app.kubernetes.io/part-of: fluxkeep\n";
    // Helm did not render it for a release of its own.
    let text = text.replace(
        "app.kubernetes.io/managed-by: Helm",
        "app.kubernetes.io/managed-by: manifest",
    );
    is_file(
        "deploy/install.yaml",
        &format!(
            "# Written by `make docs`: the chart with its default values, for clusters without Helm.\n{namespace}{text}"
        ),
    );
    assert_eq!(
        in_order(&rendered(Helm::Three)),
        in_order(&rendered(Helm::Four))
    );
}

/// The objects as texts. Helm 4 sorts kinds otherwise than Helm 3.
fn in_order(text: &str) -> Vec<String> {
    let mut texts: Vec<_> = crate::read(text).iter().map(Value::to_string).collect();
    texts.sort();
    texts
}
