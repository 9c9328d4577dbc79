//! The engine's objects: what takes them away, and what has to stay possible.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::facts::Facts;
use fluxkeep::finding::Outcome;
use fluxkeep_cluster::{BUILT_IN, Snapshot, Source};
use fluxkeep_tests::fixture::objects;
use fluxkeep_tests::{Review, record, redefined, stored};
use serde_json::{Value, json};

fn deployment(metadata: &Value) -> Value {
    let mut deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "helm-controller",
        "namespace": "flux-system", "labels": {"app.kubernetes.io/part-of": "flux"}}});
    for (key, value) in metadata.as_object().unwrap() {
        deployment["metadata"][key] = value.clone();
    }
    deployment
}

fn written(field_manager: &str, old: Value, new: Value) -> Vec<String> {
    let review = Review {
        kind: "apps/v1/Deployment",
        resource: "deployments",
        operation: "UPDATE",
        user: "jane",
        field_manager,
        object: new,
        old,
        ..Review::default()
    };
    let answer = review.answer(&Snapshot::built_in().unwrap().facts());
    answer.verdict.findings.iter().map(|one| format!("{} {} {}", one.outcome().name(), one.rule, one.path)).collect()
}

#[test]
fn marking_the_engine_as_a_hook_is_refused_as_the_first_step_to_deleting_it() {
    let hook = deployment(&json!({"annotations": {"helm.sh/hook": "pre-install"}}));
    let found = |manager| written(manager, deployment(&json!({})), hook.clone());
    assert_eq!(found("kubectl"), ["refused engine-label-removed /metadata/annotations/helm.sh~1hook"]);
    assert_eq!(found("helm"), ["warned engine-label-removed /metadata/annotations/helm.sh~1hook"]);
    assert!(written("kubectl", hook.clone(), hook.clone()).is_empty());
    assert!(written("kubectl", hook, deployment(&json!({}))).is_empty());
}

#[test]
fn marking_a_definition_of_the_engine_as_a_hook_is_refused_too() {
    let definition = |annotations: Value| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "buckets.source.toolkit.fluxcd.io", "annotations": annotations}})
    };
    let marked = redefined(definition(json!({})), definition(json!({"helm.sh/hook": "x"})));
    let answer = Review { user: "jane", ..marked }.answer(&Facts::default());
    let rules: Vec<_> = answer.verdict.with(Outcome::Refused).map(|finding| finding.rule).collect();
    assert_eq!(rules, ["engine-label-removed"]);
}

#[test]
fn what_helm_applies_with_the_rest_is_no_hook_whatever_it_is_marked_as() {
    let older = |hook: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: helm-controller\n  annotations: {{{hook}}}\n\
             spec: {{template: {{spec: {{containers: [{{image: helm-controller:v1.0.1}}]}}}}}}\n"
        )
    };
    let facts = Facts::of(objects(BUILT_IN, None));
    let rules = |manifest: &str, hooks: &[&str]| -> Vec<_> {
        stored(record(manifest, hooks)).answer(&facts).verdict.findings.iter().map(|one| one.rule).collect()
    };
    let plain = rules(&older(""), &[]);
    assert!(plain.contains(&"flux-downgraded"), "{plain:?}");
    assert_eq!(rules(&older("helm.sh/hook: pre-install"), &[]), plain);
    assert!(rules("", &[&older("helm.sh/hook: pre-install")]).is_empty());
}

/// One Deployment that Helm release `flux` owns, with an image.
fn owned(name: &str, image: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  namespace: flux-system\n  annotations: \
         {{meta.helm.sh/release-name: flux, meta.helm.sh/release-namespace: flux-system}}\n\
         spec: {{template: {{spec: {{containers: [{{image: '{image}'}}]}}}}}}\n"
    )
}

fn helm_release_deleted(facts: &str) -> Vec<&'static str> {
    let old = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "flux", "namespace": "flux-system"}, "spec": {"releaseName": "flux"}});
    let review = Review {
        kind: "helm.toolkit.fluxcd.io/v2/HelmRelease",
        resource: "helmreleases",
        operation: "DELETE",
        old,
        ..Review::default()
    };
    let verdict = review.answer(&Facts::of(objects(facts, None))).verdict;
    assert!(verdict.abstained.is_empty(), "{:?}", verdict.abstained);
    verdict.with(Outcome::Refused).map(|finding| finding.rule).collect()
}

#[test]
fn whoever_owns_the_engine_is_known_where_images_are_pinned_by_digest_alone() {
    let facts = owned("helm-controller", "mirror.example.org/helm-controller@sha256:0123");
    assert_eq!(helm_release_deleted(&facts), ["engine-deleted"]);
    let removed = stored(record("", &[])).answer(&Facts::of(objects(&facts, None))).verdict;
    assert!(removed.with(Outcome::Refused).any(|finding| finding.rule == "engine-object-removed"));
}

#[test]
fn whoever_owns_no_more_than_an_optional_controller_does_not_own_the_engine() {
    let optional = owned("image-reflector-controller", "image-reflector-controller:v0.33.0");
    assert!(helm_release_deleted(&(BUILT_IN.to_owned() + &optional)).is_empty());
}

/// What is said of a release with other images than its HelmRelease declares.
fn belied(chart: &str) -> Vec<String> {
    let declared = format!(
        "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: flux, namespace: flux-system}}\n\
         spec: {{releaseName: flux, chart: {{spec: {{chart: flux2, version: '{chart}'}}}}}}\n"
    );
    let live = owned("source-controller", "source-controller:v1.4.1");
    let facts = Facts::of(objects(&(live + &declared), None));
    let newer = owned("source-controller", "source-controller:v9.9.9");
    let findings = stored(record(&newer, &[])).answer(&facts).verdict.findings;
    let mismatched = findings.iter().filter(|finding| finding.rule == "flux-version-mismatch");
    mismatched.map(|one| format!("{} {}", one.outcome().name(), one.path)).collect()
}

#[test]
fn a_declaration_that_the_images_belie_is_warned_of_and_a_range_declares_nothing() {
    assert_eq!(belied("2.14.1"), ["warned /spec/chart/spec/version"]);
    assert!(belied("2.x").is_empty());
}
