//! Lists: any object whose `items` is a list counts, as in Go's reader.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::case::facts::Facts;
use fluxkeep::case::finding::Outcome;
use fluxkeep::manifest::{Reading, read, sift};
use fluxkeep::yaml::NodeBudget;
use fluxkeep_fixtures::{record, stored};

/// The apiVersion, kind and name of each object.
fn told(text: &str) -> Vec<String> {
    let objects = read(text, Reading::default()).unwrap();
    let told = objects
        .iter()
        .map(|object| format!("{} {}/{}", object.api_version, object.kind, object.name));
    told.collect()
}

const ITEM: &str = "apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: helm-controller, namespace: flux-system}\n  \
                    spec: {template: {spec: {containers: [{image: 'helm-controller:v1.0.1'}]}}}\n";

#[test]
fn a_list_is_what_has_items_whatever_its_kind() {
    for kind in ["List", "ConfigMap", "DeploymentList", "AllowList"] {
        let text = format!("apiVersion: v1\nkind: {kind}\nitems:\n- {ITEM}");
        assert_eq!(
            told(&text),
            ["apps/v1 Deployment/helm-controller"],
            "{kind}"
        );
    }
}

#[test]
fn an_object_whose_kind_ends_in_list_is_an_object_where_its_items_are_no_list() {
    for items in [
        "",
        "items:\n",
        "items: {office: 10.0.0.0/8}\n",
        "items: text\n",
    ] {
        let text = format!(
            "apiVersion: acme.org/v1\nkind: AllowList\nmetadata: {{name: office}}\n{items}"
        );
        assert_eq!(told(&text), ["acme.org/v1 AllowList/office"], "{items:?}");
    }
}

#[test]
fn items_without_kind_and_version_have_the_lists() {
    let yaml = "apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: a}\n- kind: ReplicaSet\n  metadata: {name: b}\n- \n";
    let json = r#"{"apiVersion":"apps/v1","kind":"DeploymentList","items":[{"metadata":{"name":"a"}},
        {"kind":"ReplicaSet","metadata":{"name":"b"}},null]}"#;
    for text in [yaml, json] {
        assert_eq!(
            told(text),
            [
                "apps/v1 Deployment/a",
                " ReplicaSet/b",
                "apps/v1 Deployment/"
            ]
        );
    }
}

#[test]
fn what_the_raw_api_answers_is_read_as_its_kind() {
    let raw = r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinitionList","metadata":{"resourceVersion":"1"},
        "items":[{"metadata":{"name":"widgets.example.org"},"spec":{"group":"example.org","names":{"kind":"Widget"},
        "versions":[{"name":"v1beta1","served":true,"storage":false}]},"status":{"storedVersions":["v1beta1"]}}]}"#;
    let objects = read(raw, Reading::default()).unwrap();
    let definition = objects[0].definition().unwrap();
    assert_eq!(definition.stored, ["v1beta1"]);
    assert!(Facts::of(objects).knows_definitions());
}

#[test]
fn what_hides_in_a_list_of_another_kind_is_judged() {
    for kind in ["ConfigMap", "DeploymentList"] {
        let hidden = ITEM.replace("apiVersion: apps/v1\n  kind: Deployment\n  ", "");
        let item = if kind == "ConfigMap" { ITEM } else { &hidden };
        let text = format!("apiVersion: apps/v1\nkind: {kind}\nitems:\n- {item}");
        let answer = stored(record(&text, &[])).answer(&Facts::default());
        let found = answer.verdict.findings.iter();
        assert!(
            found
                .into_iter()
                .any(|one| one.object.name == "helm-controller"),
            "{kind}"
        );
    }
}

#[test]
fn a_list_inside_a_list_is_no_list_to_helm_and_is_told() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items: [{apiVersion: v1, kind: ConfigMap}]\n";
    let sifted = sift(text, Reading::default(), 10, &mut NodeBudget::default());
    assert_eq!(sifted.unread.len(), 1);
    assert!(
        sifted.unread[0]
            .unread
            .message
            .contains("item 0 of the list: it is itself a list")
    );
    let answer = stored(record(text, &[])).answer(&Facts::default());
    assert_eq!(answer.outcome.name(), "refuse", "in the engine's namespace");
    // An object with `items` of its own, in the apiserver's listing.
    assert_eq!(told(text), ["v1 List/"]);
}

#[test]
fn keep_on_the_list_itself_keeps_its_items_and_the_report_says_where_it_belongs() {
    let unkept = |kind: &str, list: &str, item: &str| {
        let item = ITEM.replace(
            "namespace: flux-system",
            &format!("namespace: flux-system{item}"),
        );
        let text = format!("apiVersion: v1\nkind: {kind}\n{list}items:\n- {item}");
        let answer = stored(record(&text, &[])).answer(&Facts::default());
        let warned = answer.verdict.with(Outcome::Warned);
        let found = warned.filter(|one| one.rule == "engine-object-unkept");
        found.map(ToString::to_string).collect::<Vec<_>>()
    };
    let keep = "metadata: {annotations: {helm.sh/resource-policy: keep}}\n";
    assert!(unkept("List", keep, "").is_empty());
    let on_item = &unkept("List", "", ", annotations: {helm.sh/resource-policy: keep}")[0];
    assert!(on_item.contains("is missing on its List"), "{on_item}");
    assert!(
        on_item.contains("Write helm.sh/resource-policy: keep on the List itself"),
        "{on_item}"
    );
    let typed = &unkept("DeploymentList", "", "")[0];
    assert!(
        typed.contains("Move it out of the DeploymentList"),
        "{typed}"
    );
}
