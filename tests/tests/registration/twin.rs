//! The agreement of the judge, the webhook and the twin.

use fluxkeep::case::facts::Facts;
use fluxkeep::case::finding::{Level, Outcome};
use fluxkeep::case::policy::{OverrideEntry, Policy};
use fluxkeep::case::request::Door;
use fluxkeep::case::verdict::Decision;
use fluxkeep::object::{ALLOW, REASON, UNTIL};
use fluxkeep_cluster::BUILT_IN;
use fluxkeep_tests::apiserver::namespace;
use fluxkeep_tests::deletes::{Deletion, deletions};
use fluxkeep_tests::fixture::{Fixture, objects};
use fluxkeep_tests::{Review, now, redefined};
use fluxkeep_webhook::registration::KnownReleases;
use serde_json::{Value, json};

use crate::{apiserver, apiserver_knowing, decision, facts, folders, registration};

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
    assert_eq!(warned.len(), 12);
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
    let way = "kubectl annotate --overwrite namespace flux-system fluxkeep.io/allow=engine-deleted fluxkeep.io/reason='removed on purpose'";
    assert!(
        message.contains(way) && judge.contains(way),
        "{message}\n{judge}"
    );
}

/// Annotations of an override, and whether the deletion is still refused.
fn noted() -> [(Value, bool); 12] {
    let day = "2026-11-25T12:00:00Z";
    [
        (json!({}), true),
        (
            json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "x", "fluxkeep.io/until": day}),
            false,
        ),
        (
            json!({"fluxkeep.io/allow": "a, engine-deleted ", "fluxkeep.io/reason": "x", "fluxkeep.io/until": day}),
            false,
        ),
        (
            json!({"fluxkeep.io/allow": "foreign-owner", "fluxkeep.io/reason": "x", "fluxkeep.io/until": day}),
            true,
        ),
        (
            json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": " ", "fluxkeep.io/until": day}),
            true,
        ),
        (
            json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/until": day}),
            true,
        ),
        (
            json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "x"}),
            true,
        ),
        (
            json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "x", "fluxkeep.io/until": "soon"}),
            true,
        ),
        (
            json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "x", "fluxkeep.io/until": "2026-11-25t12:00:00z"}),
            true,
        ),
        (
            json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "x", "fluxkeep.io/until": "2026-11-25 12:00:00Z"}),
            true,
        ),
        (
            json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "x", "fluxkeep.io/until": "2026-11-01T12:00:00Z"}),
            true,
        ),
        (
            json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "x", "fluxkeep.io/until": "2026-11-24T11:59:59Z"}),
            true,
        ),
    ]
}

/// The server writes the time before which overrides are void into the twin.
#[test]
fn an_override_counts_for_the_twin_as_for_the_judge_its_end_included() {
    let deletion = deletions()
        .into_iter()
        .find(|one| one.resource == "deployments" && one.refused)
        .unwrap();
    for (annotations, refused) in noted() {
        let home = namespace("flux-system", &annotations);
        let facts = Facts::of(objects(&format!("{BUILT_IN}\n---\n{home}"), None));
        let known = KnownReleases::of(&facts, &Policy::default().engine, now());
        let apiserver = apiserver_knowing(&Policy::default(), &known);
        assert_eq!(
            decision(&deletion.body(), &facts) == Decision::Refuse,
            refused,
            "the judge: {annotations}"
        );
        assert_eq!(
            !apiserver.refuses(&deletion.body(), &home).is_empty(),
            refused,
            "the twin: {annotations}"
        );
        let mut own = deletion.clone();
        own.object["metadata"]["annotations"] = annotations.clone();
        assert_eq!(
            !apiserver
                .refuses(&own.body(), &bare("flux-system"))
                .is_empty(),
            refused,
            "on itself: {annotations}"
        );
    }
}

const PART_OF: &str = "app.kubernetes.io/part-of";

/// Objects of the engine, some of which only their label identifies.
const KNOWN: [(&str, &str, &str); 6] = [
    ("apps/v1/Deployment", "deployments", "source-controller"),
    ("apps/v1/Deployment", "deployments", "renamed"),
    (
        "networking.k8s.io/v1/NetworkPolicy",
        "networkpolicies",
        "allow-egress",
    ),
    ("rbac.authorization.k8s.io/v1/Role", "roles", "leases"),
    (
        "rbac.authorization.k8s.io/v1/ClusterRole",
        "clusterroles",
        "flux-edit",
    ),
    (
        "rbac.authorization.k8s.io/v1/ClusterRole",
        "clusterroles",
        "anything",
    ),
];

/// Marks of an object: none, the engine's label, another label, a hook's annotation, both.
fn marks() -> [Value; 5] {
    [
        json!({}),
        json!({"labels": {PART_OF: "flux"}}),
        json!({"labels": {PART_OF: "shop"}}),
        json!({"annotations": {"helm.sh/hook": "x"}}),
        json!({"labels": {PART_OF: "flux"}, "annotations": {"helm.sh/hook": "x"}}),
    ]
}

