//! Unreadable input is a finding: it refuses for the engine and warns for a stranger.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::admission::{Answer, answer};
use fluxkeep::case::facts::Facts;
use fluxkeep::case::finding::{Finding, Level, Outcome};
use fluxkeep::case::policy::{OverrideEntry, Policy};
use fluxkeep::case::request::Door;
use fluxkeep::helm::record::Driver;
use fluxkeep_cluster::BUILT_IN;
use fluxkeep_fixtures::fixture::objects;
use fluxkeep_fixtures::{Review, UID, definition, now, packed, redefined, secret, stored};
use serde_json::{Value, json};

const RULE: &str = "review-unreadable";
const BROKEN: &str = "kind: Service\nmetadata: {name: [a\n";
const GOOD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
/// A controller of Flux 2.3.0.
const OLDER: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: helm-controller, namespace: flux-system}\n\
                     spec: {template: {spec: {containers: [{image: 'helm-controller:v1.0.1'}]}}}\n";

fn facts() -> Facts {
    Facts::of(objects(BUILT_IN, None))
}

/// The creation of a record in its release's namespace.
fn created(name: &str, namespace: &str, manifest: &str) -> Review<'static> {
    kept_in(namespace, name, namespace, manifest)
}

/// The creation of a record in the namespace `storage`.
fn kept_in(storage: &str, name: &str, namespace: &str, manifest: &str) -> Review<'static> {
    let data = packed(name, namespace, manifest, &[], Driver::Secret);
    named(storage, name, secret(&data))
}

fn named(storage: &str, name: &str, mut record: Value) -> Review<'static> {
    record["metadata"]["namespace"] = json!(storage);
    record["metadata"]["name"] = json!(format!("sh.helm.release.v1.{name}.v1"));
    stored(record)
}

fn found(answer: &Answer, rule: &str) -> Vec<Outcome> {
    let of_rule = answer.verdict.findings.iter();
    let of_rule = of_rule.filter(|finding| finding.rule == rule);
    of_rule.map(Finding::outcome).collect()
}

fn is_refused(review: &Review<'_>, facts: &Facts) -> bool {
    let answer = review.answer(facts);
    let outcomes = found(&answer, RULE);
    assert_eq!(outcomes.len(), 1, "{answer:?}");
    outcomes == [Outcome::Refused]
}

#[test]
fn a_strangers_document_that_cannot_be_read_is_a_warning_with_uid_door_and_decision() {
    let answer = created("app", "apps", &format!("{GOOD}---\n{BROKEN}")).answer(&facts());
    assert_eq!(found(&answer, RULE), [Outcome::Warned]);
    assert_eq!(answer.outcome.name(), "warn");
    assert_eq!(answer.door(), Some(Door::ReleaseRecord));
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    let response = &body["response"];
    assert_eq!(
        (response["uid"].as_str(), &response["allowed"]),
        (Some(UID), &json!(true))
    );
    assert_eq!(response["auditAnnotations"]["rule"], RULE);
    let warning = response["warnings"][0].as_str().unwrap();
    let told = "review-unreadable: Secret apps/sh.helm.release.v1.app.v1: fluxkeep cannot read it: its manifest at line";
    assert!(warning.starts_with(told), "{warning}");
}

#[test]
fn a_strangers_record_that_cannot_be_read_at_all_is_a_warning() {
    for data in ["", "%%%"] {
        assert!(!is_refused(&named("apps", "app", secret(data)), &facts()));
    }
    let mut shapeless = secret("");
    shapeless["data"] = json!(5);
    assert!(!is_refused(&named("apps", "app", shapeless), &facts()));
}

#[test]
fn a_release_in_the_engines_namespace_is_refused() {
    assert!(is_refused(&created("app", "flux-system", BROKEN), &facts()));
    assert!(is_refused(
        &kept_in("apps", "app", "flux-system", BROKEN),
        &facts()
    ));
    assert!(is_refused(
        &named("flux-system", "app", secret("%%%")),
        &facts()
    ));
}

#[test]
fn a_release_that_owns_the_engine_is_refused_wherever_its_record_is_kept() {
    let owned = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: helm-controller, namespace: flux-system, \
                 annotations: {meta.helm.sh/release-name: flux, meta.helm.sh/release-namespace: infra}}\n";
    let source = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: flux, namespace: gitops}\n\
                  spec: {targetNamespace: infra, releaseName: flux}\n";
    let facts = Facts::of(objects(&format!("{owned}---\n{source}"), None));
    assert!(is_refused(&created("flux", "infra", BROKEN), &facts));
    assert!(is_refused(&named("infra", "flux", secret("%%%")), &facts));
    assert!(is_refused(&named("gitops", "flux", secret("%%%")), &facts));
    assert!(!is_refused(&created("app", "infra", BROKEN), &facts));
    assert!(
        !is_refused(&named("apps", "flux", secret("%%%")), &facts),
        "another release of that name"
    );
}

#[test]
fn one_document_that_cannot_be_read_does_not_hide_the_others() {
    for manifest in [
        format!("{BROKEN}---\n{OLDER}"),
        format!("{OLDER}---\n{BROKEN}"),
    ] {
        let answer = created("app", "apps", &manifest).answer(&facts());
        assert_eq!(found(&answer, RULE), [Outcome::Refused], "it brings Flux");
        let refused: Vec<_> = answer.verdict.with(Outcome::Refused).collect();
        assert!(
            refused
                .iter()
                .any(|one| one.rule == "flux-version-mismatch"),
            "{refused:?}"
        );
        assert_eq!(answer.outcome.name(), "refuse");
    }
}

