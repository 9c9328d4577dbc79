//! The limits of a review. Over them, a stranger passes with a warning; the engine is refused.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs
)]

use std::time::{Duration, Instant};

use fluxkeep::admission::{
    Answer, EnvelopeOnly, ReviewBudget, ReviewOutcome, answer_by_envelope, answer_within,
};
use fluxkeep::case::facts::Facts;
use fluxkeep::case::finding::Level;
use fluxkeep::case::policy::{OverrideEntry, Policy};
use fluxkeep::case::verdict::Decision;
use fluxkeep::helm::record::Driver;
use fluxkeep_cluster::BUILT_IN;
use fluxkeep_fixtures::fixture::objects;
use fluxkeep_fixtures::{Review, now, packed, redefined};
use serde_json::{Value, json};

const RULE: &str = "review-unreadable";

fn facts() -> Facts {
    Facts::of(objects(BUILT_IN, None))
}

/// The creation of a release's record.
fn record(namespace: &str, manifest: &str, hooks: &[&str]) -> Vec<u8> {
    let data = packed("app", namespace, manifest, hooks, Driver::ConfigMap);
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"release": data},
        "metadata": {"name": "sh.helm.release.v1.app.v1", "namespace": namespace}});
    Review {
        object,
        ..Review::default()
    }
    .bytes()
}

fn documents(count: usize) -> String {
    let one =
        |number| format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a{number}}}\n");
    (0..count).map(one).collect()
}

fn answer(budget: ReviewBudget, body: &[u8]) -> Answer {
    answer_within(budget, body, &facts(), &Policy::default(), now())
}

/// The decision, and the reason why something was not read.
fn unread(answer: &Answer) -> (Decision, String) {
    let ReviewOutcome::Judged(decision) = answer.outcome else {
        panic!("{:?}", answer.outcome)
    };
    let findings = &answer.verdict.findings;
    let found = findings.iter().find(|finding| finding.rule == RULE);
    let why = found.map(|finding| finding.message.clone());
    (decision, why.unwrap_or_default())
}

#[test]
fn a_record_with_too_many_documents_is_not_read_whole() {
    let most = ReviewBudget::OTHERS.documents;
    let fits = record("apps", &documents(most), &[]);
    assert_eq!(
        unread(&answer(ReviewBudget::OTHERS, &fits)),
        (Decision::Allow, String::new())
    );

    let (some, one) = (documents(most - 1), documents(1));
    for (manifest, hooks) in [(documents(most + 1), vec![]), (some, vec![&*one, &*one])] {
        let expected = [("apps", Decision::Warn), ("flux-system", Decision::Refuse)];
        for (namespace, decision) in expected {
            let body = record(namespace, &manifest, &hooks);
            let (decided, why) = unread(&answer(ReviewBudget::OTHERS, &body));
            assert_eq!(decided, decision, "{namespace}: {why}");
            assert!(why.contains("objects in "), "{why}");
            let (_, why) = unread(&answer(ReviewBudget::ENGINE, &body));
            assert_eq!(why, "", "the engine's lane has room for it");
        }
    }
}

#[test]
fn a_record_that_unpacks_to_too_many_bytes_is_not_read() {
    let long = format!(
        "{}# {}\n",
        documents(1),
        " ".repeat(ReviewBudget::OTHERS.unpacked)
    );
    let expected = [("apps", Decision::Warn), ("flux-system", Decision::Refuse)];
    for (namespace, decision) in expected {
        let body = record(namespace, &long, &[]);
        let (decided, why) = unread(&answer(ReviewBudget::OTHERS, &body));
        assert_eq!(decided, decision, "{namespace}: {why}");
        assert!(
            why.contains("decompresses to more than 16777216 bytes"),
            "{why}"
        );
        assert_eq!(unread(&answer(ReviewBudget::ENGINE, &body)).1, "");
    }
}

