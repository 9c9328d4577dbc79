//! Any input gets an answer with the right uid, or a 4xx with a reason.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fluxkeep::admission::{Answer, ReviewOutcome, answer};
use fluxkeep::case::facts::Facts;
use fluxkeep::case::finding::Finding;
use fluxkeep::case::policy::Policy;
use fluxkeep::helm::record::{Driver, MOST_DECOMPRESSED, write};
use fluxkeep_fixtures::{Review, UID, definition, now, record, redefined, secret, stored};
use serde_json::{Value, json};

fn ask(body: &[u8]) -> Answer {
    answer(body, &Facts::default(), &Policy::default(), now())
}

/// The reason of a 400.
fn rejection(body: &[u8]) -> String {
    let answer = ask(body);
    let text = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, 400, "{text}");
    assert_eq!(answer.outcome.name(), "error");
    text.trim_end().to_owned()
}

/// The refusal of a body that is no review but has a uid.
fn cut_off(body: &[u8]) -> String {
    let answer = ask(body);
    assert!(
        matches!(answer.outcome, ReviewOutcome::NotAReview(_)),
        "{answer:?}"
    );
    refused(&answer)
}

/// The finding that refuses a review of the engine.
fn refusal(body: &[u8]) -> String {
    let answer = ask(body);
    assert_eq!(answer.outcome.name(), "refuse", "{answer:?}");
    assert!(answer.verdict.findings.iter().any(is_unreadable));
    refused(&answer)
}

/// The finding that only warns about a stranger's review.
fn warning(body: &[u8]) -> String {
    let answer = ask(body);
    let review: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(review["response"]["uid"], UID);
    assert_eq!(review["response"]["allowed"], true, "{review}");
    assert_eq!(answer.outcome.name(), "warn", "{answer:?}");
    assert!(answer.verdict.findings.iter().all(is_unreadable));
    answer.verdict.findings[0].to_string()
}

fn is_unreadable(finding: &Finding) -> bool {
    finding.rule == "review-unreadable"
}

fn refused(answer: &Answer) -> String {
    let review: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(review["response"]["uid"], UID);
    assert_eq!(review["response"]["allowed"], false, "{review}");
    let message = review["response"]["status"]["message"].as_str();
    message.unwrap().to_owned()
}

#[test]
fn an_empty_body_is_rejected() {
    assert!(rejection(b"").starts_with("the body is empty"));
}

#[test]
fn what_is_not_json_is_rejected() {
    for body in ["hello", "<xml/>", "[]", "null", "\"text\"", "{", "\u{0}"] {
        assert!(
            rejection(body.as_bytes()).contains("the body is unreadable"),
            "{body}"
        );
    }
}

#[test]
fn invalid_utf8_before_the_uid_is_rejected() {
    let body = b"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"\xff\xfe\"}";
    assert!(rejection(body).contains("the body is unreadable"));
}

#[test]
fn another_version_or_kind_is_rejected_by_its_name() {
    let beta = Review::default().bytes();
    let beta = String::from_utf8(beta)
        .unwrap()
        .replace("k8s.io/v1\"", "k8s.io/v1beta1\"");
    assert!(rejection(beta.as_bytes()).contains("admission.k8s.io/v1beta1"));
    let other = json!({"apiVersion": "v1", "kind": "Pod", "request": {"uid": UID}});
    assert!(rejection(other.to_string().as_bytes()).contains("\"v1\" \"Pod\""));
    let long = json!({"apiVersion": "x".repeat(5_000), "kind": "y"});
    assert!(rejection(long.to_string().as_bytes()).len() < 300);
}

#[test]
fn a_review_that_says_no_version_is_rejected() {
    let review = json!({"request": {"uid": UID}});
    assert!(rejection(review.to_string().as_bytes()).contains("accepts only admission.k8s.io/v1"));
}

#[test]
fn a_review_without_uid_is_rejected() {
    for request in [
        json!({}),
        json!({"uid": ""}),
        json!({"operation": "CREATE"}),
    ] {
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
        assert!(rejection(review.to_string().as_bytes()).contains("no request.uid"));
    }
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"});
    assert!(rejection(review.to_string().as_bytes()).contains("no request.uid"));
}

#[test]
fn a_review_cut_off_anywhere_after_its_uid_is_refused_with_that_uid() {
    let old = definition(&[("v1", true, true)], &["v1"]);
    let body = redefined(old.clone(), old).bytes();
    let start = String::from_utf8(body.clone())
        .unwrap()
        .find("\"kind\":{")
        .unwrap();
    for end in start..body.len() - 1 {
        let text = cut_off(&body[..end]);
        assert!(text.contains("could not read the review"), "{end}: {text}");
    }
}

#[test]
fn the_uid_is_found_after_the_objects_too() {
    let object = definition(&[("v1", true, true)], &["v1"]);
    let review = json!({"request": {"object": object, "oldObject": object, "uid": UID, "operation": "UPDATE",
        "userInfo": {"username": "x"}, "resource": {"resource": "customresourcedefinitions"},
        "kind": {"group": "apiextensions.k8s.io", "version": "v1", "kind": "CustomResourceDefinition"}},
        "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"});
    let answer = ask(review.to_string().as_bytes());
    assert_eq!(answer.outcome.name(), "allow");
}

