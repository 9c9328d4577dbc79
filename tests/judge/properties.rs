//! Properties of all requests, tested on many.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::admission::Answer;
use fluxkeep::case::facts::Facts;
use fluxkeep::case::finding::Outcome;
use fluxkeep::yaml::values;
use fluxkeep_cluster::BUILT_IN;
use fluxkeep_fixtures::fixture::objects;
use fluxkeep_fixtures::{Review, record, redefined, stored};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

const VERSIONS: [&str; 6] = ["v1alpha1", "v1beta1", "v1beta2", "v1", "v2", "odd"];
const IMAGES: [&str; 4] = ["v1.0.1", "v1.1.0", "v1.4.1", "v9.9.9"];

/// The objects of the built-in cluster.
fn installed() -> Vec<Value> {
    values(BUILT_IN).unwrap()
}

fn facts(documents: &[Value]) -> Facts {
    Facts::of(objects(&manifest(documents), None))
}

fn manifest(documents: &[Value]) -> String {
    documents
        .iter()
        .map(Value::to_string)
        .collect::<Vec<_>>()
        .join("\n---\n")
}

/// Adds schemas, which charts render and snapshots lack.
fn with_schemas(mut object: Value) -> Value {
    for version in object["spec"]["versions"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        version["schema"] = json!({"openAPIV3Schema": {}});
    }
    object
}

/// Entries of `spec.versions`, of which one is stored.
fn versions() -> impl Strategy<Value = Vec<Value>> {
    let names = subsequence(VERSIONS.to_vec(), 1..VERSIONS.len()).prop_shuffle();
    (names, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(names, storage, served)| {
        let storage = storage.index(names.len());
        let version = |(at, name): (usize, &&str)| json!({"name": name, "served": served >> at & 1 == 1, "storage": at == storage, "schema": {"openAPIV3Schema": {}}});
        names.iter().enumerate().map(version).collect()
    })
}

fn stored_versions() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(VERSIONS.to_vec(), 0..VERSIONS.len())
}

fn definition() -> impl Strategy<Value = Value> {
    (versions(), stored_versions(), select(vec!["Namespaced", "Cluster"])).prop_map(|(versions, stored, scope)| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.example.org"},
            "spec": {"group": "example.org", "scope": scope, "names": {"kind": "Thing", "plural": "things"},
                "versions": versions},
            "status": {"storedVersions": stored}})
    })
}

/// Parts of the engine as a release might render them: other images, other versions of CRDs.
fn rendered() -> impl Strategy<Value = Vec<Value>> {
    let all = installed();
    let changes = prop::collection::vec(
        (select(IMAGES.to_vec()), versions(), any::<bool>()),
        all.len(),
    );
    (subsequence(all.clone(), 1..all.len()), changes).prop_map(|(documents, changes)| {
        documents
            .into_iter()
            .zip(changes)
            .map(|(document, change)| changed(document, change))
            .collect()
    })
}

fn changed(mut document: Value, (tag, versions, kept): (&str, Vec<Value>, bool)) -> Value {
    if let Some(image) = document.pointer_mut("/spec/template/spec/containers/0/image") {
        *image = json!(format!(
            "{}:{tag}",
            image.as_str().unwrap().split(':').next().unwrap()
        ));
    }
    if let Some(offered) = document.pointer_mut("/spec/versions") {
        *offered = json!(versions);
    }
    if kept {
        document["metadata"]["annotations"] = json!({"helm.sh/resource-policy": "keep"});
    }
    document
}

fn refused(answer: &Answer, rule: &str) -> bool {
    answer
        .verdict
        .with(Outcome::Refused)
        .any(|finding| finding.rule == rule)
}

/// Reviews for each door, whose answers must not depend on the order of keys.
fn reviews() -> Vec<Review<'static>> {
    let live = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "helm-controller", "namespace": "flux-system"}});
    let old = fluxkeep_fixtures::definition(&[("v1", true, true)], &["v1"]);
    let new = fluxkeep_fixtures::definition(&[("v2", true, true)], &["v2"]);
    let deleted = Review {
        kind: "apps/v1/Deployment",
        resource: "deployments",
        operation: "DELETE",
        old: live,
        ..Review::default()
    };
    let status = Review {
        sub_resource: "status",
        user: "jane",
        ..redefined(old.clone(), new.clone())
    };
    let older = fluxkeep_fixtures::owned("helm-controller", "helm-controller:v1.0.1");
    vec![
        deleted,
        status,
        redefined(old, new),
        stored(record(&older, &[])),
    ]
}

