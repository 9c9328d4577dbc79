#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;

const CASES: &str = include_str!("cases.tsv");

/// The number of cases, and the differing answers as `range: ours, theirs`.
fn differing(cases: &str) -> (usize, Vec<String>) {
    let header = cases
        .lines()
        .find_map(|line| line.strip_prefix("# versions: "))
        .expect("a header");
    let versions: Vec<Version> = header
        .split(' ')
        .map(|text| version(text).unwrap())
        .collect();
    let rows: Vec<_> = cases
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .collect();
    let ours = |range: &str| match Range::parse(range) {
        Err(_) => "invalid".to_owned(),
        Ok(range) => versions
            .iter()
            .map(|version| if range.matches(version) { '1' } else { '0' })
            .collect(),
    };
    let differs = |(theirs, range): &(&str, &str)| {
        let ours = ours(&range.replace("\\t", "\t"));
        (ours != *theirs).then(|| format!("{range}: ours {ours}, theirs {theirs}"))
    };
    (rows.len(), rows.iter().filter_map(differs).collect())
}

#[test]
fn every_range_means_what_masterminds_takes_it_for() {
    let (count, differing) = differing(CASES);
    assert!(count > 400, "{count}");
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn the_newest_match_is_chosen_by_number_and_not_by_letter() {
    let versions = ["2.9.0", "2.13.0", "2.14.1", "3.0.0-rc.1"].map(|text| version(text).unwrap());
    let newest = |range: &str| {
        Range::parse(range)
            .unwrap()
            .newest(&versions)
            .map(ToString::to_string)
    };
    assert_eq!(newest("2.x").as_deref(), Some("2.14.1"));
    assert_eq!(newest("*").as_deref(), Some("2.14.1"));
    assert_eq!(newest(">3.0.0-0").as_deref(), Some("3.0.0-rc.1"));
    assert_eq!(newest("4.x"), None);
}

#[test]
fn versions_may_be_short_and_led_by_a_v() {
    assert_eq!(version("v2"), version("2.0.0"));
    for text in ["", "v", "2.x", "2.4.0 ", "latest", "2.4.0-", "2..0"] {
        assert_eq!(version(text), None, "{text}");
    }
}

#[test]
fn a_range_that_is_too_long_is_refused_and_not_read() {
    assert!(Range::parse(&"1 ".repeat(LONGEST_RANGE)).is_err());
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,40}", other in "[0-9xX*.v^~<>=!|, -]{0,40}") {
        for text in [text, other] {
            if let Ok(range) = Range::parse(&text) {
                let _ = range.matches(&Version::new(1, 2, 3));
            }
        }
    }

    #[test]
    fn an_exact_version_matches_itself_alone(left in (0u64..4, 0u64..4, 0u64..4), right in (0u64..4, 0u64..4, 0u64..4)) {
        let at = |(major, minor, patch)| Version::new(major, minor, patch);
        let range = Range::parse(&at(left).to_string()).unwrap();
        let wide = left == (0, 0, 0);
        prop_assert_eq!(range.matches(&at(right)), left == right, "{}", wide);
    }
}
