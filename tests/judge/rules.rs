//! Every rule over every fixture: `tests/rules/<rule>/{flagged,clean,fixed}`.
//!
//! The snapshots hold the whole answer. A rule that begins to hit another's fixture shows in a
//! diff, as does a changed wording. `INSTA_UPDATE=always` rewrites the snapshots.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::collections::BTreeSet;
use std::path::Path;

use fluxkeep::case::finding::{Finding, Outcome};
use fluxkeep::case::policy::Policy;
use fluxkeep::case::request::{Door, Operation, Request, Subject, Writer};
use fluxkeep::case::rule::Rule;
use fluxkeep::judge::judge;
use fluxkeep::render::message::{LONGEST_MESSAGE, LONGEST_WARNING};
use fluxkeep_fixtures::fixture::{Fixture, asked_rules, objects, root, shown};
use fluxkeep_fixtures::{now, record, stored};
use serde_json::Value;

const CASES: [&str; 3] = ["flagged", "clean", "fixed"];

fn fixture(rule: &Rule, case: &str) -> Fixture {
    Fixture::read(&root().join(rule.id).join(case))
}

/// The names of the folders in a folder.
fn folders(path: &Path) -> BTreeSet<String> {
    let entries = path
        .read_dir()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The answer's `status.message` and warnings.
fn told(body: &[u8]) -> (String, Vec<String>) {
    let body: Value = serde_json::from_slice(body).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let warnings = body.pointer("/response/warnings").and_then(Value::as_array);
    let message = body
        .pointer("/response/status/message")
        .map(text)
        .unwrap_or_default();
    (message, warnings.into_iter().flatten().map(text).collect())
}

#[test]
fn there_is_a_folder_for_each_rule_and_for_nothing_else() {
    assert_eq!(
        folders(&root()),
        asked_rules().map(|rule| rule.id.to_owned()).collect()
    );
    for rule in asked_rules() {
        assert_eq!(
            folders(&root().join(rule.id)),
            CASES.map(str::to_owned).into(),
            "{}",
            rule.id
        );
    }
}

#[test]
fn every_fixture_is_judged_by_its_rule() {
    for rule in asked_rules() {
        for case in CASES {
            let answer = fixture(rule, case).answer();
            let door = answer.door().unwrap();
            assert!(
                rule.doors.contains(&door),
                "{} {case} comes in at {door}",
                rule.id
            );
            let mut abstained = answer.verdict.abstained.iter();
            assert!(
                !abstained.any(|one| one.rule == rule.id),
                "{} {case} abstains",
                rule.id
            );
            assert_ne!(answer.outcome.name(), "error", "{} {case}", rule.id);
        }
    }
}

#[test]
fn what_is_flagged_is_found_and_told_as_it_was() {
    for rule in asked_rules() {
        let answer = fixture(rule, "flagged").answer();
        assert!(
            answer
                .verdict
                .standing()
                .any(|finding| finding.rule == rule.id),
            "{}",
            rule.id
        );
        insta::assert_snapshot!(rule.id, shown(&answer));
    }
}

#[test]
fn a_near_miss_is_clean_for_all_rules_and_so_is_what_followed_the_remedy() {
    for rule in asked_rules() {
        for case in ["clean", "fixed"] {
            let verdict = fixture(rule, case).answer().verdict;
            let standing: Vec<_> = verdict.standing().map(Finding::to_string).collect();
            assert!(standing.is_empty(), "{} {case}: {standing:#?}", rule.id);
        }
    }
}

#[test]
fn a_manifest_that_nobody_has_sent_yet_is_judged_as_its_record_is() {
    for rule in asked_rules().filter(|rule| rule.doors.contains(&Door::Preflight)) {
        for case in CASES {
            let fixture = fixture(rule, case);
            let Some(release) = fixture.release() else {
                continue;
            };
            let (writer, subject) = (Writer::default(), Subject::Release(release));
            let request = Request {
                door: Door::Preflight,
                operation: Operation::Create,
                writer,
                dry_run: false,
                subject,
                gaps: Vec::new(),
            };
            let judged = judge(&request, &fixture.facts, &Policy::default(), now()).findings;
            let own = |findings: Vec<Finding>| -> Vec<_> {
                findings
                    .into_iter()
                    .filter(|finding| finding.rule == rule.id)
                    .collect()
            };
            assert_eq!(
                own(judged),
                own(fixture.answer().verdict.findings),
                "{} {case}",
                rule.id
            );
        }
    }
}

#[test]
fn a_finding_names_rule_object_value_and_remedy() {
    for rule in asked_rules() {
        let fixture = fixture(rule, "flagged");
        for finding in fixture.answer().verdict.findings {
            let text = finding.to_string();
            let subject = &finding.object;
            for part in [
                finding.rule,
                &subject.kind,
                &subject.name,
                &finding.message,
                &finding.remedy,
            ] {
                assert!(
                    !part.is_empty() && text.contains(part),
                    "{text}\nlacks {part:?}"
                );
            }
            // For a deleted object or a missing field, there is no value to name.
            let gone = finding.path.is_empty() || finding.message.contains(" is missing");
            assert!(
                gone || has_value(&finding.message, &fixture.text),
                "{}: {text}\nnames no value",
                rule.id
            );
            assert!(
                finding.remedy.split(' ').count() > 2,
                "{text}\nsays too little of what to do"
            );
        }
    }
}

/// True if the message repeats a word of the fixture that prose would not contain, or a version.
fn has_value(message: &str, fixture: &str) -> bool {
    let words = message
        .split([' ', ',', ':', '(', ')', ';', '=', '/'])
        .filter(|word| !word.is_empty());
    let odd = |word: &&str| word.contains(|letter: char| !letter.is_lowercase());
    let version = |word: &str| {
        word.split('.').count() == 3 && word.split('.').all(|part| part.parse::<u8>().is_ok())
    };
    words
        .filter(odd)
        .map(|word| word.trim_matches('"'))
        .any(|word| fixture.contains(word) || version(word))
}

#[test]
fn texts_stay_short_enough_for_those_who_show_them() {
    for rule in asked_rules() {
        let answer = fixture(rule, "flagged").answer();
        let (message, warnings) = told(&answer.body);
        assert!(message.chars().count() <= LONGEST_MESSAGE, "{message}");
        assert_eq!(
            message.is_empty(),
            answer.outcome.name() != "refuse",
            "{}",
            rule.id
        );
        let warned: BTreeSet<_> = answer
            .verdict
            .with(Outcome::Warned)
            .map(|finding| finding.rule)
            .collect();
        assert_eq!(warnings.len(), warned.len(), "{}: one line a rule", rule.id);
        assert!(
            warnings
                .iter()
                .all(|warning| warning.chars().count() <= LONGEST_WARNING),
            "{warnings:#?}"
        );
    }
}

/// CRDs with one version, each in a group of its own.
fn definitions(count: usize, version: &str) -> String {
    let one = |number| {
        format!(
            "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
             metadata: {{name: things.g{number}.org}}\n\
             spec: {{group: g{number}.org, scope: Namespaced, names: {{kind: Thing, plural: things}}, \
             versions: [{{name: {version}, served: true, storage: true, schema: {{openAPIV3Schema: {{}}}}}}]}}\nstatus: {{storedVersions: [{version}]}}\n"
        )
    };
    (10..10 + count).map(one).collect()
}

#[test]
fn sixty_refused_objects_fit_into_one_message_that_counts_the_rest() {
    let facts = fluxkeep::case::facts::Facts::of(objects(&definitions(60, "v1"), None));
    let answer = stored(record(&definitions(60, "v2"), &[])).answer(&facts);
    assert_eq!(answer.verdict.with(Outcome::Refused).count(), 60);
    let (message, _) = told(&answer.body);
    assert!(
        message.chars().count() <= LONGEST_MESSAGE,
        "{}",
        message.chars().count()
    );
    let lines: Vec<_> = message.lines().collect();
    let [first, others, last] = lines[..] else {
        panic!("{message}");
    };
    assert!(
        first.starts_with("stored-version-dropped: CustomResourceDefinition things.g10.org at "),
        "{first}"
    );
    let named = others.matches(" (stored as v1)").count();
    assert!(named > 10, "{others}");
    assert!(
        others.starts_with("Also things.g11.org (stored as v1), ")
            && others.ends_with(&format!(", … and {} more", 59 - named)),
        "{others}"
    );
    assert_eq!(last, "More: fluxkeep explain stored-version-dropped");
}

/// CRDs whose storage version has changed, and the same CRDs without the former storage version.
fn migrated(names: [(&str, &str); 3]) -> (String, String) {
    let schema = "schema: {openAPIV3Schema: {type: object}}";
    let one = |(name, old): (&str, &str), versions: &str, stored: &str| {
        let (plural, group) = name.split_once('.').unwrap();
        let old_one = versions.replace("OLD", old);
        format!(
            "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {name}}}\n\
             spec: {{group: {group}, scope: Namespaced, names: {{kind: Thing, plural: {plural}}}, \
             versions: [{old_one}{{name: v9, served: true, storage: true, {schema}}}]}}\n{stored}"
        )
    };
    let old = format!("{{name: OLD, served: true, storage: false, {schema}}}, ");
    let live = names.map(|name| {
        let status = format!("status: {{storedVersions: [{}, v9]}}\n", name.1);
        one(name, &old, &status)
    });
    let new = names.map(|name| one(name, "", ""));
    (live.concat(), new.concat())
}

/// Three CRDs of Flux drop stored versions at once. If only one were named, the next release would
/// fail at the second.
#[test]
fn three_definitions_that_drop_versions_are_named_in_one_message_with_the_first_ones_command() {
    let (live, new) = migrated([
        ("alerts.notification.toolkit.fluxcd.io", "v1beta1"),
        ("helmreleases.helm.toolkit.fluxcd.io", "v2beta1"),
        ("ocirepositories.source.toolkit.fluxcd.io", "v1beta2"),
    ]);
    let facts = fluxkeep::case::facts::Facts::of(objects(&live, None));
    let (message, _) = told(&stored(record(&new, &[])).answer(&facts).body);
    let lines: Vec<_> = message.lines().collect();
    let [first, command, others, more] = lines[..] else {
        panic!("{message}");
    };
    assert!(first.contains("objects stored as v1beta1, "), "{first}");
    assert!(
        command.starts_with("c=alerts.notification.toolkit.fluxcd.io t=$(mktemp -d); ")
            && command.ends_with("; done"),
        "{command}"
    );
    assert_eq!(
        others,
        "Also helmreleases.helm.toolkit.fluxcd.io (stored as v2beta1), \
         ocirepositories.source.toolkit.fluxcd.io (stored as v1beta2)"
    );
    assert_eq!(more, "More: fluxkeep explain stored-version-dropped");
}

/// The earliest breakage, which the apiserver would refuse, stands before its consequences.
#[test]
fn a_refusal_begins_with_what_breaks_first_and_json_stays_sorted_by_rule() {
    let fixture = fixture(fluxkeep::rules::find("flux-downgraded").unwrap(), "flagged");
    let mut findings = fixture.answer().verdict.findings;
    let object = findings[0].clone();
    for rule in ["engine-object-unkept", "crd-scope-changed", "facts-stale"] {
        findings.push(Finding {
            rule,
            ..object.clone()
        });
    }
    let refused: Vec<&Finding> = findings.iter().collect();
    let text = fluxkeep::render::message::refusal(&refused);
    let rules: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("More: fluxkeep explain "))
        .collect();
    let place = |rule: &str| rules.iter().position(|one| *one == rule);
    assert_eq!(place("crd-scope-changed"), Some(0), "{text}");
    assert!(
        place("flux-downgraded") < place("engine-object-unkept"),
        "{text}"
    );
    for rule in asked_rules() {
        let found = self::fixture(rule, "flagged").answer().verdict.findings;
        assert!(found.is_sorted_by(|left, right| left.rule <= right.rule));
    }
}