#[test]
fn a_document_whose_kind_and_name_are_read_is_judged_by_those() {
    let odd = |name: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec: {{template: 5}}\n"
        )
    };
    let answer = created("apps", "flux-system", &odd("podinfo")).answer(&facts());
    assert_eq!(
        found(&answer, RULE),
        [Outcome::Warned],
        "an application kept beside Flux"
    );
    let subject = &answer.verdict.findings[0].object;
    assert_eq!(subject.to_string(), "Deployment flux-system/podinfo");
    assert!(is_refused(
        &created("flux", "flux-system", &odd("source-controller")),
        &facts()
    ));
}

#[test]
fn what_a_release_seems_to_lack_may_stand_in_what_cannot_be_read() {
    let owned = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: helm-controller, namespace: flux-system, \
                 annotations: {meta.helm.sh/release-name: flux, meta.helm.sh/release-namespace: flux-system}}\n";
    let facts = Facts::of(objects(owned, None));
    let rules = ["engine-object-removed", "controller-missing"];
    let answer = created("flux", "flux-system", &format!("{OLDER}---\n{BROKEN}")).answer(&facts);
    for rule in rules {
        assert!(
            answer.verdict.abstained.iter().any(|one| one.rule == rule),
            "{rule}"
        );
        assert!(found(&answer, rule).is_empty(), "{rule}");
    }
    let whole = created("flux", "flux-system", OLDER).answer(&facts);
    for rule in rules {
        assert_eq!(found(&whole, rule)[0], Outcome::Refused, "{rule}");
    }
}

#[test]
fn the_policy_sets_its_level_and_its_overrides() {
    let review = created("app", "flux-system", BROKEN);
    let told = |policy: &Policy| found(&answer(&review.bytes(), &facts(), policy, now()), RULE);
    for (level, expected) in [
        (Level::Warn, vec![Outcome::Warned]),
        (Level::Audit, vec![Outcome::Audited]),
        (Level::Off, vec![]),
    ] {
        let mut policy = Policy::default();
        policy.levels.insert(RULE, level);
        assert_eq!(told(&policy), expected, "{level:?}");
    }
    let standing = OverrideEntry {
        rule: RULE,
        object: "Secret/flux-system/sh.helm.release.v1.app.v1".to_owned(),
        reason: "looked at by hand".to_owned(),
        until: "2026-11-25T12:00:00Z".parse().unwrap(),
    };
    let policy = Policy {
        overrides: vec![standing],
        ..Policy::default()
    };
    assert_eq!(told(&policy), [Outcome::Overridden]);
}

#[test]
fn a_definition_that_cannot_be_read_is_refused_of_flux_and_warned_of_elsewhere() {
    let of = |name: &str| {
        let old = definition(&[("v1", true, true)], &["v1"]);
        let mut new = old.clone();
        new["metadata"]["name"] = json!(name);
        new["spec"]["versions"] = json!("v1");
        is_refused(&redefined(old, new), &Facts::default())
    };
    assert!(of("buckets.source.toolkit.fluxcd.io"));
    assert!(!of("things.example.org"));
}

#[test]
fn a_helm_release_that_cannot_be_read_is_judged_by_where_it_goes() {
    let release = |namespace: &str, target: Value| {
        json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": "app", "namespace": namespace}, "spec": {"targetNamespace": target}})
    };
    let update = |namespace: &str, target: &str| {
        let mut new = release(namespace, Value::Null);
        new["metadata"] = json!("odd");
        let review = Review {
            kind: "helm.toolkit.fluxcd.io/v2/HelmRelease",
            resource: "helmreleases",
            operation: "UPDATE",
            old: release(namespace, json!(target)),
            object: new,
            ..Review::default()
        };
        is_refused(&review, &Facts::default())
    };
    assert!(update("flux-system", "flux-system"));
    assert!(update("apps", "flux-system"));
    assert!(!update("apps", "apps"));
    assert!(
        !update("flux-system", "kube-system"),
        "a network that is kept beside Flux"
    );
}

#[test]
fn a_deletion_is_judged_by_its_envelope_where_the_object_cannot_be_read() {
    let of = |name: &str| {
        let old = json!({"metadata": {"name": name, "namespace": "flux-system"}, "spec": 5});
        let review = Review {
            kind: "apps/v1/Deployment",
            resource: "deployments",
            operation: "DELETE",
            old,
            ..Review::default()
        };
        review.answer(&facts())
    };
    let engine = of("helm-controller");
    assert_eq!(found(&engine, "engine-deleted"), [Outcome::Refused]);
    assert_eq!(found(&engine, RULE), [Outcome::Refused]);
    assert_eq!(of("podinfo").outcome.name(), "warn", "its labels were read");
}

#[test]
fn thousands_of_documents_that_cannot_be_read_are_counted() {
    let answer = created("app", "apps", &format!("---\n{BROKEN}").repeat(5_000)).answer(&facts());
    assert_eq!(answer.outcome.name(), "warn");
    let last = answer.verdict.findings.iter().map(|one| &one.message);
    assert!(
        last.into_iter()
            .any(|message| message.contains("4968 more documents"))
    );
    assert_eq!(answer.verdict.findings.len(), 33);
}
