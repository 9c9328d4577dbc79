//! What is registered: everything that a rule would find is sent, strangers are told apart, and the
//! twin refuses what the webhook refuses.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::collections::BTreeSet;

use fluxkeep::admission::Outcome;
use fluxkeep::facts::Facts;
use fluxkeep::finding::Level;
use fluxkeep::policy::Policy;
use fluxkeep::request::Door;
use fluxkeep::rules::RULES;
use fluxkeep::verdict::Decision;
use fluxkeep_cluster::BUILT_IN;
use fluxkeep_tests::apiserver::{Apiserver, namespace};
use fluxkeep_tests::deletes::{Deletion, deletions};
use fluxkeep_tests::fixture::{Fixture, objects, root};
use fluxkeep_tests::{Review, definition, now, record, redefined, stored};
use fluxkeep_webhook::registration::{Address, GATES, Registration};
use serde_json::{Value, json};

fn registration() -> Registration {
    let address = Address::Url("https://fluxkeep.example.org".to_owned());
    Registration { address, authority: None, release: Some("fluxkeep".to_owned()) }
}

fn apiserver(policy: &Policy) -> Apiserver {
    Apiserver::with(registration().manifests(policy))
}

fn facts() -> Facts {
    Facts::of(objects(BUILT_IN, None))
}

fn decision(body: &[u8], facts: &Facts) -> Decision {
    match fluxkeep::admission::answer(body, facts, &Policy::default(), now()).outcome {
        Outcome::Judged(decision) => decision,
        Outcome::Unread(why) => panic!("{why}"),
    }
}

fn bare(name: &str) -> Value {
    namespace(name, &json!({}))
}

#[test]
fn every_rule_of_an_admission_door_has_a_gate() {
    let at_doors = RULES.into_iter().filter(|rule| rule.doors.iter().any(|door| Door::ADMISSION.contains(door)));
    let asked: BTreeSet<_> = GATES.iter().flat_map(|gate| gate.rules().map(|rule| rule.id)).collect();
    assert_eq!(at_doors.map(|rule| rule.id).collect::<BTreeSet<_>>(), asked);
}

#[test]
fn whatever_a_rule_finds_in_a_fixture_is_sent_and_to_one_webhook_only() {
    let apiserver = apiserver(&Policy::default());
    let mut sent = 0;
    for folder in folders() {
        let fixture = Fixture::read(&folder);
        let asked = apiserver.asks(&fixture.body());
        let found = fixture.answer().verdict.findings.len();
        assert!(found == 0 || asked.len() == 1, "{}: {found} found, sent to {asked:?}", folder.display());
        assert!(asked.len() <= 1, "{}: sent to {asked:?}", folder.display());
        sent += found.min(1);
    }
    assert!(sent >= 18, "only {sent} fixtures have findings");
}

fn folders() -> Vec<std::path::PathBuf> {
    let read = |folder: &std::path::Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    read(&root()).flat_map(|rule| read(&rule).collect::<Vec<_>>()).collect()
}

#[test]
fn a_deletion_is_refused_by_the_judge_and_by_the_twin_or_by_none() {
    let (facts, apiserver) = (facts(), apiserver(&Policy::default()));
    for deletion in deletions() {
        let (body, object) = (deletion.body(), &deletion.object);
        let asked = apiserver.asks(&body);
        let twin = apiserver.refuses(&body, &bare("flux-system"));
        assert_eq!(decision(&body, &facts) == Decision::Refuse, deletion.refused, "the judge on {object}");
        assert_eq!(asked == ["engine-deleted.engine.fluxkeep.io"], deletion.refused, "{object} is sent to {asked:?}");
        assert_eq!(twin.len(), usize::from(deletion.refused), "the twin on {object}");
    }
}

#[test]
fn what_only_warns_is_sent_and_fails_open() {
    let (facts, apiserver) = (facts(), apiserver(&Policy::default()));
    let bodies: Vec<_> = deletions().iter().map(Deletion::body).collect();
    let warned: Vec<_> = bodies.iter().filter(|body| decision(body, &facts) == Decision::Warn).collect();
    assert_eq!(warned.len(), 3);
    for body in warned {
        assert_eq!(apiserver.asks(body), ["engine-deleted.others.fluxkeep.io"]);
    }
}

