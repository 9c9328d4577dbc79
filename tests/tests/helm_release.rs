//! The HelmRelease door: what is judged, and what has to stay possible.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::admission::Answer;
use fluxkeep_cluster::{Snapshot, Source};
use fluxkeep_tests::Review;
use serde_json::{Value, json};

fn release(more: &Value) -> Value {
    let chart = json!({"spec": {"chart": "flux2", "version": "2.13.0"}});
    let mut spec = json!({"chart": chart, "releaseName": "flux", "targetNamespace": "flux-system",
        "install": {"remediation": {"retries": 3}}});
    for (key, value) in more.as_object().unwrap() {
        spec.as_object_mut().unwrap().insert(key.clone(), value.clone());
    }
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "flux", "namespace": "flux-system"}, "spec": spec})
}

fn written(old: Value, new: Value) -> Answer {
    let review = Review {
        kind: "helm.toolkit.fluxcd.io/v2/HelmRelease",
        resource: "helmreleases",
        operation: if old.is_null() { "CREATE" } else { "UPDATE" },
        object: new,
        old,
        ..Review::default()
    };
    review.answer(&Snapshot::built_in().unwrap().facts())
}

#[test]
fn a_bad_release_is_refused_when_it_is_created_changed_or_resumed() {
    let bad = release(&json!({}));
    assert_eq!(written(Value::Null, bad.clone()).outcome.name(), "refuse");
    assert_eq!(written(release(&json!({"interval": "1m"})), bad.clone()).outcome.name(), "refuse");
    assert_eq!(written(release(&json!({"suspend": true})), bad).outcome.name(), "refuse");
}

#[test]
fn a_bad_release_that_is_there_already_can_be_suspended() {
    assert_eq!(written(release(&json!({})), release(&json!({"suspend": true}))).outcome.name(), "allow");
}

#[test]
fn a_write_that_leaves_the_spec_alone_is_not_judged() {
    let mut marked = release(&json!({}));
    marked["metadata"]["finalizers"] = json!(["finalizers.fluxcd.io"]);
    assert_eq!(written(release(&json!({})), marked).outcome.name(), "allow");
}

#[test]
fn a_release_for_another_cluster_is_none_of_this_clusters_business() {
    let remote = release(&json!({"kubeConfig": {"secretRef": {"name": "other"}}}));
    let answer = written(Value::Null, remote);
    assert_eq!(answer.outcome.name(), "allow");
    assert!(answer.verdict.abstained.is_empty(), "{:?}", answer.verdict.abstained);
}

#[test]
fn a_chart_that_hides_its_flux_is_let_through_and_said_to_be_unknown() {
    let chart = json!({"spec": {"chart": "umbrella", "version": "1.0.0"}});
    let answer = written(Value::Null, release(&json!({"chart": chart})));
    assert_eq!(answer.outcome.name(), "allow");
    let rules: Vec<_> = answer.verdict.abstained.iter().map(|one| one.rule).collect();
    assert_eq!(rules, ["destructive-remediation", "flux-downgraded", "flux-minor-skipped", "flux-version-mismatch"]);
}
