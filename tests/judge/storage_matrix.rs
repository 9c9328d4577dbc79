//! Compares `stored-version-dropped`'s rule and catalogue with a real apiserver's 2,700 answers to
//! one Flux release over another.

#![allow(clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::crd::{Definition, dropped};
use fluxkeep::flux::catalogue::{Catalogue, FluxRelease};

const MATRIX: &str = include_str!("storage-matrix.tsv");

/// The columns before the answers: case, definition, from, spec, stored.
pub(crate) const KEYS: usize = 5;

/// The matrix's releases, from its header.
fn path() -> Vec<&'static FluxRelease> {
    let header = lines().next().expect("the matrix has a header");
    header.into_iter().skip(KEYS).map(release).collect()
}

pub(crate) fn lines() -> impl Iterator<Item = Vec<&'static str>> {
    MATRIX
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
}

pub(crate) fn release(number: &str) -> &'static FluxRelease {
    let version = number
        .parse()
        .expect("the matrix names releases by their numbers");
    Catalogue::built_in()
        .release(&version)
        .expect("the catalogue knows every release of the matrix")
}

/// A definition in a cluster.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) spec: Option<&'static FluxRelease>,
    pub(crate) stored: Vec<String>,
}

impl Held {
    /// Applies a release's definition unless refused; its storage version joins the stored ones.
    pub(crate) fn apply(mut self, crd: &str, release: &'static FluxRelease) -> Self {
        let Some(definition) = offered(crd, release) else {
            return self;
        };
        if dropped(&self.lives(crd), &definition).next().is_some() {
            return self;
        }
        self.spec = Some(release);
        let storage = definition.storage().map(str::to_owned);
        self.stored
            .extend(storage.filter(|version| !self.stored.contains(version)));
        self
    }

    /// The definition with its status.
    fn lives(&self, crd: &str) -> Definition {
        let definition = self.spec.and_then(|release| offered(crd, release));
        Definition {
            stored: self.stored.clone(),
            ..definition.unwrap_or_default()
        }
    }

    /// The answer to a release's definition, in the matrix's words.
    pub(crate) fn answer(&self, crd: &str, release: &FluxRelease) -> String {
        match (self.spec, offered(crd, release)) {
            (None, None) => "ABSENT".into(),
            (None, Some(_)) => "NEW".into(),
            (Some(_), None) => "GONE".into(),
            (Some(_), Some(definition)) => {
                let live = self.lives(crd);
                let lost: Vec<_> = dropped(&live, &definition).collect();
                if lost.is_empty() {
                    "OK".into()
                } else {
                    lost.join(",")
                }
            }
        }
    }
}

fn offered(crd: &str, release: &FluxRelease) -> Option<Definition> {
    release
        .crd(crd)
        .map(fluxkeep::flux::catalogue::Offer::definition)
}

/// The definition in a cluster that reached `from` in one of the matrix's two ways.
fn held(case: &str, crd: &str, from: &'static FluxRelease) -> Held {
    let passed = path().into_iter().filter(|release| match case {
        "fresh" => *release == from,
        "grown" => release.version <= from.version,
        other => unreachable!("the matrix has no case {other}"),
    });
    passed.fold(Held::default(), |held, release| held.apply(crd, release))
}

/// The matrix's line as the catalogue and the rule predict it.
fn predicted(case: &str, crd: &str, from: &str) -> Vec<String> {
    let held = held(case, crd, release(from));
    let spec = held
        .spec
        .map_or("-".into(), |release| release.version.to_string());
    let stored = if held.stored.is_empty() {
        "-".into()
    } else {
        held.stored.join(",")
    };
    let keys = [case.into(), crd.into(), from.into(), spec, stored];
    let answers = path().into_iter().map(|to| {
        let asked = to.version.to_string() != from;
        if asked {
            held.answer(crd, to)
        } else {
            "=".into()
        }
    });
    keys.into_iter().chain(answers).collect()
}

#[test]
fn every_answer_of_the_apiserver_is_predicted() {
    let mut answers = 0;
    for line in lines().skip(1) {
        let [case, crd, from, ..] = line[..] else {
            unreachable!("a line has {KEYS} keys")
        };
        assert_eq!(predicted(case, crd, from), line);
        answers += line
            .iter()
            .skip(KEYS)
            .filter(|answer| **answer != "=")
            .count();
    }
    assert_eq!(answers, 2_700);
}

#[test]
fn the_matrix_holds_every_definition_of_the_catalogue_both_ways_from_every_release() {
    let mut asked: Vec<_> = lines()
        .skip(1)
        .map(|line| (line[0], line[1], line[2].to_owned()))
        .collect();
    asked.sort_unstable();
    let newest = path().pop().expect("the matrix has releases");
    let mut wanted = Vec::new();
    for crd in &newest.crds {
        for from in path() {
            wanted.extend(
                ["fresh", "grown"].map(|case| (case, crd.name.as_str(), from.version.to_string())),
            );
        }
    }
    wanted.sort_unstable();
    assert_eq!(asked, wanted);
}

#[test]
fn a_cluster_that_grew_through_every_release_is_stuck_long_before_the_newest() {
    let releases = held(
        "grown",
        "helmreleases.helm.toolkit.fluxcd.io",
        release("2.9.4"),
    );
    assert_eq!(releases.spec, Some(release("2.6.4")));
    assert_eq!(releases.stored, ["v2beta1", "v2beta2", "v2"]);
}

#[test]
fn the_way_back_from_2_4_to_2_3_is_refused_for_buckets_alone() {
    let (from, to) = (release("2.4.0"), release("2.3.0"));
    let lost: Vec<_> = from
        .crds
        .iter()
        .filter(|crd| held("fresh", &crd.name, from).answer(&crd.name, to) != "OK")
        .map(|crd| crd.name.as_str())
        .collect();
    assert_eq!(lost, ["buckets.source.toolkit.fluxcd.io"]);
}