#[test]
fn invalid_utf8_inside_what_is_read_is_no_review() {
    let old = definition(&[("v1", true, true)], &["v1"]);
    let mut body = redefined(old.clone(), old).bytes();
    let text = String::from_utf8(body.clone()).unwrap();
    let at = text.find("things.example.org\"}").unwrap();
    let last = text.rfind("things.example.org\"}").unwrap();
    body[last] = 0xff;
    assert_ne!(at, last);
    assert!(cut_off(&body).contains("could not read"));
}

#[test]
fn ten_thousand_levels_of_nesting_are_no_crash() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let old = definition(&[("v1", true, true)], &["v1"]);
    let body = String::from_utf8(redefined(old.clone(), old).bytes()).unwrap();
    let skipped = body.replacen(
        "{\"openAPIV3Schema\"",
        &format!("{{\"deep\":{deep},\"openAPIV3Schema\""),
        1,
    );
    assert_eq!(
        ask(skipped.as_bytes()).outcome.name(),
        "allow",
        "a schema is skipped, however deep"
    );
    let read = body.replacen(
        "\"storedVersions\":[",
        &format!("\"storedVersions\":[{deep},"),
        1,
    );
    assert!(warning(read.as_bytes()).contains("cannot read"));
    assert!(rejection(deep.as_bytes()).contains("unreadable"));
}

#[test]
fn of_two_equal_keys_in_a_review_the_later_one_counts() {
    let old = definition(&[("v1", true, true)], &["v1"]);
    let body = String::from_utf8(redefined(old.clone(), old).bytes()).unwrap();
    let scopes = [
        ("Cluster", "Namespaced", "allow"),
        ("Namespaced", "Cluster", "refuse"),
    ];
    for (first, second, expected) in scopes {
        let twice = format!("\"scope\":\"{first}\",\"scope\":\"{second}\"");
        let body = body.replacen("\"scope\":\"Namespaced\"", &twice, 1);
        assert_eq!(ask(body.as_bytes()).outcome.name(), expected);
    }
}

#[test]
fn a_crd_without_versions_drops_every_stored_one() {
    let old = definition(&[("v1", true, true)], &["v1"]);
    let review = redefined(old, definition(&[], &[]));
    let answer = review.answer(&Facts::default());
    assert_eq!(answer.outcome.name(), "refuse");
    assert!(
        String::from_utf8(answer.body)
            .unwrap()
            .contains("no version at all")
    );
}

#[test]
fn versions_with_odd_names_are_compared_and_no_crash() {
    let odd = ["", "💥", "v99999999999999999999", "v1\nv2", "../../etc"];
    for name in odd {
        let old = definition(&[("v1", true, true)], &["v1"]);
        let answer =
            redefined(old, definition(&[(name, true, true)], &[])).answer(&Facts::default());
        assert_eq!(answer.outcome.name(), "refuse", "{name}");
    }
}

