//! The registration sends everything that a rule could find and keeps strangers apart. The twin
//! refuses as the webhook does.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod appliers;
mod gates;
mod grant;
mod hidden;
mod mutation;
mod twin;

use std::collections::BTreeSet;

use fluxkeep::admission::ReviewOutcome;
use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::request::Door;
use fluxkeep::case::verdict::Decision;
use fluxkeep::rules::RULES;
use fluxkeep_cluster::BUILT_IN;
use fluxkeep_tests::apiserver::Apiserver;
use fluxkeep_tests::fixture::{Fixture, objects, root};
use fluxkeep_tests::now;
use fluxkeep_webhook::registration::{Address, GATES, KnownReleases, Registration};

pub(crate) fn registration() -> Registration {
    let address = Address::Url("https://fluxkeep.example.org".to_owned());
    Registration {
        address,
        authority: None,
        releases: vec!["fluxkeep".to_owned()],
    }
}

pub(crate) fn apiserver(policy: &Policy) -> Apiserver {
    apiserver_knowing(policy, &KnownReleases::default())
}

pub(crate) fn apiserver_knowing(policy: &Policy, known: &KnownReleases) -> Apiserver {
    Apiserver::with(registration().manifests(policy, known))
}

pub(crate) fn facts() -> Facts {
    Facts::of(objects(BUILT_IN, None))
}

pub(crate) fn decision(body: &[u8], facts: &Facts) -> Decision {
    match fluxkeep::admission::answer(body, facts, &Policy::default(), now()).outcome {
        ReviewOutcome::Judged(decision) => decision,
        ReviewOutcome::Amended => panic!("nothing is asked to be changed"),
        ReviewOutcome::NotAReview(why) => panic!("{why}"),
    }
}

#[test]
fn every_rule_of_an_admission_door_has_a_gate() {
    let at_doors = RULES
        .into_iter()
        .filter(|rule| rule.doors.iter().any(|door| Door::ADMISSION.contains(door)));
    let asked: BTreeSet<_> = GATES
        .iter()
        .flat_map(|gate| gate.rules().map(|rule| rule.id))
        .collect();
    assert_eq!(at_doors.map(|rule| rule.id).collect::<BTreeSet<_>>(), asked);
}

#[test]
fn whatever_a_rule_finds_in_a_fixture_is_sent_and_to_one_webhook_only() {
    let apiserver = apiserver(&Policy::default());
    let mut sent = 0;
    for folder in folders() {
        let fixture = Fixture::read(&folder);
        let asked = apiserver.asks(&fixture.body());
        let found = fixture.answer().verdict.findings.len();
        assert!(
            found == 0 || asked.len() == 1,
            "{}: {found} found, sent to {asked:?}",
            folder.display()
        );
        assert!(asked.len() <= 1, "{}: sent to {asked:?}", folder.display());
        sent += found.min(1);
    }
    assert!(sent >= 19, "only {sent} fixtures have findings");
}

#[test]
fn what_fails_closed_and_what_fails_open_is_sent_to_paths_of_their_own() {
    let manifests = registration().manifests(&Policy::default(), &KnownReleases::default());
    let mut seen = BTreeSet::new();
    for manifest in &manifests {
        let phase = match manifest.body["kind"].as_str().unwrap() {
            "MutatingWebhookConfiguration" => "mutate",
            "ValidatingWebhookConfiguration" => "validate",
            _ => continue,
        };
        for webhook in manifest.body["webhooks"].as_array().unwrap() {
            let lane = match webhook["failurePolicy"].as_str().unwrap() {
                "Fail" => "engine",
                _ => "others",
            };
            let path = format!("/{phase}/{lane}");
            let url = webhook["clientConfig"]["url"].as_str().unwrap();
            assert_eq!(
                url,
                format!("https://fluxkeep.example.org{path}"),
                "{webhook}"
            );
            seen.insert(path);
        }
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}

pub(crate) fn folders() -> Vec<std::path::PathBuf> {
    let read = |folder: &std::path::Path| {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
    };
    read(&root())
        .flat_map(|rule| read(&rule).collect::<Vec<_>>())
        .collect()
}