#[test]
fn a_review_that_is_not_read_at_all_passes_where_it_is_about_a_stranger() {
    let crd = |name: &str, group: &str| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": name}, "spec": {"group": group}})
    };
    let update = |crd: Value| redefined(crd.clone(), crd).bytes();
    let flux = "source.toolkit.fluxcd.io";
    let instance = |namespace: &str| {
        let review = Review {
            kind: "fluxcd.controlplane.io/v1/FluxInstance",
            operation: "CREATE",
            object: json!({"apiVersion": "fluxcd.controlplane.io/v1", "kind": "FluxInstance",
                "metadata": {"name": "flux", "namespace": namespace}}),
            ..Review::default()
        };
        review.bytes()
    };
    let cases = [
        (instance("apps"), Decision::Warn),
        (instance("flux-system"), Decision::Refuse),
        (record("apps", "", &[]), Decision::Warn),
        (record("flux-system", "", &[]), Decision::Refuse),
        (
            update(crd("things.example.org", "example.org")),
            Decision::Warn,
        ),
        (
            update(crd(&format!("buckets.{flux}"), flux)),
            Decision::Refuse,
        ),
    ];
    for (body, decision) in cases {
        let answer = answer_by_envelope(
            EnvelopeOnly::Busy,
            &body,
            &facts(),
            &Policy::default(),
            now(),
        );
        let (decided, why) = unread(&answer);
        assert_eq!(decided, decision, "{why}");
        assert!(why.contains("used up its time"), "{why}");
        let review: Value = serde_json::from_slice(&answer.body).unwrap();
        let status = &review["response"]["status"];
        if decision == Decision::Refuse {
            assert_eq!(status["code"], 429, "{status}");
            assert_eq!(status["reason"], "TooManyRequests", "{status}");
            assert_eq!(status["details"]["retryAfterSeconds"], 1, "{status}");
        } else {
            assert!(status.is_null(), "{status}");
        }
    }
}

const KEPT_BESIDE_FLUX: &str = "\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: cilium, namespace: SPACE}
spec: {targetNamespace: TARGET, storageNamespace: flux-system, releaseName: app}
";

#[test]
fn a_record_beside_flux_that_is_known_to_install_elsewhere_passes_unread() {
    let body = record("flux-system", "", &[]);
    for (space, target, decision) in [
        ("flux-system", "kube-system", Decision::Warn),
        ("flux-system", "flux-system", Decision::Refuse),
        ("tenant", "kube-system", Decision::Refuse),
    ] {
        let release = KEPT_BESIDE_FLUX.replace("SPACE", space);
        let release = release.replace("TARGET", target);
        let facts = Facts::of(objects(&format!("{BUILT_IN}---\n{release}"), None));
        let answer =
            answer_by_envelope(EnvelopeOnly::Busy, &body, &facts, &Policy::default(), now());
        assert_eq!(unread(&answer).0, decision, "{release}");
    }
}

#[test]
fn a_review_that_is_too_long_is_judged_by_the_rule_with_its_level_and_its_overrides() {
    let too_long = |is_engines, policy: &Policy| {
        let body = record("apps", "", &[]);
        let why = EnvelopeOnly::TooLong { is_engines };
        let answer = answer_by_envelope(why, &body, &facts(), policy, now());
        let review: Value = serde_json::from_slice(&answer.body).unwrap();
        (
            unread(&answer).0,
            review["response"]["status"]["code"].as_u64(),
        )
    };
    let policy = Policy::default();
    assert_eq!(too_long(true, &policy), (Decision::Refuse, Some(403)));
    assert_eq!(too_long(false, &policy), (Decision::Warn, None));
    let warns = Policy {
        levels: [(RULE, Level::Warn)].into(),
        ..Policy::default()
    };
    assert_eq!(too_long(true, &warns), (Decision::Warn, None));
    let over = OverrideEntry {
        rule: RULE,
        object: "ConfigMap/apps/sh.helm.release.v1.app.v1".to_owned(),
        reason: "because".to_owned(),
        until: now() + jiff::SignedDuration::from_hours(1),
    };
    let excused = Policy {
        overrides: vec![over],
        ..Policy::default()
    };
    assert_eq!(too_long(true, &excused).1, None);
}

/// Schemas are skipped in linear time; a comparison with all earlier ones once took minutes.
#[test]
fn many_different_schemas_are_passed_over_in_one_go() {
    let schemas: Vec<_> = (0..100_000)
        .map(|number| json!({"schema": {"a": number}}))
        .collect();
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.org", "annotations": {}}, "x": schemas,
        "spec": {"group": "example.org", "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {}}}]}});
    let body = redefined(crd.clone(), crd).bytes();
    let start = Instant::now();
    answer(ReviewBudget::ENGINE, &body);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
}