/// Changes of marks, by hand and by Helm, warn at most. Warnings go to the webhook that fails open.
/// Nothing is stricter about a label than about the deletion of its object.
#[test]
fn judge_webhook_and_twin_agree_on_every_change_of_the_engines_marks() {
    let (facts, apiserver) = (facts(), apiserver(&Policy::default()));
    let mut warned = 0;
    for (kind, resource, name) in KNOWN {
        for (old, new) in marks()
            .iter()
            .flat_map(|old| marks().map(|new| (old.clone(), new)))
        {
            for manager in ["kubectl", "helm"] {
                let body = updated(kind, resource, name, manager, &old, &new);
                let told = format!("{kind} {name} by {manager}: {old} becomes {new}");
                let decided = decision(&body, &facts);
                assert_ne!(decided, Decision::Refuse, "{told}");
                let is_warned = decided == Decision::Warn;
                let asked: &[&str] = if is_warned {
                    &["engine-label-removed.others.fluxkeep.io"]
                } else {
                    &[]
                };
                assert_eq!(apiserver.asks(&body), asked, "{told}");
                let twin = apiserver.refuses(&body, &bare("flux-system"));
                assert!(twin.is_empty(), "{told}: {twin:?}");
                warned += usize::from(is_warned);
            }
        }
    }
    assert!(warned > 50, "{warned}");
}

#[test]
fn applying_fluxs_definitions_without_the_label_is_refused_by_nobody() {
    let definition = |labels: Value| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "buckets.source.toolkit.fluxcd.io", "labels": labels},
            "spec": {"group": "source.toolkit.fluxcd.io"}})
    };
    let review = redefined(definition(json!({PART_OF: "flux"})), definition(json!({})));
    let apiserver = apiserver(&Policy::default());
    assert!(
        apiserver
            .refuses(&review.bytes(), &bare("flux-system"))
            .is_empty()
    );
    assert_eq!(decision(&review.bytes(), &facts()), Decision::Allow);
}

/// The fixtures that the judge refuses without facts, by the rule that has a twin.
#[test]
fn the_twin_refuses_of_the_fixtures_of_all_rules_what_the_judge_refuses_by_its_rules() {
    let policy = Policy::default();
    let mut refused = 0;
    for folder in folders() {
        let fixture = Fixture::read(&folder);
        let answer = fixture.answer();
        let known = KnownReleases::of(&fixture.facts, &policy.engine, now());
        let apiserver = apiserver_knowing(&policy, &known);
        let by_twin = apiserver.refuses(&fixture.body(), &home(&fixture));
        let by_judge = answer.verdict.with(Outcome::Refused).filter(|finding| {
            let has_twin = finding.rule == "engine-deleted";
            answer.door() == Some(Door::Engine) && has_twin && finding.object.kind != "HelmRelease"
        });
        assert_eq!(
            by_twin.len(),
            by_judge.count(),
            "{}: {by_twin:?}",
            folder.display()
        );
        refused += by_twin.len();
    }
    assert!(refused >= 1, "{refused}");
}

/// The engine's Namespace in the fixture's facts, with its override annotations.
fn home(fixture: &Fixture) -> Value {
    let mut annotations = json!({});
    for object in fixture.facts.objects() {
        if object.kind == "Namespace" && object.name == "flux-system" {
            for key in [ALLOW, REASON, UNTIL] {
                if let Some(value) = object.annotations.get(key) {
                    annotations[key] = json!(value);
                }
            }
        }
    }
    namespace("flux-system", &annotations)
}

fn updated(
    kind: &str,
    resource: &str,
    name: &str,
    field_manager: &str,
    old: &Value,
    new: &Value,
) -> Vec<u8> {
    let (api, short) = kind.rsplit_once('/').unwrap();
    let object = |marks: &Value| {
        let mut metadata = marks.clone();
        metadata["name"] = json!(name);
        if short != "ClusterRole" {
            metadata["namespace"] = json!("flux-system");
        }
        json!({"apiVersion": api, "kind": short, "metadata": metadata})
    };
    let (object, old) = (object(new), object(old));
    Review {
        kind,
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
        let manifests = registration().manifests(&with(level), &KnownReleases::default());
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

/// The policy file is not in the cluster. docs/registration.md says so, and the override that counts
/// for both is on the object or its Namespace.
#[test]
fn an_override_in_the_policy_file_counts_for_the_judge_and_not_for_the_twin() {
    let deletion = deletions().into_iter().find(|one| one.refused).unwrap();
    let object = &deletion.object;
    let entry = OverrideEntry {
        rule: "engine-deleted",
        object: format!(
            "{}/{}",
            object["kind"].as_str().unwrap(),
            object["metadata"]["name"].as_str().unwrap()
        ),
        reason: "moving".to_owned(),
        until: now() + jiff::SignedDuration::from_hours(1),
    };
    let policy = Policy {
        overrides: vec![entry],
        ..Policy::default()
    };
    let judged = |policy: &Policy| {
        let answer = fluxkeep::admission::answer(&deletion.body(), &facts(), policy, now());
        answer.verdict.with(Outcome::Refused).count()
    };
    assert_eq!((judged(&Policy::default()), judged(&policy)), (1, 0));
    let refused = apiserver(&policy).refuses(&deletion.body(), &bare("flux-system"));
    assert_eq!(refused.len(), 1, "{refused:?}");
}