/// The review with its request's keys, and its own, in this order.
fn ordered(review: &Review<'_>, order: &[usize]) -> Vec<u8> {
    let whole: Value = serde_json::from_slice(&review.bytes()).unwrap();
    let request = whole["request"].as_object().unwrap();
    let write = |(key, value): (&String, &Value)| format!("{}:{value}", json!(key));
    let entries: Vec<_> = request.iter().map(write).collect();
    let places = order.iter().filter(|place| **place < entries.len());
    let request = places
        .map(|place| entries[*place].as_str())
        .collect::<Vec<_>>()
        .join(",");
    let mut parts = [
        r#""kind":"AdmissionReview""#.to_owned(),
        r#""apiVersion":"admission.k8s.io/v1""#.to_owned(),
        format!("\"request\":{{{request}}}"),
    ];
    parts.rotate_left(order[0] % 3);
    format!("{{{}}}", parts.join(",")).into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_review_gets_the_same_answer_in_whatever_order_its_keys_come(
        order in Just((0..16).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let facts = facts(&installed());
        for review in reviews() {
            let asked = fluxkeep::admission::answer(
                &ordered(&review, &order),
                &facts,
                &fluxkeep::case::policy::Policy::default(),
                fluxkeep_fixtures::now(),
            );
            let answer = review.answer(&facts);
            prop_assert_eq!(answer.outcome.name(), "refuse");
            prop_assert_eq!(asked.door(), answer.door());
            prop_assert_eq!(asked.body, answer.body);
        }
    }
}

proptest! {
    // A review of a whole engine takes 10 ms in a test build.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_release_is_judged_alike_in_whatever_order_its_documents_come(
        (documents, shuffled) in rendered().prop_flat_map(|documents| (Just(documents.clone()), Just(documents).prop_shuffle())),
    ) {
        let facts = facts(&installed());
        let answer = |documents: &[Value]| stored(record(&manifest(documents), &[])).answer(&facts);
        let (one, other) = (answer(&documents), answer(&shuffled));
        prop_assert_ne!(one.outcome.name(), "error");
        prop_assert_eq!(&one.verdict, &other.verdict);
        prop_assert_eq!(one.body, other.body);
    }

    #[test]
    fn the_same_question_gets_the_same_answer(documents in rendered()) {
        let review = stored(record(&manifest(&documents), &[]));
        let answer = || review.answer(&facts(&installed())).body;
        prop_assert_eq!(answer(), answer());
    }

    #[test]
    fn a_definition_that_stays_as_it_is_gives_no_finding(same in definition()) {
        for sub_resource in ["", "status"] {
            let review = Review { sub_resource, user: "jane", ..redefined(same.clone(), same.clone()) };
            let verdict = review.answer(&Facts::default()).verdict;
            // The old CRD already lacked that version; the apiserver refuses all its writes.
            let others: Vec<_> = verdict.findings.iter().filter(|one| one.rule != "stored-version-dropped").collect();
            prop_assert!(others.is_empty(), "{sub_resource}: {others:?}");
        }
    }

    #[test]
    fn a_version_more_in_the_offer_never_makes_a_refusal(old in definition(), new in definition(), more in select(VERSIONS.to_vec())) {
        let mut wider = new.clone();
        let offered = wider["spec"]["versions"].as_array_mut().unwrap();
        if offered.iter().all(|version| version["name"] != more) {
            offered.push(json!({"name": more, "served": true, "storage": false}));
        }
        let facts = facts(std::slice::from_ref(&old));
        for narrow in [&new, &wider].map(|one| stored(record(&manifest(std::slice::from_ref(one)), &[])).answer(&facts)).windows(2) {
            prop_assert!(refused(&narrow[0], "stored-version-dropped") || !refused(&narrow[1], "stored-version-dropped"));
        }
        let judged = |new: &Value| redefined(old.clone(), new.clone()).answer(&Facts::default());
        let outcome = |new| judged(new).outcome.name() == "refuse";
        prop_assert!(outcome(&new) || !outcome(&wider));
    }
}

#[test]
fn the_engine_as_it_is_gives_no_finding_about_change() {
    let live = installed();
    let facts = facts(&live);
    for object in &live {
        let text = |path: &str| {
            object
                .pointer(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let slash = if text("/apiVersion").contains('/') {
            ""
        } else {
            "/"
        };
        let kind = format!("{slash}{}/{}", text("/apiVersion"), text("/kind"));
        let review = Review {
            kind: &kind,
            operation: "UPDATE",
            object: object.clone(),
            old: object.clone(),
            ..Review::default()
        };
        let verdict = review.answer(&facts).verdict;
        assert!(verdict.findings.is_empty(), "{verdict:?}");
    }
    let rendered: Vec<Value> = live.iter().cloned().map(with_schemas).collect();
    let verdict = stored(record(&manifest(&rendered), &[]))
        .answer(&facts)
        .verdict;
    let rules: Vec<_> = verdict
        .findings
        .iter()
        .map(|finding| finding.rule)
        .filter(|rule| *rule != "engine-object-unkept")
        .collect();
    assert!(rules.is_empty(), "{rules:?}");
}
