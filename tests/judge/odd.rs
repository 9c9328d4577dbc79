//! Strangers' odd manifests: those that Go accepts pass the record door, and are read like Go.
//!
//! `odd.json` holds the manifests with the answers of k8s.io/apimachinery 0.34, asked as Helm
//! does. An answer is `Kind/name` of each object, or null for a refused text.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::admission::{Answer, answer};
use fluxkeep::case::facts::Facts;
use fluxkeep::case::finding::{Finding, Level};
use fluxkeep::case::policy::Policy;
use fluxkeep::case::request::Subject;
use fluxkeep::helm::record::Driver;
use fluxkeep_fixtures::{now, packed, secret, stored};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Odd {
    name: String,
    go: Option<Vec<String>>,
    text: String,
}

/// Manifests that are too long to write down.
fn long() -> Vec<Odd> {
    let odd = |name: &str, text: String, go: &[&str]| Odd {
        name: name.to_owned(),
        go: Some(go.iter().map(|told| (*told).to_owned()).collect()),
        text,
    };
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let entries = |entry: &dyn Fn(usize) -> String| (0..1500).map(entry).collect::<String>();
    let anchors = entries(&|number| format!("  k{number}: &a{number} v\n"));
    let aliases = entries(&|number| format!("  k{number}: *b\n"));
    let deep = |count: usize| format!("{}b{}", "{a: ".repeat(count), "}".repeat(count));
    let arrays = format!("{}{}", "[".repeat(300), "]".repeat(300));
    let documents = (0..300).map(|number| {
        format!(
            "---\n{}",
            map.replace("name: a", &format!("name: a{number}"))
        )
    });
    let names: Vec<_> = (0..300)
        .map(|number| format!("ConfigMap/a{number}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    vec![
        odd(
            "many anchors",
            format!("{map}data:\n{anchors}"),
            &["ConfigMap/a"],
        ),
        odd(
            "many aliases",
            format!("{map}data:\n  b: &b v\n{aliases}"),
            &["ConfigMap/a"],
        ),
        odd(
            "a long line",
            format!("{map}data: {{a: \"{}\"}}\n", "x".repeat(200_000)),
            &["ConfigMap/a"],
        ),
        odd("many documents", documents.collect(), &names),
        odd(
            "deep JSON",
            format!(
                r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"a"}},"data":{arrays}}}"#
            ),
            &["ConfigMap/a"],
        ),
        odd(
            "deep values",
            format!(
                "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: a}}\nspec: {{values: {}}}\n",
                deep(140)
            ),
            &["HelmRelease/a"],
        ),
    ]
}

fn corpus() -> Vec<Odd> {
    let written: Vec<Odd> = serde_json::from_str(include_str!("odd.json")).unwrap();
    written.into_iter().chain(long()).collect()
}

/// The answer to a stranger's record with this manifest.
fn asked(text: &str) -> Answer {
    let mut record = secret(&packed("app", "apps", text, &[], Driver::Secret));
    record["metadata"]["namespace"] = json!("apps");
    record["metadata"]["name"] = json!("sh.helm.release.v1.app.v1");
    answer(
        &stored(record).bytes(),
        &Facts::default(),
        &Policy::default(),
        now(),
    )
}

#[test]
fn what_go_takes_passes() {
    let taken: Vec<_> = corpus()
        .into_iter()
        .filter(|odd| odd.go.is_some())
        .collect();
    assert!(taken.len() >= 100, "{}", taken.len());
    for odd in taken {
        let Answer {
            outcome, verdict, ..
        } = asked(&odd.text);
        assert_ne!(outcome.name(), "error", "{}: {outcome:?}", odd.name);
        // Go reads a CRD without a schema or a stored version, but no apiserver accepts one.
        let refused = verdict
            .standing()
            .filter(|finding| finding.level == Level::Enforce && finding.rule != "crd-invalid");
        assert_eq!(
            refused.collect::<Vec<_>>(),
            Vec::<&Finding>::new(),
            "{}",
            odd.name
        );
    }
}

#[test]
fn what_is_read_is_what_go_reads_and_what_is_not_is_told() {
    let mut unread = Vec::new();
    for odd in corpus() {
        let Some(go) = odd.go else { continue };
        let request = asked(&odd.text).request.unwrap();
        if request.gaps.iter().any(|gap| gap.is_opaque) {
            unread.push(odd.name);
            continue;
        }
        let Subject::Release(release) = request.subject else {
            continue;
        };
        let told = |object: &fluxkeep::object::Object| format!("{}/{}", object.kind, object.name);
        let read: Vec<_> = release.objects.iter().map(told).collect();
        // Go skips a name that is no string, and reads a list without items as an object.
        let differs = [
            "number-name",
            "null-list",
            "kind-that-ends-in-list-with-null-items",
        ];
        if !differs.contains(&odd.name.as_str()) {
            assert_eq!(read, go, "{}", odd.name);
        }
    }
    assert!(unread.len() <= MOST_UNREAD, "{unread:?}");
}

/// Limit on unread texts: those ambiguous among YAML readers, and oversized ones.
const MOST_UNREAD: usize = 12;
