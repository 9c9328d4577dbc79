//! What the judge, the webhook and the twin refuse alike.

use fluxkeep::facts::Facts;
use fluxkeep::finding::Level;
use fluxkeep::policy::Policy;
use fluxkeep::verdict::Decision;
use fluxkeep_cluster::BUILT_IN;
use fluxkeep_tests::apiserver::namespace;
use fluxkeep_tests::deletes::{Deletion, deletions};
use fluxkeep_tests::fixture::objects;
use fluxkeep_tests::{Review, now};
use serde_json::{Value, json};

use crate::{apiserver, decision, facts, registration};

fn bare(name: &str) -> Value {
    namespace(name, &json!({}))
}

#[test]
fn a_deletion_is_refused_by_the_judge_and_by_the_twin_or_by_none() {
    let (facts, apiserver) = (facts(), apiserver(&Policy::default()));
    for deletion in deletions() {
        let (body, object) = (deletion.body(), &deletion.object);
        let asked = apiserver.asks(&body);
        let twin = apiserver.refuses(&body, &bare("flux-system"));
        assert_eq!(
            decision(&body, &facts) == Decision::Refuse,
            deletion.refused,
            "the judge on {object}"
        );
        assert_eq!(
            asked == ["engine-deleted.engine.fluxkeep.io"],
            deletion.refused,
            "{object} is sent to {asked:?}"
        );
        assert_eq!(
            twin.len(),
            usize::from(deletion.refused),
            "the twin on {object}"
        );
    }
}

#[test]
fn what_only_warns_is_sent_and_fails_open() {
    let (facts, apiserver) = (facts(), apiserver(&Policy::default()));
    let bodies: Vec<_> = deletions().iter().map(Deletion::body).collect();
    let warned: Vec<_> = bodies
        .iter()
        .filter(|body| decision(body, &facts) == Decision::Warn)
        .collect();
    assert_eq!(warned.len(), 3);
    for body in warned {
        assert_eq!(apiserver.asks(body), ["engine-deleted.others.fluxkeep.io"]);
    }
}

#[test]
fn the_twins_message_begins_as_the_judges_and_names_the_way_out() {
    let deletion = deletions().remove(0);
    let apiserver = apiserver(&Policy::default());
    let message = apiserver
        .refuses(&deletion.body(), &bare("flux-system"))
        .remove(0);
    let answer = fluxkeep::admission::answer(&deletion.body(), &facts(), &Policy::default(), now());
    let judge = answer.verdict.findings[0].to_string();
    let start = "engine-deleted: Namespace flux-system: jane deletes a part of Flux";
    assert!(
        message.starts_with(start) && judge.starts_with(start),
        "{message}\n{judge}"
    );
    let way = "kubectl annotate namespace flux-system fluxkeep.io/allow=engine-deleted fluxkeep.io/reason='…'";
    assert!(
        message.contains(way) && judge.contains(way),
        "{message}\n{judge}"
    );
}

/// Annotations of an override, whether the judge refuses beside them, and whether the twin does.
fn noted() -> [(Value, bool, bool); 9] {
    let day = "2026-11-25T12:00:00Z";
    [
        (json!({}), true, true),
        (
            json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "x", "fluxkeep.io/until": day}),
            false,
            false,
        ),
        (
            json!({"fluxkeep.io/allow": "a, engine-deleted ", "fluxkeep.io/reason": "x", "fluxkeep.io/until": day}),
            false,
            false,
        ),
        (
            json!({"fluxkeep.io/allow": "foreign-owner", "fluxkeep.io/reason": "x", "fluxkeep.io/until": day}),
            true,
            true,
        ),
        (
            json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": " ", "fluxkeep.io/until": day}),
            true,
            true,
        ),
        (
            json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/until": day}),
            true,
            true,
        ),
        (
            json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "x"}),
            true,
            true,
        ),
        (
            json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "x", "fluxkeep.io/until": "soon"}),
            true,
            true,
        ),
        (
            json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "x", "fluxkeep.io/until": "2026-11-01T12:00:00Z"}),
            true,
            false,
        ),
    ]
}

/// The time at which an override has ended is all that the twin cannot see.
#[test]
fn an_override_counts_for_the_twin_as_for_the_judge_but_for_its_end() {
    let deletion = deletions()
        .into_iter()
        .find(|one| one.resource == "deployments" && one.refused)
        .unwrap();
    let apiserver = apiserver(&Policy::default());
    for (annotations, judge, twin) in noted() {
        let home = namespace("flux-system", &annotations);
        let facts = Facts::of(objects(&format!("{BUILT_IN}\n---\n{home}"), None));
        assert_eq!(
            decision(&deletion.body(), &facts) == Decision::Refuse,
            judge,
            "the judge: {annotations}"
        );
        assert_eq!(
            !apiserver.refuses(&deletion.body(), &home).is_empty(),
            twin,
            "the twin: {annotations}"
        );
        let mut own = deletion.clone();
        own.object["metadata"]["annotations"] = annotations.clone();
        assert_eq!(
            !apiserver
                .refuses(&own.body(), &bare("flux-system"))
                .is_empty(),
            twin,
            "on itself: {annotations}"
        );
    }
}

