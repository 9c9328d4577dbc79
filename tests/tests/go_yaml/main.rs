//! Compares the YAML reader with Go's: equal JSON or a refusal, never another value.
//!
//! `FLUXKEEP_YAML_DOCUMENTS` sets the number of documents, `FLUXKEEP_YAML_SEED` the first seed.
//! `make yaml` compares a million documents.

#![allow(
    clippy::expect_used,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod go;
mod mutate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fluxkeep::yaml::{Document, Paths, documents, json};
use fluxkeep_tests::nasty::DOCUMENTS;
use serde_json::Value;

use crate::mutate::{Random, made_up, mutated};

/// A tree with every kind of node, over the keys of Kubernetes' objects.
const TREE: Paths = Paths::Keys(&[
    ("apiVersion", Paths::Whole),
    ("kind", Paths::Whole),
    ("metadata", METADATA),
    (
        "spec",
        Paths::Keys(&[
            ("group", Paths::Whole),
            ("names", Paths::Keys(&[("kind", Paths::Whole)])),
            (
                "versions",
                Paths::Items(&Paths::Keys(&[
                    ("name", Paths::Whole),
                    ("served", Paths::Whole),
                ])),
            ),
            ("template", Paths::Keys(&[("metadata", METADATA)])),
            ("selector", Paths::Whole),
        ]),
    ),
    (
        "items",
        Paths::Items(&Paths::Keys(&[
            ("kind", Paths::Whole),
            ("metadata", METADATA),
        ])),
    ),
    ("status", Paths::Keys(&[("storedVersions", Paths::Whole)])),
]);

const METADATA: Paths = Paths::Keys(&[
    ("name", Paths::Whole),
    ("labels", Paths::Prefixed(&[""])),
    ("annotations", Paths::Prefixed(&["helm.sh/", "k", "a"])),
]);

/// The permitted reasons for refusing a document that Go reads.
const REFUSALS: [&str; 20] = [
    // granit-parser is stricter: YAML 1.2, directives, trailing text, comments, tabs in flow.
    "invalid YAML",
    // Characters that the two readers treat differently.
    "a line break of YAML 1.1 or a byte order mark; write it as an escape sequence",
    "a line break of YAML 1.1; write it as an escape sequence",
    "a line break of YAML 1.1 in a block scalar",
    "a line break of YAML 1.1 in a key; write it as an escape sequence",
    "`?` or `:` in flow, without a space or quotes",
    "an escape sequence that only JSON has",
    "a character that YAML does not allow",
    // Go's reading depends on the order of keys, or needs a calendar.
    "a duplicate key, once as a string and once as another type",
    "a key that JSON cannot represent",
    "a key that spans several lines",
    "a value that JSON cannot represent",
    // Documents that no tool writes.
    "an anchor on merged maps",
    "a tag without a space after it",
    "more text after the end of the document",
    "a document end without a document",
    "an anchor with characters other than letters, digits, `_` and `-`",
    "an alias inside the value that it refers to, or with characters other than letters, digits, `_` and `-`",
    "neither a map nor a list",
    "the merged value is not a map with string keys",
];

/// The permitted reasons for reading texts that Go refuses and so never applies.
const READ: [(&str, &str); 9] = [
    ("found character that cannot start any token", "\t"),
    ("found a tab character", "\t"),
    // In a tag.
    ("did not find expected whitespace or line break", "!"),
    // After the end of the document.
    ("found invalid Unicode character escape code", "\\"),
    ("found unknown escape character", "\\"),
    ("did not find expected alphabetic or numeric character", "&"),
    // A line break between a key and its colon.
    ("did not find expected ',' or", "{"),
    ("could not find expected ':'", ":"),
    ("mapping values are not allowed in this context", ":"),
];

#[test]
fn a_document_is_what_go_reads_or_it_is_refused() {
    let seeds = seeds();
    let texts = texts(&seeds, number("FLUXKEEP_YAML_DOCUMENTS").unwrap_or(20_000));
    let answers = go::answers("document", &texts);
    let mut counts = BTreeMap::new();
    for (text, answer) in texts.iter().zip(&answers) {
        *counts.entry(compare(text, answer)).or_insert(0_usize) += 1;
    }
    println!("{counts:#?}");
    assert!(
        counts
            .get("read by both")
            .is_some_and(|count| count * 3 > texts.len()),
        "{counts:#?}"
    );
}

