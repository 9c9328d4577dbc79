//! Overrides: their conditions, duration and authors.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::admission::{Answer, answer};
use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::policy_file;
use fluxkeep_fixtures::{Review, definition, now, redefined};
use serde_json::{Value, json};

const SOON: &str = "2026-11-25T12:00:00Z";

fn allowing(rules: &str, reason: &str, until: &str) -> Value {
    json!({"fluxkeep.io/allow": rules, "fluxkeep.io/reason": reason, "fluxkeep.io/until": until})
}

/// The review of a CRD update that drops the stored version, with annotations on both sides.
fn dropped(live: &Value, new: &Value) -> Review<'static> {
    let (mut old, mut other) = (
        definition(&[("v1", true, true)], &["v1"]),
        definition(&[("v2", true, true)], &[]),
    );
    old["metadata"]["annotations"] = live.clone();
    other["metadata"]["annotations"] = new.clone();
    Review {
        user: "jane",
        ..redefined(old, other)
    }
}

fn judged(live: &Value, new: &Value) -> Answer {
    dropped(live, new).answer(&Facts::default())
}

#[test]
fn an_override_on_the_live_object_needs_the_rule_a_reason_and_a_near_end() {
    let none = json!({});
    let allowed = |marks: &Value| judged(marks, &none).outcome.name() == "allow";
    assert!(allowed(&allowing("stored-version-dropped", "CHG-1", SOON)));
    assert!(allowed(&allowing(
        "foreign-owner, stored-version-dropped",
        "CHG-1",
        "2026-12-24T12:00:00Z"
    )));
    assert!(allowed(&allowing(
        "stored-version-dropped",
        "CHG-1",
        "2026-11-25T14:00:00.5+02:00"
    )));
    assert!(!allowed(&none));
    for (marks, why) in [
        (allowing("foreign-owner", "CHG-1", SOON), ""),
        (
            allowing("stored-version-dropped", " ", SOON),
            "fluxkeep.io/reason is missing",
        ),
        (
            allowing("stored-version-dropped", "CHG-1", ""),
            "fluxkeep.io/until is missing",
        ),
        (
            allowing("stored-version-dropped", "CHG-1", "tomorrow"),
            "is not an RFC 3339 time in UTC",
        ),
        (
            allowing("stored-version-dropped", "CHG-1", "2026-11-25t12:00:00z"),
            "is not an RFC 3339 time in UTC such as 2026-01-31T18:00:00Z",
        ),
        (
            allowing("stored-version-dropped", "CHG-1", "2026-11-25 12:00:00Z"),
            "is not an RFC 3339 time in UTC",
        ),
        (
            allowing("stored-version-dropped", "CHG-1", "2026-11-24T12:00:00Z"),
            "it ended at 2026-11-24T12:00:00Z",
        ),
        (
            allowing("stored-version-dropped", "CHG-1", "2026-12-24T12:00:01Z"),
            "is more than 30 days away; set an earlier end",
        ),
    ] {
        let answer = judged(&marks, &none);
        let text = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.outcome.name(), "refuse", "{marks}");
        assert!(text.contains(why), "{why} in {text}");
    }
}

#[test]
fn the_requests_own_object_counts_where_a_person_wrote_it_and_not_where_helm_did() {
    let marks = allowing("stored-version-dropped", "CHG-1", SOON);
    let by = |user, field_manager| {
        let review = Review {
            user,
            field_manager,
            ..dropped(&json!({}), &marks)
        };
        review.answer(&Facts::default()).outcome.name()
    };
    assert_eq!(by("jane", "kubectl"), "allow");
    assert_eq!(
        by(
            "system:serviceaccount:flux-system:kustomize-controller",
            "kustomize-controller"
        ),
        "allow"
    );
    assert_eq!(by("jane", "helm"), "refuse");
    assert_eq!(
        by(
            "system:serviceaccount:flux-system:helm-controller",
            "whatever"
        ),
        "refuse"
    );
    let mut managed = dropped(&json!({}), &marks);
    managed.object["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm"});
    assert_eq!(
        managed.answer(&Facts::default()).outcome.name(),
        "refuse",
        "another program that is built with Helm"
    );
}

#[test]
fn the_policy_names_rule_and_object_until_its_time_is_over() {
    let by = |rule: &str, object: &str| {
        let text = format!(
            "overrides: [{{rule: {rule}, object: {object}, reason: CHG-1, until: '{SOON}'}}]"
        );
        policy_file::read(&text, now()).unwrap()
    };
    let review = dropped(&json!({}), &json!({})).bytes();
    let judged =
        |policy: &Policy, at: &str| answer(&review, &Facts::default(), policy, at.parse().unwrap());
    let allowed = |policy: &Policy| judged(policy, &now().to_string()).outcome.name() == "allow";
    let meant = by(
        "stored-version-dropped",
        "CustomResourceDefinition/things.example.org",
    );
    assert!(allowed(&meant));
    assert!(!allowed(&by(
        "foreign-owner",
        "CustomResourceDefinition/things.example.org"
    )));
    assert!(!allowed(&by(
        "stored-version-dropped",
        "CustomResourceDefinition/others.example.org"
    )));
    assert!(!allowed(&by(
        "stored-version-dropped",
        "Thing/things.example.org"
    )));
    assert_eq!(judged(&meant, SOON).outcome.name(), "refuse");
}

#[test]
fn what_is_overridden_is_still_found_and_says_by_whom() {
    let answer = judged(
        &allowing("stored-version-dropped", "CHG-1", SOON),
        &json!({}),
    );
    let finding = answer.verdict.findings.first().unwrap();
    assert_eq!(finding.outcome().name(), "overridden");
    let excused = finding.excused.as_ref().unwrap();
    assert_eq!(
        (excused.reason.as_str(), excused.by.as_str()),
        ("CHG-1", "CustomResourceDefinition things.example.org")
    );
    let audit: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        audit["response"]["auditAnnotations"],
        json!({"decision": "allow", "rule": "stored-version-dropped"})
    );
}
