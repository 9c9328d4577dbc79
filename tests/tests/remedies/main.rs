//! Runs the printed remedies in a shell on a real apiserver, which asks the registered server about
//! every step. Afterwards every object is read back, and the refused request succeeds.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod engine;
mod shell;
mod stage;
mod storage;

use std::collections::BTreeSet;

use fluxkeep_tests::fixture::{Fixture, asked_rules, root};

/// The rules whose remedies contain a command, each with a test that runs the command.
const CARRIED_OUT: [&str; 4] = [
    "engine-deleted",
    "foreign-owner",
    "stored-version-dropped",
    "stored-versions-pruned",
];

#[test]
fn every_rule_that_prints_a_command_is_known_here() {
    let mut printing = BTreeSet::new();
    for rule in asked_rules() {
        let verdict = Fixture::read(&root().join(rule.id).join("flagged"))
            .answer()
            .verdict;
        let prints = |remedy: &str| remedy.contains("kubectl ");
        let mut own = verdict.findings.iter();
        if own.any(|finding| finding.rule == rule.id && prints(&finding.remedy)) {
            printing.insert(rule.id);
        }
    }
    // These rules print a command in some cases only, and not for their fixtures.
    printing.insert("stored-version-dropped");
    printing.insert("foreign-owner");
    assert_eq!(printing, CARRIED_OUT.into());
}