/// Compares both readings of a text, and returns a description.
fn compare(text: &str, go: &go::Answer) -> String {
    let document = Document::of(text);
    match (go, document.read_paths(&Paths::Whole)) {
        (Ok(go), Ok(whole)) => {
            assert!(is_same(go, &whole), "{text:?}\nGo: {go}\nfluxkeep: {whole}");
            let expected = json(go.to_string().as_bytes(), &TREE).expect("JSON");
            match document.read_paths(&TREE) {
                Ok(part) => assert!(
                    is_same(&expected, &part),
                    "{text:?}\nGo: {expected}\nin part: {part}"
                ),
                Err(unread) => panic!("{text:?}\nread whole, and in part: {unread}"),
            }
            "read by both".to_owned()
        }
        (Ok(go), Err(unread)) => {
            let is_listed = REFUSALS.contains(&unread.message.as_str());
            assert!(is_listed, "{text:?}\nGo: {go}\nfluxkeep: {unread}");
            if let Ok(part) = document.read_paths(&TREE) {
                let expected = json(go.to_string().as_bytes(), &TREE).expect("JSON");
                assert!(
                    is_same(&expected, &part),
                    "{text:?}\nGo: {expected}\nin part: {part}"
                );
            }
            format!("refused: {}", unread.message)
        }
        (Err(why), Ok(whole)) => {
            let listed = READ
                .iter()
                .find(|(told, holds)| why.contains(told) && text.contains(holds));
            assert!(
                listed.is_some(),
                "{text:?}\nGo refuses: {why}\nfluxkeep: {whole}"
            );
            "refused by Go".to_owned()
        }
        (Err(_), Err(_)) => "refused by both".to_owned(),
    }
}

#[test]
fn a_stream_is_cut_where_go_cuts_it() {
    let seeds = seeds();
    let mut random = Random(first_seed());
    let mut texts = Vec::new();
    for _ in 0..number("FLUXKEEP_YAML_DOCUMENTS").unwrap_or(20_000) / 10 {
        let mut text = random
            .pick::<&str>(&["", "---\n", "\u{feff}", "# c\n", "\n"])
            .to_string();
        for _ in 0..=random.below(3) {
            text.push_str(random.pick::<String>(&seeds));
            text.push_str(random.pick::<&str>(&[
                "\n---\n",
                "\n--- # c\n",
                "\n---\n---\n",
                "\n...\n---\n",
                "\n",
                "\n---\n\u{feff}",
            ]));
        }
        texts.push(text);
    }
    let mut compared = 0;
    for (text, answer) in texts.iter().zip(go::streams(&texts)) {
        // A stream that Go refuses in part is not applied.
        let Ok(go) = answer else { continue };
        let read: Result<Vec<_>, _> = documents(text)
            .map(|one| one.read_paths(&Paths::Whole))
            .collect();
        let Ok(read) = read else { continue };
        let read: Vec<_> = read.into_iter().filter(|value| !value.is_null()).collect();
        let is_alike =
            go.len() == read.len() && go.iter().zip(&read).all(|(go, read)| is_same(go, read));
        assert!(is_alike, "{text:?}\nGo: {go:?}\nfluxkeep: {read:?}");
        compared += 1;
    }
    assert!(compared * 4 > texts.len(), "{compared}");
}

/// The nasty documents and the rules' fixtures.
fn seeds() -> Vec<String> {
    let mut seeds: Vec<_> = DOCUMENTS
        .iter()
        .map(|(_, text)| (*text).to_owned())
        .collect();
    let mut files = Vec::new();
    files_below(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("rules"),
        &mut files,
    );
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a fixture");
        seeds.extend(documents(&text).map(|document| document.text.to_owned()));
    }
    seeds
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_below(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "yaml") {
            found.push(path);
        }
    }
}

/// The seeds and `count` further texts, of which half are the same in each run.
fn texts(seeds: &[String], count: usize) -> Vec<String> {
    let mut texts = seeds.to_vec();
    for seed in [1, first_seed()] {
        let mut random = Random(seed);
        for number in 0..count / 2 {
            let text = if number % 3 == 0 {
                made_up(&mut random)
            } else {
                mutated(seeds, &mut random)
            };
            texts.push(text);
        }
    }
    texts
}

/// The first seed. It is fixed, so that only code changes make a run fail. `make yaml` and
/// `FLUXKEEP_YAML_SEED` choose others.
fn first_seed() -> u64 {
    let given = number("FLUXKEEP_YAML_SEED").and_then(|seed| u64::try_from(seed).ok());
    given.unwrap_or(2)
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Compares values; Go writes a float without a fraction as an integer, which JSON treats alike.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || (one.is_f64() || other.is_f64()) && one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_there = |(key, value)| other.get(key).is_some_and(|other| is_same(value, other));
            one.len() == other.len() && one.iter().all(is_there)
        }
        _ => one == other,
    }
}
