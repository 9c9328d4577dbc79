//! The mutation of HelmReleases that hold the engine, and the HelmReleases left unchanged.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fluxkeep::admission::{Answer, ReviewOutcome, answer, answer_mutating};
use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::helm::post_renderer::stanza;
use fluxkeep_cluster::BUILT_IN;
use fluxkeep_fixtures::fixture::objects;
use fluxkeep_fixtures::{Review, UID, definition, now, redefined};
use serde_json::{Value, json};

fn policy() -> Policy {
    Policy {
        mutates_helm_releases: true,
        ..Policy::default()
    }
}

/// A HelmRelease whose chart hides its content.
fn release(name: &str, namespace: &str, spec: &Value) -> Value {
    let mut object = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"interval": "10m", "chart": {"spec": {"chart": "umbrella", "version": "1.0.0"}}}});
    object["spec"]
        .as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    object
}

/// The HelmRelease of Helm release `flux-system/flux`.
fn flux() -> Value {
    release(
        "flux",
        "flux-system",
        &json!({"releaseName": "flux", "targetNamespace": "flux-system"}),
    )
}

fn review(old: Value, new: Value) -> Review<'static> {
    let operation = if old.is_null() { "CREATE" } else { "UPDATE" };
    let kind = "helm.toolkit.fluxcd.io/v2/HelmRelease";
    Review {
        kind,
        resource: "helmreleases",
        operation,
        user: "jane",
        object: new,
        old,
        ..Review::default()
    }
}

fn amended(review: &Review<'_>, facts: &Facts) -> Answer {
    answer_mutating(&review.bytes(), facts, &policy(), now())
}

fn response(answer: &Answer) -> Value {
    let mut review: Value = serde_json::from_slice(&answer.body).unwrap();
    review["response"].take()
}

/// The mutated object at its creation; `None` if it stays unchanged.
fn becomes(object: &Value, facts: &Facts) -> Option<Value> {
    let answer = amended(&review(Value::Null, object.clone()), facts);
    let response = response(&answer);
    assert_eq!(
        (&response["uid"], &response["allowed"]),
        (&json!(UID), &json!(true)),
        "{response}"
    );
    let patch = response["patch"].as_str()?;
    assert_eq!(response["patchType"], "JSONPatch");
    let mut object = object.clone();
    let patch: json_patch::Patch =
        serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
    json_patch::patch(&mut object, &patch).unwrap();
    Some(object)
}

/// A cluster whose Flux has no owner.
fn unowned() -> Facts {
    Facts::of(objects(BUILT_IN, None))
}

/// A part of the engine that Helm release `NAMESPACE/NAME` owns.
fn owned(kind: &str, name: &str, owner: &str) -> Facts {
    let (namespace, owner) = owner.split_once('/').unwrap();
    let api = match kind {
        "Deployment" => "apps/v1",
        "NetworkPolicy" => "networking.k8s.io/v1",
        "CustomResourceDefinition" => "apiextensions.k8s.io/v1",
        _ => "rbac.authorization.k8s.io/v1",
    };
    let mut object = json!({"apiVersion": api, "kind": kind, "metadata": {"name": name,
        "annotations": {"meta.helm.sh/release-name": owner, "meta.helm.sh/release-namespace": namespace}}});
    if ["Deployment", "NetworkPolicy"].contains(&kind) {
        object["metadata"]["namespace"] = json!("flux-system");
    }
    Facts::of(objects(&object.to_string(), None))
}

fn controller_of(owner: &str) -> Facts {
    owned("Deployment", "helm-controller", owner)
}

#[test]
fn a_release_that_owns_what_flux_cannot_run_without_holds_it_wherever_its_helm_release_stands() {
    let target = json!({"releaseName": "flux", "targetNamespace": "flux-system"});
    let crd = "helmreleases.helm.toolkit.fluxcd.io";
    for (object, facts) in [
        (flux(), controller_of("flux-system/flux")),
        (
            flux(),
            owned("CustomResourceDefinition", crd, "flux-system/flux"),
        ),
        (
            flux(),
            owned(
                "ClusterRoleBinding",
                "cluster-reconciler",
                "flux-system/flux",
            ),
        ),
        (
            release("flux", "platform", &target),
            controller_of("flux-system/flux"),
        ),
        (
            release("flux", "flux-system", &json!({})),
            controller_of("flux-system/flux"),
        ),
        (
            release("flux", "a", &json!({"targetNamespace": "b"})),
            controller_of("b/b-flux"),
        ),
        (
            release("platform", "platform", &json!({})),
            controller_of("platform/platform"),
        ),
        (
            release("flux", "flux-system", &json!({"suspend": true})),
            controller_of("flux-system/flux"),
        ),
    ] {
        let after = becomes(&object, &facts).unwrap();
        assert_eq!(
            after["spec"]["postRenderers"],
            json!([stanza()]),
            "{object}"
        );
    }
}