#[test]
fn the_twins_message_begins_as_the_judges_and_names_the_way_out() {
    let deletion = deletions().remove(0);
    let apiserver = apiserver(&Policy::default());
    let message = apiserver.refuses(&deletion.body(), &bare("flux-system")).remove(0);
    let answer = fluxkeep::admission::answer(&deletion.body(), &facts(), &Policy::default(), now());
    let judge = answer.verdict.findings[0].to_string();
    let start = "engine-deleted: Namespace flux-system: jane deletes a part of Flux";
    assert!(message.starts_with(start) && judge.starts_with(start), "{message}\n{judge}");
    let way = "kubectl annotate namespace flux-system fluxkeep.io/allow=engine-deleted fluxkeep.io/reason='…'";
    assert!(message.contains(way) && judge.contains(way), "{message}\n{judge}");
}

/// The time at which an override has ended is all that the twin cannot see.
#[test]
fn an_override_counts_for_the_twin_as_for_the_judge_but_for_its_end() {
    let deletion = deletions().into_iter().find(|one| one.resource == "deployments" && one.refused).unwrap();
    let apiserver = apiserver(&Policy::default());
    let day = "2026-11-25T12:00:00Z";
    let cases = [
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
        (json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/until": day}), true, true),
        (json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "x"}), true, true),
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
    ];
    for (annotations, judge, twin) in cases {
        let home = namespace("flux-system", &annotations);
        let facts = Facts::of(objects(&format!("{BUILT_IN}\n---\n{home}"), None));
        assert_eq!(decision(&deletion.body(), &facts) == Decision::Refuse, judge, "the judge: {annotations}");
        assert_eq!(!apiserver.refuses(&deletion.body(), &home).is_empty(), twin, "the twin: {annotations}");
        let mut own = deletion.clone();
        own.object["metadata"]["annotations"] = annotations.clone();
        assert_eq!(!apiserver.refuses(&own.body(), &bare("flux-system")).is_empty(), twin, "on itself: {annotations}");
    }
}

