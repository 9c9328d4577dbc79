//! The field manager is the client's own word, so little may hang on it.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;

use fluxkeep::admission::answer;
use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep_cluster::BUILT_IN;
use fluxkeep_fixtures::deletes::deletions;
use fluxkeep_fixtures::fixture::{Fixture, asked_rules, objects, root};
use fluxkeep_fixtures::updates::updates;
use fluxkeep_fixtures::{Review, now};
use serde_json::{Value, json};

/// The refused findings of a review whose client calls itself by this name, as rules.
fn refused(body: &[u8], facts: &Facts, manager: &str) -> BTreeSet<&'static str> {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let (head, tail) = text.rsplit_once(r#""fieldManager":""#).unwrap();
    let (_, rest) = tail.split_once('"').unwrap();
    let body = format!(r#"{head}"fieldManager":"{manager}"{rest}"#);
    let verdict = answer(body.as_bytes(), facts, &Policy::default(), now()).verdict;
    let findings = verdict.findings.iter();
    let refused = findings.filter(|one| one.outcome().name() == "refused");
    refused.map(|one| one.rule).collect()
}

#[test]
fn a_write_that_calls_itself_helms_gets_milder_only_where_helm_is_half_way_through_a_release() {
    let mut milder = BTreeSet::new();
    let mut compare = |body: &[u8], facts: &Facts| {
        let by_hand = refused(body, facts, "kubectl");
        let by_helm = refused(body, facts, "helm");
        assert!(by_helm.is_subset(&by_hand), "{by_helm:?}");
        milder.extend(by_hand.difference(&by_helm).copied());
    };
    for rule in asked_rules() {
        let fixture = Fixture::read(&root().join(rule.id).join("flagged"));
        compare(&fixture.body(), &fixture.facts);
    }
    let facts = Facts::of(objects(BUILT_IN, None));
    for update in updates() {
        compare(&update.body(), &facts);
    }
    let binding = |subjects: Value| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "cluster-reconciler"}, "subjects": subjects,
            "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"}})
    };
    let account =
        json!({"kind": "ServiceAccount", "namespace": "flux-system", "name": "source-controller"});
    let unbound = Review {
        kind: "rbac.authorization.k8s.io/v1/ClusterRoleBinding",
        resource: "clusterrolebindings",
        operation: "UPDATE",
        user: "jane",
        object: binding(json!([])),
        old: binding(json!([account])),
        ..Review::default()
    };
    compare(&unbound.bytes(), &facts);
    assert_eq!(milder, ["engine-disabled", "engine-rights-lost"].into());
}

#[test]
fn a_deletion_is_refused_whoever_the_client_calls_itself() {
    let facts = Facts::of(objects(BUILT_IN, None));
    for deletion in deletions() {
        let body = deletion.body();
        let by_hand = refused(&body, &facts, "kubectl");
        assert_eq!(
            refused(&body, &facts, "helm"),
            by_hand,
            "{}",
            deletion.object
        );
        assert_eq!(!by_hand.is_empty(), deletion.refused, "{}", deletion.object);
    }
}