#[test]
fn a_release_that_owns_something_else_is_left_as_it_is() {
    let remote = json!({"releaseName": "flux", "kubeConfig": {"secretRef": {"name": "other"}}});
    for (object, facts) in [
        (flux(), unowned()),
        (flux(), Facts::default()),
        (flux(), controller_of("flux-system/other")),
        (flux(), controller_of("other/flux")),
        (
            release(
                "flux",
                "flux-system",
                &json!({"targetNamespace": "flux-system"}),
            ),
            controller_of("flux-system/flux"),
        ),
        (
            release("flux", "flux-system", &json!({"releaseName": "other"})),
            controller_of("flux-system/flux"),
        ),
        (
            release("flux", "flux-system", &remote),
            controller_of("flux-system/flux"),
        ),
        (
            flux(),
            owned(
                "Deployment",
                "image-reflector-controller",
                "flux-system/flux",
            ),
        ),
        (flux(), owned("Deployment", "podinfo", "flux-system/flux")),
        (
            flux(),
            owned("NetworkPolicy", "allow-egress", "flux-system/flux"),
        ),
        (
            flux(),
            owned("ClusterRole", "flux-view", "flux-system/flux"),
        ),
        (
            flux(),
            owned(
                "CustomResourceDefinition",
                "things.example.org",
                "flux-system/flux",
            ),
        ),
    ] {
        assert_eq!(becomes(&object, &facts), None, "{object}");
    }
}

#[test]
fn before_it_owns_anything_a_release_holds_flux_when_it_says_that_it_brings_it() {
    let chart = |name: &str, version: &str, kind: &str| json!({"chart": {"spec": {"chart": name, "version": version, "sourceRef": {"kind": kind}}}});
    let annotated = |version: &str, spec: &Value| {
        let mut object = release("a", "a", spec);
        object["metadata"]["annotations"] = json!({"fluxkeep.io/flux-version": version});
        object
    };
    let tag = json!({"values": {"flux": {"version": "2.4.0"}}});
    let remote = json!({"kubeConfig": {"secretRef": {"name": "other"}}});
    let cases = [
        (
            true,
            release("a", "a", &chart("flux2", "2.13.0", "HelmRepository")),
        ),
        (
            true,
            release("a", "a", &chart("flux2", "99.0.0", "HelmRepository")),
        ),
        (true, annotated("2.4.0", &json!({}))),
        (true, release("a", "flux-system", &tag)),
        (false, release("a", "a", &tag)),
        (false, annotated("none", &json!({}))),
        (false, annotated("2.4.0", &remote)),
        (
            false,
            release(
                "a",
                "flux-system",
                &chart("flux2-sync", "1.8.2", "HelmRepository"),
            ),
        ),
        (
            false,
            release(
                "a",
                "flux-system",
                &chart("./charts/flux2", "*", "GitRepository"),
            ),
        ),
        (false, release("a", "flux-system", &json!({}))),
    ];
    for (holds, object) in cases {
        assert_eq!(becomes(&object, &unowned()).is_some(), holds, "{object}");
    }
}

#[test]
fn what_is_added_is_added_once_behind_what_is_there() {
    let facts = controller_of("flux-system/flux");
    let own = json!({"kustomize": {"images": [{"name": "a", "newTag": "b"}]}});
    for (had, expected) in [
        (json!([]), json!([stanza()])),
        (json!([own]), json!([own, stanza()])),
    ] {
        let mut object = flux();
        object["spec"]["postRenderers"] = had;
        object["metadata"]["annotations"] = json!({"note": "x"});
        let after = becomes(&object, &facts).unwrap();
        assert_eq!(after["spec"]["postRenderers"], expected);
        let annotations = json!({"note": "x", "fluxkeep.io/added": "spec.postRenderers"});
        assert_eq!(after["metadata"]["annotations"], annotations);
        assert_eq!(becomes(&after, &facts), None, "f(f(x)) = f(x)");
    }
    let mut by_hand = flux();
    let patch = "kind: Any\nmetadata: {name: any, annotations: {helm.sh/resource-policy: keep}}";
    by_hand["spec"]["postRenderers"] =
        json!([{"kustomize": {"patches": [{"target": {"kind": ".*"}, "patch": patch}]}}]);
    assert_eq!(
        becomes(&by_hand, &facts),
        None,
        "written otherwise, and the same"
    );
}

/// kustomize-controller resends its file at each interval, after a dry run.
#[test]
fn what_an_update_takes_away_comes_back_whether_the_spec_changed_or_not_and_in_a_dry_run_too() {
    let facts = controller_of("flux-system/flux");
    let kept = becomes(&flux(), &facts).unwrap();
    for old in [kept, flux()] {
        let review = review(old, flux());
        let answer = amended(&review, &facts);
        assert_eq!(answer.outcome, ReviewOutcome::Amended);
        let dry = String::from_utf8(review.bytes())
            .unwrap()
            .replace("\"dryRun\":false", "\"dryRun\":true");
        assert_eq!(
            answer_mutating(dry.as_bytes(), &facts, &policy(), now()).body,
            answer.body
        );
    }
}