#[test]
fn a_command_that_has_no_room_is_left_out_whole() {
    let long = "x".repeat(230);
    let live = definitions(1, "v1").replace("things.g10.org", &format!("{long}.g10.org"));
    let live = live.replace("plural: things", &format!("plural: {long}"));
    let both = live.replace(
        "versions: [",
        "versions: [{name: v2, served: true, storage: false, schema: {openAPIV3Schema: {}}}, ",
    );
    let facts = fluxkeep::case::facts::Facts::of(objects(&both, None));
    let new = live.replace("name: v1", "name: v2").replace("[v1]", "[]");
    let (message, _) = told(&stored(record(&new, &[])).answer(&facts).body);
    assert!(message.chars().count() <= LONGEST_MESSAGE, "{message}");
    let whole = message.contains("\nkubectl patch crd ") && message.contains("\"value\":true}]'\n");
    let none = !message.contains("kubectl") && message.contains("too long for this text");
    assert!(whole || none, "{message}");
}

#[test]
fn a_hundred_warnings_of_one_rule_become_one_line_that_counts_the_rest() {
    let kinds = "---\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  labels: {app.kubernetes.io/part-of: flux}\n";
    let manifest: Vec<_> = (0..100)
        .map(|number| format!("{kinds}  name: account-{number}\n"))
        .collect();
    let (message, warnings) = told(
        &stored(record(&manifest.concat(), &[]))
            .answer(&fluxkeep::case::facts::Facts::default())
            .body,
    );
    assert_eq!((message.as_str(), warnings.len()), ("", 1));
    let line = warnings.first().unwrap();
    assert!(
        line.starts_with("engine-object-unkept: ServiceAccount")
            && line.ends_with("(… and 99 more)"),
        "{line}"
    );
    assert!(line.chars().count() <= LONGEST_WARNING, "{line}");
}
