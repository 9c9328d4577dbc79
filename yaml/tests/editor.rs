//! The editor on nasty documents: the result has exactly the requested meaning, as PyYAML reads it.
//! `FLUXKEEP_MANIFESTS` names a folder of real manifests to edit, too.

#![allow(clippy::expect_used, clippy::panic, missing_docs)]

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fluxkeep_fixtures::nasty::DOCUMENTS;
use fluxkeep_yaml::edit::{Splice, edit, splice};
use fluxkeep_yaml::{Unread, documents};
use serde_json::{Value, json};

/// The requested patches by name.
fn patches() -> Vec<(&'static str, Value)> {
    let all = json!({"metadata": {
        "annotations": {"keep": "keep"},
        "labels": {"owner": "Helm", "old": null},
    }});
    let values = json!({"metadata": {"annotations": {"keep": "true", "1": "0644", "y": "no", "a b": "", "é": "\u{85}\u{2028}\n\t"}}});
    let sequence =
        json!({"spec": {"list": [{"a": "b", "c": ["d", {"e": 1}]}, "text\nof lines\n", []]}});
    vec![
        (
            "keep",
            json!({"metadata": {"annotations": {"keep": "keep"}}}),
        ),
        ("remove", json!({"metadata": {"labels": {"old": null}}})),
        ("all", all.clone()),
        ("values", values),
        ("first item", json!({"items": {"0": all}})),
        ("second item", json!({"items": {"1": all}})),
        ("sequence", sequence),
        ("replace metadata", json!({"metadata": "none"})),
        ("nothing", json!({})),
    ]
}

fn splices(text: &str, patch: &Value) -> Result<Vec<Splice>, Unread> {
    let mut found = Vec::new();
    for document in documents(text) {
        found.extend(edit(&document, patch)?);
    }
    Ok(found)
}

/// All documents with all fitting patches: name, text before, text after, patch.
fn edited() -> Vec<(String, &'static str, String, Value)> {
    let mut found = Vec::new();
    for (name, text) in DOCUMENTS {
        for (patch_name, patch) in patches() {
            if let Ok(splices) = splices(text, &patch) {
                found.push((
                    format!("{name} / {patch_name}"),
                    *text,
                    splice(text, &splices),
                    patch,
                ));
            }
        }
    }
    found
}

#[test]
fn names_tell_the_documents_apart() {
    let names: std::collections::BTreeSet<_> = DOCUMENTS.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), DOCUMENTS.len());
    assert!(DOCUMENTS.len() >= 150);
}

#[test]
fn a_patch_laid_on_again_changes_nothing() {
    for (name, _, after, patch) in edited() {
        match splices(&after, &patch) {
            Ok(again) => assert!(again.is_empty(), "{name}: {again:?}\n{after}"),
            Err(unread) => panic!("{name}: {unread}\n{after}"),
        }
    }
}

#[test]
fn an_empty_patch_changes_nothing_and_a_refused_one_says_where() {
    for (name, text) in DOCUMENTS {
        for (patch_name, patch) in patches() {
            match splices(text, &patch) {
                Ok(splices) => assert!(patch != json!({}) || splices.is_empty(), "{name}"),
                Err(unread) => {
                    let lines =
                        u32::try_from(text.split(['\n', '\r']).count()).expect("a short text");
                    assert!(
                        (1..=lines + 1).contains(&unread.line),
                        "{name} / {patch_name}: {unread}"
                    );
                }
            }
        }
    }
}

/// Records the reasons of refusals: a change here changes the texts that users see.
#[test]
fn what_is_refused_is_refused_for_a_reason() {
    let mut told = String::new();
    for (name, text) in DOCUMENTS {
        for (patch_name, patch) in patches()
            .into_iter()
            .filter(|(name, _)| *name == "all" || *name == "first item")
        {
            let is_list = text.contains("items");
            if let Err(unread) = splices(text, &patch)
                && is_list == (patch_name == "first item")
            {
                writeln!(told, "{name}: {unread}").expect("a string takes everything");
            }
        }
    }
    insta::assert_snapshot!("refused", told);
}