#[test]
fn the_person_is_told_and_the_audit_log() {
    let mut object = flux();
    object["metadata"]["name"] = json!("f".repeat(250));
    for (object, facts) in [
        (flux(), controller_of("flux-system/flux")),
        (object, controller_of("flux-system/flux")),
    ] {
        let answer = amended(&review(Value::Null, object), &facts);
        let response = response(&answer);
        assert_eq!(
            response["auditAnnotations"],
            json!({"decision": "warn", "added": "spec.postRenderers"})
        );
        let warning = response["warnings"][0].as_str().unwrap();
        assert!(
            warning.starts_with("HelmRelease flux-system/f") && warning.chars().count() <= 120,
            "{warning}"
        );
        assert_eq!(answer.outcome.name(), "warn");
    }
    let short = response(&amended(
        &review(Value::Null, flux()),
        &controller_of("flux-system/flux"),
    ));
    let told = "HelmRelease flux-system/flux: fluxkeep added spec.postRenderers: an uninstall of the release keeps its objects";
    assert_eq!(short["warnings"], json!([told]));
}

#[test]
fn a_patch_that_would_not_apply_is_refused_with_the_object_and_nothing_of_its_content() {
    let facts = controller_of("flux-system/flux");
    let mut object = flux();
    object["spec"]["postRenderers"] = json!("hunter2");
    let answer = amended(&review(Value::Null, object), &facts);
    let response = response(&answer);
    assert_eq!(
        (answer.outcome.name(), &response["allowed"]),
        ("refuse", &json!(false))
    );
    assert!(response.get("patch").is_none(), "{response}");
    let message = response["status"]["message"].as_str().unwrap();
    let told =
        "review-unreadable: HelmRelease flux-system/flux: fluxkeep cannot add spec.postRenderers: ";
    assert!(
        message.contains(told) && message.contains("write it as a list, in a spec that is a map"),
        "{message}"
    );
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn what_cannot_be_read_is_refused_as_everywhere() {
    let facts = controller_of("flux-system/flux");
    let whole = review(Value::Null, flux()).bytes();
    let cut = answer_mutating(&whole[..whole.len() / 2], &facts, &policy(), now());
    assert_eq!(
        (cut.status, response(&cut)["allowed"].clone()),
        (200, json!(false))
    );
    assert_eq!(response(&cut)["uid"], UID);
    assert_eq!(answer_mutating(b"{}", &facts, &policy(), now()).status, 400);
    let missing = amended(
        &Review {
            object: Value::Null,
            ..review(flux(), Value::Null)
        },
        &facts,
    );
    assert_eq!(missing.outcome.name(), "refuse");
}

#[test]
fn only_where_the_policy_wants_it_and_only_in_the_mutating_phase() {
    let facts = controller_of("flux-system/flux");
    let body = review(Value::Null, flux()).bytes();
    let judged = answer(&body, &facts, &policy(), now());
    assert_eq!(
        (judged.outcome.name(), response(&judged).get("patch")),
        ("allow", None)
    );
    let off = answer_mutating(&body, &facts, &Policy::default(), now());
    assert_eq!(off.body, judged.body);
}

#[test]
fn what_is_added_is_judged_afterwards() {
    let facts = controller_of("flux-system/flux");
    let mut risky = flux();
    risky["spec"]["install"] = json!({"remediation": {"retries": 3}});
    let judged = |object: &Value| {
        answer(
            &review(Value::Null, object.clone()).bytes(),
            &facts,
            &policy(),
            now(),
        )
    };
    assert_eq!(judged(&risky).outcome.name(), "refuse");
    assert_eq!(
        judged(&becomes(&risky, &facts).unwrap()).outcome.name(),
        "allow"
    );
}

#[test]
fn every_other_door_answers_in_the_mutating_phase_as_it_always_did() {
    let facts = unowned();
    let crd = redefined(
        definition(&[("v1", true, true)], &["v1"]),
        definition(&[("v2", true, true)], &[]),
    );
    let deleted = Review {
        operation: "DELETE",
        old: flux(),
        object: Value::Null,
        ..review(Value::Null, flux())
    };
    for (review, expected) in [(crd, "refuse"), (deleted, "allow")] {
        let answer = amended(&review, &facts);
        assert_eq!(answer.outcome.name(), expected);
        assert_eq!(answer.body, review.answer(&facts).body);
    }
}

#[test]
fn an_override_with_a_reason_and_an_end_leaves_a_release_as_it_is() {
    let facts = controller_of("flux-system/flux");
    let with = |rule: &str, until: &str| {
        let mut object = flux();
        object["metadata"]["annotations"] = json!({"fluxkeep.io/allow": rule, "fluxkeep.io/reason": "Flux goes, CHG-1", "fluxkeep.io/until": until});
        becomes(&object, &facts).is_some()
    };
    assert!(!with("engine-object-unkept", "2026-11-25T12:00:00Z"));
    assert!(
        with("engine-object-unkept", "2026-11-23T12:00:00Z"),
        "it has ended"
    );
    assert!(
        with("engine-deleted", "2026-11-25T12:00:00Z"),
        "another rule"
    );
}