fn broken_record(data: &str) -> String {
    refusal(&stored(secret(data)).bytes())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn packed(bytes: &[u8]) -> String {
    STANDARD.encode(STANDARD.encode(bytes))
}

#[test]
fn a_record_that_is_not_base64_is_refused() {
    assert!(broken_record("%%%").contains("not base64"));
    assert!(broken_record(&STANDARD.encode("%%%")).contains("not base64"));
}

#[test]
fn a_record_without_data_is_refused() {
    assert!(broken_record("").contains("data.release is missing"));
    let mut secret = secret("");
    secret["data"] = Value::Null;
    assert!(refusal(&stored(secret).bytes()).contains("data.release is missing"));
}

#[test]
fn a_record_that_is_not_gzip_is_refused() {
    assert!(broken_record(&packed(b"hello")).contains("unreadable"));
    assert!(broken_record(&packed(&[0x1f, 0x8b, 0x08, 1, 2, 3])).contains("not gzip"));
    let whole = gzip(&vec![b'x'; 100_000]);
    assert!(broken_record(&packed(&whole[..whole.len() / 2])).contains("not gzip"));
}

#[test]
fn a_gzip_bomb_is_refused_unread() {
    let bomb = gzip(&vec![b' '; MOST_DECOMPRESSED + 1]);
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    assert!(broken_record(&packed(&bomb)).contains("decompresses to more than"));
}

#[test]
fn a_record_longer_than_any_helm_writes_is_refused() {
    assert!(broken_record(&"A".repeat(3 << 20 | 1)).contains("more than the"));
}

#[test]
fn a_record_that_is_not_json_is_refused() {
    assert!(broken_record(&packed(&gzip(b"hello"))).contains("invalid JSON"));
    assert!(broken_record(&packed(&gzip(b"{\"name\":\"flux\""))).contains("unexpected end"));
    let broken = json!({"name": "flux", "manifest": {"token": "hunter2"}});
    let text = broken_record(&write(&broken, Driver::Secret).unwrap());
    assert!(text.contains("a value has the wrong type"), "{text}");
    assert!(!text.contains("hunter2"));
}

#[test]
fn a_record_without_a_manifest_is_allowed_as_helm_writes_it_when_nothing_is_rendered() {
    for namespace in ["flux-system", "apps"] {
        for hooks in [
            Value::Null,
            json!([{"manifest": "kind: Job\nmetadata: {name: a}\n"}]),
        ] {
            let release = json!({"name": "app", "namespace": namespace, "version": 1,
                "info": {"status": "pending-install"}, "hooks": hooks});
            let data = write(&release, Driver::Secret).unwrap();
            let answer = ask(&stored(secret(&data)).bytes());
            assert_eq!(answer.outcome.name(), "allow", "{release}");
        }
    }
}

#[test]
fn a_manifest_of_a_hundred_thousand_documents_is_refused() {
    let document = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n";
    let text = refusal(&stored(record(&document.repeat(100_000), &[])).bytes());
    assert!(text.contains("more than 10000 objects"), "{text}");
    let text = refusal(&stored(record(&"---\na: 1\n".repeat(100_000), &[])).bytes());
    assert!(
        text.contains("more than 10000 objects"),
        "documents without kind cost time too: {text}"
    );
}

#[test]
fn a_list_of_more_objects_than_any_cluster_has_is_refused() {
    let list = |count: usize| {
        format!(
            "{{\"kind\":\"List\",\"items\":[{}{{}}]}}\n",
            "{},".repeat(count)
        )
    };
    let text = refusal(&stored(record(&list(100_000), &[])).bytes());
    assert!(
        text.contains("more than 100000 objects in one list"),
        "{text}"
    );
    let text = refusal(&stored(record(&format!("{}{}", list(20_000), list(1)), &[])).bytes());
    assert!(
        text.contains("more than 10000 objects in one stream"),
        "{text}"
    );
    let yaml = format!("kind: List\nitems:\n{}", "- a:\n".repeat(2_000_000));
    let text = refusal(&stored(record(&yaml, &[])).bytes());
    assert!(text.contains("too many aliases"), "{text}");
}

#[test]
fn of_two_equal_keys_in_a_manifest_the_later_one_counts_as_for_helm() {
    let manifest = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: stranger\n  name: helm-controller\n  \
        annotations: {a: b}\n  annotations: {c: d}\nspec:\n  template: {spec: {containers: [{image: x, image: y}]}}\n";
    let answer = ask(&stored(record(manifest, &[])).bytes());
    assert!(
        answer
            .verdict
            .findings
            .iter()
            .any(|finding| finding.object.name == "helm-controller"),
        "{answer:?}"
    );
    assert_ne!(answer.outcome.name(), "error");
}

#[test]
fn a_manifest_whose_aliases_explode_is_refused() {
    let mut lines = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned()];
    for level in 1..12 {
        let before = vec![format!("*a{}", level - 1); 10].join(", ");
        lines.push(format!("a{level}: &a{level} [{before}]"));
    }
    let head = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: x}\nspec:\n  values:\n    ";
    let manifest = format!("{head}{}\n", lines.join("\n    "));
    assert!(refusal(&stored(record(&manifest, &[])).bytes()).contains("its manifest at line"));
}

#[test]
fn a_manifest_that_is_no_yaml_is_refused_with_its_place() {
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n---\nkind: [\n";
    let text = refusal(&stored(record(manifest, &[])).bytes());
    assert!(
        text.contains("its manifest at line 6") || text.contains("its manifest at line 7"),
        "{text}"
    );
}

#[test]
fn a_change_without_its_objects_is_refused_of_the_engine_and_warned_of_elsewhere() {
    let named = |name: &str| {
        let mut object = definition(&[("v1", true, true)], &["v1"]);
        object["metadata"]["name"] = json!(name);
        object
    };
    let without_new = |name| redefined(named(name), Value::Null).bytes();
    let without_old = |name| redefined(Value::Null, named(name)).bytes();
    let (flux, other) = ("buckets.source.toolkit.fluxcd.io", "things.example.org");
    assert!(refusal(&without_new(flux)).contains("request.object is missing"));
    assert!(refusal(&without_old(flux)).contains("request.oldObject is missing"));
    assert!(warning(&without_new(other)).contains("request.object is missing"));
    assert!(warning(&without_old(other)).contains("request.oldObject is missing"));
}

#[test]
fn what_is_not_guarded_is_allowed() {
    let review = Review {
        object: json!({"metadata": {"name": "x", "namespace": "y"}}),
        ..Review::default()
    };
    assert_eq!(review.answer(&Facts::default()).outcome.name(), "allow");
    let connect = Review {
        operation: "CONNECT",
        ..review
    };
    assert_eq!(connect.answer(&Facts::default()).outcome.name(), "allow");
}