#[test]
fn suspending_a_release_asks_nobody_unless_it_becomes_another_one_on_the_way() {
    let apiserver = apiserver(&Policy::default());
    let release = |more: &Value| {
        let chart = json!({"spec": {"chart": "flux2", "version": "2.13.0"}});
        let mut spec = json!({"chart": chart, "targetNamespace": "flux-system"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": "flux", "namespace": "flux-system"}, "spec": spec})
    };
    let asked = |old: Value, new: &Value| {
        let operation = if old.is_null() { "CREATE" } else { "UPDATE" };
        let kind = "helm.toolkit.fluxcd.io/v2/HelmRelease";
        let review =
            Review { kind, resource: "helmreleases", operation, object: release(new), old, ..Review::default() };
        apiserver.asks(&review.bytes()).len()
    };
    let old = || release(&json!({}));
    assert_eq!(asked(Value::Null, &json!({"suspend": true})), 0);
    assert_eq!(asked(old(), &json!({"suspend": true})), 0);
    assert_eq!(asked(old(), &json!({"suspend": true, "chart": {"spec": {"chart": "flux2", "version": "2.14.1"}}})), 0);
    for other in [
        json!({"suspend": true, "releaseName": "other"}),
        json!({"suspend": true, "targetNamespace": "other"}),
        json!({"suspend": true, "storageNamespace": "other"}),
        json!({"suspend": true, "chart": {"spec": {"chart": "other"}}}),
        json!({"suspend": true, "chart": null, "chartRef": {"kind": "OCIRepository", "name": "other"}}),
    ] {
        assert_eq!(asked(old(), &other), 1, "{other}");
    }
    assert_eq!(asked(release(&json!({"suspend": true})), &json!({})), 1, "resuming is judged");
}

/// An update of an object of the engine: who writes it, what it was and becomes; what the judge says,
/// and whether the twin refuses it.
#[test]
fn taking_the_engines_marks_off_is_refused_by_the_judge_and_by_the_twin_unless_helm_does_it() {
    let (facts, apiserver) = (facts(), apiserver(&Policy::default()));
    let (label, hook) =
        (json!({"labels": {"app.kubernetes.io/part-of": "flux"}}), json!({"annotations": {"helm.sh/hook": "x"}}));
    let other = json!({"labels": {"app.kubernetes.io/part-of": "shop"}});
    let cases = [
        ("Deployment", "kubectl", &label, &json!({}), Decision::Refuse),
        ("Deployment", "kubectl", &label, &other, Decision::Refuse),
        ("Deployment", "helm", &label, &json!({}), Decision::Warn),
        ("Deployment", "kubectl", &label, &label, Decision::Allow),
        ("Deployment", "kubectl", &json!({}), &hook, Decision::Refuse),
        ("Deployment", "kubectl", &hook, &json!({}), Decision::Allow),
        ("NetworkPolicy", "kubectl", &label, &json!({}), Decision::Refuse),
        ("ClusterRole", "kubectl", &label, &json!({}), Decision::Allow),
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
        assert_eq!(twin.len(), usize::from(decided == Decision::Refuse), "{told}: {twin:?}");
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
    Review { kind: &kind, resource, operation: "UPDATE", user: "jane", field_manager, object, old, ..Review::default() }
        .bytes()
}

/// Each review is sent to this webhook, or to none.
fn are_sent_to(cases: &[(&str, Review<'_>, &str)]) {
    let apiserver = apiserver(&Policy::default());
    for (told, review, webhook) in cases {
        let asked = apiserver.asks(&review.bytes());
        let expected = Some(format!("{webhook}.fluxkeep.io")).filter(|_| !webhook.is_empty());
        assert_eq!(asked, expected.into_iter().collect::<Vec<_>>(), "{told}");
    }
}

fn crd(name: &str, was: &[(&str, bool, bool)], is: &[(&str, bool, bool)]) -> Review<'static> {
    let named = |versions| {
        let mut object = definition(versions, &["v1"]);
        object["metadata"]["name"] = json!(name);
        object
    };
    redefined(named(was), named(is))
}

const ONE: [(&str, bool, bool); 1] = [("v1", true, true)];
const TWO: [(&str, bool, bool); 2] = [("v1", true, true), ("v2", true, false)];
const FLUX: &str = "things.toolkit.fluxcd.io";
const THING: &str = "things.example.org";

#[test]
fn a_changed_definition_is_asked_about_and_a_strangers_fails_open() {
    are_sent_to(&[
        ("Flux's", crd(FLUX, &ONE, &TWO), "crd.engine"),
        ("a stranger's", crd(THING, &ONE, &TWO), "crd.others"),
        ("an unchanged one", crd(FLUX, &ONE, &ONE), ""),
        ("a new one", Review { operation: "CREATE", old: Value::Null, ..crd(FLUX, &ONE, &ONE) }, ""),
    ]);
}

#[test]
fn stored_versions_are_asked_about_when_somebody_else_than_the_apiserver_changes_them() {
    let status = |name: &str, user: &'static str, stored: Value| {
        let mut review = Review { sub_resource: "status", user, ..crd(name, &ONE, &ONE) };
        review.object["status"]["storedVersions"] = stored;
        review
    };
    are_sent_to(&[
        ("the same list", status(FLUX, "jane", json!(["v1"])), ""),
        ("another list", status(FLUX, "jane", json!(["v2"])), "crd-status.engine"),
        ("a stranger's", status(THING, "jane", json!(["v2"])), "crd-status.others"),
        ("no list", status(THING, "jane", Value::Null), "crd-status.others"),
        ("the apiserver's own write", status(FLUX, "system:apiserver", json!(["v2"])), ""),
    ]);
}

fn release(name: &str, namespace: &str, spec: &Value) -> Review<'static> {
    let metadata = json!({"name": name, "namespace": namespace});
    let kind = "helm.toolkit.fluxcd.io/v2/HelmRelease";
    let object =
        json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": metadata, "spec": spec});
    Review { kind, resource: "helmreleases", object, ..Review::default() }
}

#[test]
fn releases_of_the_engines_namespaces_fail_closed_and_fluxkeeps_own_never_does() {
    let beside = |name, spec: Value| release(name, "flux-system", &spec);
    are_sent_to(&[
        ("beside the engine", beside("a", json!({})), "helm-release.engine"),
        ("into the engine", release("a", "a", &json!({"targetNamespace": "flux-system"})), "helm-release.engine"),
        ("elsewhere", release("a", "a", &json!({"targetNamespace": "b"})), "helm-release.others"),
        ("fluxkeep's own", beside("fluxkeep", json!({})), "helm-release.others"),
        ("fluxkeep's own by its release", beside("a", json!({"releaseName": "fluxkeep"})), "helm-release.others"),
        ("suspended", beside("a", json!({"suspend": true})), ""),
    ]);
}

#[test]
fn a_release_is_asked_about_when_its_spec_changes_and_when_it_is_deleted() {
    let changed = |is: &Value, was: &Value| {
        let review = release("a", "flux-system", is);
        let old = release("a", "flux-system", was).object;
        Review { operation: "UPDATE", old, ..review }
    };
    let deleted =
        |review: Review<'static>| Review { operation: "DELETE", old: review.object, object: Value::Null, ..review };
    are_sent_to(&[
        ("another spec", changed(&json!({"interval": "1h"}), &json!({"interval": "2h"})), "helm-release.engine"),
        ("the same spec", changed(&json!({"interval": "1h"}), &json!({"interval": "1h"})), ""),
        ("deleted", deleted(release("a", "flux-system", &json!({}))), "engine-deleted.engine"),
        ("deleted elsewhere", deleted(release("a", "a", &json!({}))), "engine-deleted.others"),
        ("deleted while suspended", deleted(release("a", "flux-system", &json!({"suspend": true}))), ""),
    ]);
}

#[test]
fn of_secrets_only_release_records_are_asked_about() {
    let named = |name: &str, namespace: &str| {
        let mut secret = record("", &[]);
        secret["metadata"]["name"] = json!(name);
        secret["metadata"]["namespace"] = json!(namespace);
        stored(secret)
    };
    let unnamed = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"generateName": "a-", "namespace": "a"}});
    are_sent_to(&[
        ("beside the engine", named("sh.helm.release.v1.flux.v1", "flux-system"), "release-record.engine"),
        ("elsewhere", named("sh.helm.release.v1.shop.v1", "shop"), "release-record.others"),
        ("fluxkeep's own", named("sh.helm.release.v1.fluxkeep.v12", "flux-system"), "release-record.others"),
        ("no record", named("token", "flux-system"), ""),
        ("without a name", stored(unnamed), ""),
        ("updated", Review { operation: "UPDATE", ..named("sh.helm.release.v1.flux.v1", "flux-system") }, ""),
    ]);
}

#[test]
fn a_rule_that_the_policy_turns_off_is_not_asked_for_and_one_that_warns_refuses_nothing_by_the_twin() {
    let deletion = deletions().into_iter().find(|one| one.refused).unwrap();
    let with = |level| Policy { levels: [("engine-deleted", level)].into(), ..Policy::default() };
    let off = apiserver(&with(Level::Off));
    assert!(off.asks(&deletion.body()).is_empty() && off.refuses(&deletion.body(), &bare("flux-system")).is_empty());
    let actions = |level| {
        let manifests = registration().manifests(&with(level));
        let binding = manifests.into_iter().find(|one| one.reference.name == "engine-deleted.flux-system.fluxkeep.io");
        binding.map(|binding| binding.body["spec"]["validationActions"].clone())
    };
    assert_eq!(actions(Level::Enforce), Some(json!(["Deny", "Audit"])));
    assert_eq!(actions(Level::Warn), Some(json!(["Warn", "Audit"])));
    assert_eq!(actions(Level::Audit), Some(json!(["Audit"])));
    assert_eq!(actions(Level::Off), None);
}
