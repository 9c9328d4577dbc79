//! A given catalogue names a Flux version that fluxkeep was not built with.

#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use fluxkeep::admission::answer;
use fluxkeep::case::policy::Policy;
use fluxkeep::flux::catalogue::Catalogue;
use fluxkeep_cluster::{FactSource, Snapshot};
use fluxkeep_fixtures::{Review, now, owned, record, stored};
use serde_json::json;

/// Flux 2.99.0, carried by the chart flux2 2.99.1.
const NEW: &str = r#"[{"version": "2.99.0", "helm": "4.9.9", "charts": ["2.99.1"], "controllers":
    {"helm-controller": "1.99.0"}}]"#;

fn policy(text: &str) -> Policy {
    let mut policy = Policy::default();
    policy.engine.catalogue = Arc::new(Catalogue::read(text).unwrap());
    policy
}

/// The answer to a review in a cluster with Flux 2.4.0.
fn told(review: &Review<'_>, policy: &Policy) -> String {
    let facts = Snapshot::built_in().unwrap().facts();
    let answer = answer(&review.bytes(), &facts, policy, now());
    String::from_utf8(answer.body).unwrap()
}

#[test]
fn a_record_names_the_release_that_only_the_given_catalogue_knows() {
    let newer = owned("helm-controller", "ghcr.io/fluxcd/helm-controller:v1.99.0");
    let review = stored(record(&newer, &[]));
    let without = told(&review, &Policy::default());
    assert!(without.contains("flux-version-mismatch"), "{without}");
    assert!(!without.contains("2.99.0"), "{without}");
    let with = told(&review, &policy(NEW));
    assert!(
        with.contains("flux-version-mismatch") && with.contains("Flux 2.99.0"),
        "{with}"
    );
}

#[test]
fn a_helm_release_is_known_by_a_chart_version_that_only_the_given_catalogue_knows() {
    let object = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "flux", "namespace": "flux-system"},
        "spec": {"chart": {"spec": {"chart": "flux2", "version": "2.99.1"}}, "releaseName": "flux"}});
    let review = Review {
        kind: "helm.toolkit.fluxcd.io/v2/HelmRelease",
        resource: "helmreleases",
        object,
        ..Review::default()
    };
    assert!(!told(&review, &Policy::default()).contains("Flux 2.99.0"));
    let with = told(&review, &policy(NEW));
    assert!(
        with.contains("flux-version-mismatch") && with.contains("Flux 2.99.0"),
        "{with}"
    );
}