/// An update of an object of the engine: who writes it, what it was and becomes; what the judge says,
/// and whether the twin refuses it.
#[test]
fn taking_the_engines_marks_off_is_refused_by_the_judge_and_by_the_twin_unless_helm_does_it() {
    let (facts, apiserver) = (facts(), apiserver(&Policy::default()));
    let (label, hook) = (
        json!({"labels": {"app.kubernetes.io/part-of": "flux"}}),
        json!({"annotations": {"helm.sh/hook": "x"}}),
    );
    let other = json!({"labels": {"app.kubernetes.io/part-of": "shop"}});
    let cases = [
        (
            "Deployment",
            "kubectl",
            &label,
            &json!({}),
            Decision::Refuse,
        ),
        ("Deployment", "kubectl", &label, &other, Decision::Refuse),
        ("Deployment", "helm", &label, &json!({}), Decision::Warn),
        ("Deployment", "kubectl", &label, &label, Decision::Allow),
        ("Deployment", "kubectl", &json!({}), &hook, Decision::Refuse),
        ("Deployment", "kubectl", &hook, &json!({}), Decision::Allow),
        (
            "NetworkPolicy",
            "kubectl",
            &label,
            &json!({}),
            Decision::Refuse,
        ),
        (
            "ClusterRole",
            "kubectl",
            &label,
            &json!({}),
            Decision::Allow,
        ),
        ("ClusterRole", "kubectl", &label, &hook, Decision::Refuse),
    ];
    for (kind, manager, old, new, decided) in cases {
        let body = updated(kind, manager, old, new);
        let asked: &[&str] = match decided {
            Decision::Allow => &[],
            Decision::Warn => &["engine-label-removed.others.fluxkeep.io"],
            Decision::Refuse => &["engine-label-removed.engine.fluxkeep.io"],
        };
        let told = format!("{kind} by {manager}: {old} becomes {new}");
        assert_eq!(decision(&body, &facts), decided, "{told}");
        assert_eq!(apiserver.asks(&body), asked, "{told}");
        let twin = apiserver.refuses(&body, &bare("flux-system"));
        assert_eq!(
            twin.len(),
            usize::from(decided == Decision::Refuse),
            "{told}: {twin:?}"
        );
    }
}

fn updated(kind: &str, field_manager: &str, old: &Value, new: &Value) -> Vec<u8> {
    let (api, resource, name) = match kind {
        "Deployment" => ("apps/v1", "deployments", "source-controller"),
        "NetworkPolicy" => ("networking.k8s.io/v1", "networkpolicies", "allow-egress"),
        _ => ("rbac.authorization.k8s.io/v1", "clusterroles", "flux-edit"),
    };
    let object = |marks: &Value| {
        let mut metadata = marks.clone();
        metadata["name"] = json!(name);
        if kind != "ClusterRole" {
            metadata["namespace"] = json!("flux-system");
        }
        json!({"apiVersion": api, "kind": kind, "metadata": metadata})
    };
    let kind = format!("{api}/{kind}");
    let (object, old) = (object(new), object(old));
    Review {
        kind: &kind,
        resource,
        operation: "UPDATE",
        user: "jane",
        field_manager,
        object,
        old,
        ..Review::default()
    }
    .bytes()
}

#[test]
fn a_rule_that_the_policy_turns_off_is_not_asked_for_and_one_that_warns_refuses_nothing_by_the_twin()
 {
    let deletion = deletions().into_iter().find(|one| one.refused).unwrap();
    let with = |level| Policy {
        levels: [("engine-deleted", level)].into(),
        ..Policy::default()
    };
    let off = apiserver(&with(Level::Off));
    assert!(
        off.asks(&deletion.body()).is_empty()
            && off
                .refuses(&deletion.body(), &bare("flux-system"))
                .is_empty()
    );
    let actions = |level| {
        let manifests = registration().manifests(&with(level));
        let binding = manifests
            .into_iter()
            .find(|one| one.reference.name == "engine-deleted.flux-system.fluxkeep.io");
        binding.map(|binding| binding.body["spec"]["validationActions"].clone())
    };
    assert_eq!(actions(Level::Enforce), Some(json!(["Deny", "Audit"])));
    assert_eq!(actions(Level::Warn), Some(json!(["Warn", "Audit"])));
    assert_eq!(actions(Level::Audit), Some(json!(["Audit"])));
    assert_eq!(actions(Level::Off), None);
}