#[test]
fn what_is_written_means_what_was_asked_for_as_yaml_1_1() {
    let cases = edited();
    assert!(cases.len() > 900, "most patches fit: {}", cases.len());
    compare(
        cases
            .iter()
            .map(|(name, before, after, patch)| (name.as_str(), *before, after.as_str(), patch)),
    );
}

/// Edits real manifests, if a folder of them is given.
#[test]
fn real_manifests_keep_their_meaning_and_all_other_bytes() {
    let Some(folder) = std::env::var_os("FLUXKEEP_MANIFESTS") else {
        return skip("FLUXKEEP_MANIFESTS names no folder of manifests to edit");
    };
    let mut cases = Vec::new();
    for path in manifests(Path::new(&folder)) {
        let text = std::fs::read_to_string(&path).expect("a readable manifest");
        for (name, patch) in patches()
            .into_iter()
            .filter(|(name, _)| ["keep", "all", "nothing"].contains(name))
        {
            let name = format!("{} / {name}", path.display());
            let found = splices(&text, &patch).unwrap_or_else(|unread| panic!("{name}: {unread}"));
            let after = splice(&text, &found);
            assert_eq!(
                splices(&after, &patch),
                Ok(Vec::new()),
                "{name}: laid on again"
            );
            assert_eq!(
                without(&after, &found),
                without_removed(&text, &found),
                "{name}"
            );
            cases.push((name, text.clone(), after, patch));
        }
    }
    assert!(
        !cases.is_empty(),
        "no manifest in {}",
        Path::new(&folder).display()
    );
    compare(cases.iter().map(|(name, before, after, patch)| {
        (name.as_str(), before.as_str(), after.as_str(), patch)
    }));
}

/// The result without the written text.
fn without(after: &str, splices: &[Splice]) -> String {
    let (mut rest, mut shift, mut found) = (0, 0_isize, String::new());
    for splice in splices {
        let start = splice
            .range
            .start
            .checked_add_signed(shift)
            .expect("splices are in order");
        found += after.get(rest..start).expect("bytes that stayed");
        rest = start + splice.text.len();
        shift += splice.text.len().cast_signed() - splice.range.len().cast_signed();
    }
    found + after.get(rest..).expect("bytes that stayed")
}

/// The text without the removed ranges.
fn without_removed(before: &str, splices: &[Splice]) -> String {
    let removed: Vec<_> = splices
        .iter()
        .map(|one| Splice {
            range: one.range.clone(),
            text: String::new(),
        })
        .collect();
    splice(before, &removed)
}

fn manifests(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            found.extend(manifests(&path));
        } else if path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
        {
            found.push(path);
        }
    }
    found
}

/// Asks PyYAML, which reads YAML 1.1 as Go's readers do.
fn compare<'a>(cases: impl Iterator<Item = (&'a str, &'a str, &'a str, &'a Value)>) {
    let known = Command::new("python3")
        .args(["-c", "import yaml"])
        .stderr(Stdio::null())
        .status();
    if !known.is_ok_and(|status| status.success()) {
        return skip("python3 with PyYAML is not here (pip install pyyaml)");
    }
    let lines: String = cases
        .map(|(name, before, after, patch)| {
            json!({"name": name, "before": before, "after": after, "patch": patch}).to_string()
                + "\n"
        })
        .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/meaning.py");
    let mut python = Command::new("python3");
    python
        .arg(script)
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut python = python.spawn().expect("python3 starts");
    let mut stdin = python.stdin.take().expect("a pipe");
    let feeding = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let told = python.wait_with_output().expect("python3 ends");
    feeding
        .join()
        .expect("the feeder ends")
        .expect("python3 reads everything");
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let (compared, problems) = told
        .trim_end()
        .rsplit_once('\n')
        .map_or((told.trim(), ""), |(problems, last)| (last, problems));
    assert!(problems.is_empty(), "{problems}");
    assert!(
        compared.parse::<usize>().is_ok_and(|compared| compared > 0),
        "nothing was compared: {told}"
    );
}

/// Reports a skipped check on stderr, because the test harness hides a passing test's output.
fn skip(why: &str) {
    writeln!(std::io::stderr(), "SKIPPED: {why}").expect("stderr is open");
}
