//! Surprising behaviour of real control planes, a test for each.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::admission::{Answer, answer};
use fluxkeep::case::facts::Facts;
use fluxkeep::case::finding::Outcome;
use fluxkeep::case::policy::Policy;
use fluxkeep::helm::record::Driver;
use fluxkeep_cluster::BUILT_IN;
use fluxkeep_fixtures::fixture::objects;
use fluxkeep_fixtures::{Review, definition, now, packed, record, redefined, stored};
use serde_json::{Value, json};

const OLDER: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: helm-controller}\n\
    spec: {template: {spec: {containers: [{image: 'helm-controller:v1.0.1'}]}}}\n";

fn facts() -> Facts {
    Facts::of(objects(BUILT_IN, None))
}

fn rules(answer: &Answer, outcome: Outcome) -> Vec<&'static str> {
    answer
        .verdict
        .with(outcome)
        .map(|finding| finding.rule)
        .collect()
}

/// The same review with the opposite `dryRun`.
fn dry(review: &Review<'_>) -> Vec<u8> {
    String::from_utf8(review.bytes())
        .unwrap()
        .replace("\"dryRun\":false", "\"dryRun\":true")
        .into_bytes()
}

#[test]
fn of_stored_versions_only_the_old_objects_count_for_the_new_ones_are_the_clients() {
    let live = || definition(&[("v1", true, true), ("v2", true, false)], &["v1"]);
    let told = |stored: &[&str], offered: &[(&str, bool, bool)]| {
        let answer = redefined(live(), definition(offered, stored)).answer(&Facts::default());
        rules(&answer, Outcome::Refused)
    };
    assert_eq!(
        told(&["v2"], &[("v2", true, true)]),
        ["stored-version-dropped"],
        "a list that hides v1"
    );
    assert!(
        told(&["v9"], &[("v1", true, true)]).is_empty(),
        "a list that names what was never stored"
    );
}

#[test]
fn a_definition_is_compared_with_the_old_object_and_not_with_facts_that_may_lag() {
    let facts = Facts::of(objects(
        &definition(&[("v1", true, true)], &["v1"]).to_string(),
        None,
    ));
    let (old, new) = (
        definition(&[("v2", true, true)], &["v2"]),
        definition(&[("v2", true, true)], &[]),
    );
    assert_eq!(
        redefined(old.clone(), new.clone())
            .answer(&facts)
            .outcome
            .name(),
        "allow"
    );
    let created = Review {
        operation: "CREATE",
        ..redefined(Value::Null, new)
    };
    assert_eq!(
        created.answer(&facts).outcome.name(),
        "allow",
        "`kubectl create` over it runs as CREATE, too"
    );
}

#[test]
fn the_apiserver_writes_any_status_and_nobody_else_does() {
    let old = definition(&[("v1", true, true)], &["v1"]);
    let mut new = old.clone();
    for lie in [json!([]), json!(["v9"]), json!(["v1", "v9"])] {
        new["status"]["storedVersions"] = lie.clone();
        let by = |user| Review {
            user,
            sub_resource: "status",
            ..redefined(old.clone(), new.clone())
        };
        let refused = rules(&by("jane").answer(&Facts::default()), Outcome::Refused);
        assert!(
            refused.contains(&"stored-versions-pruned"),
            "{lie}: {refused:?}"
        );
        assert_eq!(
            by("system:apiserver")
                .answer(&Facts::default())
                .outcome
                .name(),
            "allow",
            "{lie}"
        );
    }
}

#[test]
fn only_the_creation_of_a_record_is_ever_refused() {
    let created = stored(record(OLDER, &[]));
    assert_eq!(created.answer(&facts()).outcome.name(), "refuse");
    for (operation, old, object) in [
        ("UPDATE", created.object.clone(), created.object.clone()),
        (
            "UPDATE",
            created.object.clone(),
            json!({"metadata": {"name": "sh.helm.release.v1.flux.v1"}}),
        ),
        ("DELETE", created.object.clone(), Value::Null),
    ] {
        let review = Review {
            operation,
            old,
            object,
            ..stored(Value::Null)
        };
        assert_eq!(
            review.answer(&facts()).outcome.name(),
            "allow",
            "{operation}"
        );
    }
}

