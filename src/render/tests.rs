#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::case::finding::{Finding, Level, Override};
use crate::case::rule::Need;
use crate::case::verdict::Abstained;
use crate::object::{Object, SourceLocation};

fn finding(rule: &'static str, level: Level, name: &str) -> Finding {
    let object = Object {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: Some("flux-system".to_owned()),
        name: name.to_owned(),
        source: Some(SourceLocation {
            file: "a b/c.yaml".to_owned(),
            line: 3,
            column: 1,
            end: None,
        }),
        ..Object::default()
    };
    let found = Finding::about(
        &object,
        "/spec",
        "it is \"<1>\" ]]> & 2".to_owned(),
        "Make it 3".to_owned(),
    );
    Finding {
        rule,
        level,
        ..found
    }
}

/// A finding of each outcome, two alike, one without a place, and an abstention.
fn verdict() -> Verdict {
    let excused = Override {
        reason: "CHG-1".to_owned(),
        until: Some("2026-12-01T00:00:00Z".parse().unwrap()),
        by: "the policy".to_owned(),
    };
    let overridden = Finding {
        excused: Some(excused),
        ..finding("foreign-owner", Level::Enforce, "b")
    };
    let evil = Finding {
        source: None,
        ..finding("stored-version-dropped", Level::Enforce, "e\u{1b}[2Jf")
    };
    Verdict {
        findings: vec![
            finding("engine-object-unkept", Level::Warn, "a"),
            finding("engine-object-unkept", Level::Warn, "b"),
            overridden,
            finding("storage-version-regressed", Level::Audit, "c"),
            evil,
        ],
        abstained: vec![Abstained {
            rule: "flux-downgraded",
            needs: Need::ChartFlux,
        }],
    }
}

#[test]
fn text_groups_what_is_alike_and_ends_with_the_sum() {
    insta::assert_snapshot!("text", render(&verdict(), Format::Text, false));
}

#[test]
fn colour_is_only_there_when_asked_for() {
    assert!(render(&verdict(), Format::Text, true).contains("\u{1b}[1;31mrefused\u{1b}[0m"));
    assert!(!render(&verdict(), Format::Text, false).contains('\u{1b}'));
    assert_eq!(
        render(&Verdict::default(), Format::Text, false),
        "allow: nothing found\n"
    );
}

#[test]
fn json_has_the_shape_that_other_programs_hold_on_to() {
    insta::assert_snapshot!("json", render(&verdict(), Format::Json, false));
}

#[test]
fn sarif_names_rules_places_and_suppressions() {
    let sarif: Value = serde_json::from_str(&render(&verdict(), Format::Sarif, false)).unwrap();
    let run = &sarif["runs"][0];
    assert_eq!(sarif["version"], "2.1.0");
    assert_eq!(
        run["tool"]["driver"]["rules"].as_array().unwrap().len(),
        crate::rules::RULES.len()
    );
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(
            run["tool"]["driver"]["rules"][index]["id"],
            result["ruleId"]
        );
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
    }
    let mut moved = verdict();
    for finding in &mut moved.findings {
        finding.source = None;
    }
    let moved: Value = serde_json::from_str(&render(&moved, Format::Sarif, false)).unwrap();
    let prints = |sarif: &Value| -> BTreeSet<String> {
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        let prints = results.iter();
        prints
            .map(|result| result["partialFingerprints"]["findingHash/v1"].to_string())
            .collect()
    };
    assert_eq!(prints(&moved), prints(&sarif), "lines move");
    assert_eq!(
        prints(&sarif).len(),
        run["results"].as_array().unwrap().len(),
        "each finding is another"
    );
    insta::assert_snapshot!("sarif_results", pretty(&run["results"]));
    insta::assert_snapshot!("sarif_invocations", pretty(&run["invocations"]));
}

#[test]
fn junit_fails_what_is_refused_and_skips_what_abstained() {
    insta::assert_snapshot!("junit", render(&verdict(), Format::Junit, false));
}