#[test]
fn a_record_is_read_alike_from_a_secret_and_from_a_config_map() {
    let data = packed("flux", "flux-system", OLDER, &[], Driver::ConfigMap);
    let mut object = record(OLDER, &[]);
    (object["kind"], object["data"]["release"]) = (json!("ConfigMap"), json!(data));
    let kept = Review {
        kind: "/v1/ConfigMap",
        resource: "configmaps",
        ..stored(object)
    }
    .answer(&facts());
    let secret = stored(record(OLDER, &[])).answer(&facts());
    assert_eq!(secret.outcome.name(), "refuse");
    assert_eq!(kept.verdict, secret.verdict);
}

#[test]
fn a_dry_run_gets_the_same_answer() {
    let release = stored(record(OLDER, &[]));
    let crd = redefined(
        definition(&[("v1", true, true)], &["v1"]),
        definition(&[("v2", true, true)], &[]),
    );
    for review in [release, crd] {
        let dry = answer(&dry(&review), &facts(), &Policy::default(), now());
        assert_eq!(dry.outcome.name(), "refuse");
        assert_eq!(dry.body, review.answer(&facts()).body);
    }
}

#[test]
fn the_content_of_a_namespace_that_is_deleted_is_known_without_a_name_in_the_request() {
    let old = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "helm-controller", "namespace": "flux-system"}});
    let kind = "apps/v1/Deployment";
    let review = Review {
        kind,
        resource: "deployments",
        operation: "DELETE",
        old,
        ..Review::default()
    };
    let bytes = String::from_utf8(review.bytes()).unwrap();
    let nameless = bytes.replacen(r#""name":"helm-controller","#, r#""name":"","#, 1);
    assert_ne!(nameless, bytes);
    let answer = answer(nameless.as_bytes(), &facts(), &Policy::default(), now());
    assert_eq!(rules(&answer, Outcome::Refused), ["engine-deleted"]);
}

#[test]
fn keep_counts_as_helms_uninstall_reads_it() {
    let unkept = |manifest: &str| {
        let answer = stored(record(manifest, &[])).answer(&Facts::default());
        rules(&answer, Outcome::Warned).contains(&"engine-object-unkept")
    };
    let account = |policy: &str| {
        format!(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: helm-controller, annotations: {{helm.sh/resource-policy: '{policy}'}}}}\n"
        )
    };
    for kept in ["keep", " Keep ", "KEEP"] {
        assert!(!unkept(&account(kept)), "{kept:?}");
    }
    for lost in ["keeper", "delete", ""] {
        assert!(unkept(&account(lost)), "{lost:?}");
    }
    let item = account("keep").replace('\n', "\n  ");
    assert!(
        unkept(&format!("apiVersion: v1\nkind: List\nitems:\n- {item}")),
        "not inside a List"
    );
    let keep = "metadata: {annotations: {helm.sh/resource-policy: keep}}";
    assert!(
        !unkept(&format!(
            "apiVersion: v1\nkind: List\n{keep}\nitems:\n- {item}"
        )),
        "but on it"
    );
}

#[test]
fn a_definition_may_carry_a_namespace_in_a_chart_and_has_none_in_the_cluster() {
    let facts = Facts::of(objects(
        &definition(&[("v1", true, true)], &["v1"]).to_string(),
        None,
    ));
    let mut new = definition(&[("v2", true, true)], &[]);
    new["metadata"]["namespace"] = json!("flux-system");
    let answer = stored(record(&new.to_string(), &[])).answer(&facts);
    assert_eq!(rules(&answer, Outcome::Refused), ["stored-version-dropped"]);
}

#[test]
fn a_hooks_definition_is_judged_like_the_manifests() {
    let facts = Facts::of(objects(
        &definition(&[("v1", true, true)], &["v1"]).to_string(),
        None,
    ));
    let mut new = definition(&[("v2", true, true)], &[]);
    new["metadata"]["annotations"] = json!({"helm.sh/hook": "pre-install"});
    let answer = stored(record("", &[&new.to_string()])).answer(&facts);
    assert_eq!(rules(&answer, Outcome::Refused), ["stored-version-dropped"]);
}

#[test]
fn a_version_that_is_stored_and_gone_is_told_once_and_one_that_is_only_served_no_more_by_itself() {
    let old = || definition(&[("v1", true, true), ("v2", true, false)], &["v1"]);
    let told = |offered: &[(&str, bool, bool)]| -> Vec<_> {
        let answer = redefined(old(), definition(offered, &[])).answer(&Facts::default());
        answer
            .verdict
            .findings
            .iter()
            .map(|finding| finding.rule)
            .collect()
    };
    assert_eq!(told(&[("v2", true, true)]), ["stored-version-dropped"]);
    assert_eq!(
        told(&[("v1", false, false), ("v2", true, true)]),
        ["served-version-withdrawn"]
    );
}
