//! README and guides agree with the programs: commands, flags, versions, rights and links.

#![allow(clippy::expect_used, clippy::panic, missing_docs)]

mod pages;
mod programs;
mod shell;

use std::collections::BTreeSet;

use clap::{Command, CommandFactory};
use fluxkeep::flux::catalogue::Catalogue;
use fluxkeep::rules::RULES;
use fluxkeep_cluster::rbac::{cluster_rules, engine_rules};

use pages::{Page, blocks, code, handwritten, read};
use programs::{OURS, calls, refused};

/// Programs of others in the guides. Their flags are not checked.
const OTHERS: [&str; 10] = [
    "cargo", "cosign", "done", "echo", "export", "flux", "for", "helm", "kubectl", "ln",
];
/// Flags of others that pages name.
const FLAGS_OF_OTHERS: [&str; 5] = [
    "--admission-control-config-file",
    "--force-conflicts",
    "--post-renderer",
    "--take-ownership",
    "--verify",
];

/// The commands in a page's blocks of shell, and those of our programs in its blocks of YAML.
fn commands(page: &Page) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (language, text) in blocks(&page.text) {
        if language == "sh" {
            found.extend(shell::commands(&text));
        } else if language == "yaml" {
            let bare = |line: &str| {
                line.trim_start()
                    .trim_start_matches("- ")
                    .trim_start_matches("run: ")
                    .to_owned()
                    + "\n"
            };
            let text: String = text.lines().map(bare).collect();
            let mut calls = shell::commands(&text);
            calls.retain(|words| {
                OURS.iter()
                    .any(|program| words.first().is_some_and(|word| word == program))
            });
            found.extend(calls);
        }
    }
    found
}

#[test]
fn every_command_in_readme_and_guides_is_one_that_its_program_takes() {
    let makefile = read("Makefile");
    let mut checked = 0;
    for page in handwritten() {
        for words in commands(&page) {
            let line = words.join(" ");
            let program = words.first().map(String::as_str).unwrap_or_default();
            if program == "make" {
                let target = words.get(1).map(String::as_str).unwrap_or_default();
                assert!(
                    makefile.contains(&format!("\n{target}:")),
                    "{}: {line}: no such target",
                    page.name
                );
                continue;
            }
            let calls = calls(&words);
            let known = !calls.is_empty() || OTHERS.contains(&program);
            assert!(
                known,
                "{}: {line}: {program} is no program of ours; if it is meant, list it in OTHERS",
                page.name
            );
            for call in calls {
                let error = refused(&call);
                assert!(
                    error.is_none(),
                    "{}: {line}: {}",
                    page.name,
                    error.unwrap_or_default()
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "only {checked} commands were found");
}

/// The long flags of a program and its subcommands.
fn flags(command: &Command, all: &mut BTreeSet<String>) {
    all.extend(
        command
            .get_arguments()
            .filter_map(|flag| Some(format!("--{}", flag.get_long()?))),
    );
    for sub in command.get_subcommands() {
        flags(sub, all);
    }
}

#[test]
fn every_flag_that_a_page_names_exists() {
    let mut known: BTreeSet<String> = FLAGS_OF_OTHERS.map(str::to_owned).into();
    known.extend(["--help", "--version"].map(str::to_owned));
    flags(&fluxkeep_cli::Cli::command(), &mut known);
    flags(&fluxkeep_webhook::Args::command(), &mut known);
    flags(&fluxkeep_postrenderer::Cli::command(), &mut known);
    for page in handwritten() {
        for span in code(&page.text) {
            let flag = span.split([' ', '=']).next().unwrap_or_default();
            let is_flag = flag.starts_with("--") && flag.len() > 2;
            assert!(
                !is_flag || known.contains(flag),
                "{} names {flag}, which no program has",
                page.name
            );
        }
    }
}

#[test]
fn the_readme_stays_a_landing_page_of_under_900_words() {
    let words = read("README.md").split_whitespace().count();
    assert!(
        words < 900,
        "README.md has {words} words; move detail into a guide in docs/"
    );
}

#[test]
fn the_readme_names_the_versions_that_the_tests_run_against() {
    let readme = read("README.md");
    let table = readme
        .split("## Versions tested")
        .nth(1)
        .expect("the table");
    let modules = [
        ("kubernetes", "k8s.io/kubernetes"),
        ("helm-3", "helm.sh/helm/v3"),
        ("helm-4", "helm.sh/helm/v4"),
        ("helm-controller", "github.com/fluxcd/helm-controller"),
        (
            "kustomize-controller",
            "github.com/fluxcd/kustomize-controller",
        ),
        (
            "flux-operator",
            "github.com/controlplaneio-fluxcd/flux-operator",
        ),
    ];
    for (folder, module) in modules {
        let file = read(&format!("tests/control-plane/{folder}/go.mod"));
        let wanted = format!("\t{module} v");
        let line = file.split(&wanted).nth(1).expect("the module is required");
        let version = line.split_whitespace().next().expect("a version");
        assert!(
            table.contains(version),
            "README.md does not name {module} {version}"
        );
    }
    let newest = Catalogue::built_in().newest().expect("a release");
    let newest = newest.version.to_string();
    assert!(
        table.contains(&newest),
        "README.md does not name Flux {newest}"
    );
}

#[test]
fn the_ci_guide_names_the_resources_that_a_snapshot_lists() {
    let guide = read("docs/ci.md");
    let rights = guide
        .split("## Required rights")
        .nth(1)
        .expect("the section");
    let rules = cluster_rules(&RULES)
        .into_iter()
        .chain(engine_rules(&RULES));
    for resource in rules.filter_map(|rule| rule.resources).flatten() {
        assert!(
            rights.contains(&format!("`{resource}`")),
            "docs/ci.md does not name {resource}"
        );
    }
}

#[test]
fn every_link_between_pages_leads_to_a_file_and_a_heading() {
    for page in pages::all() {
        for target in page.links() {
            if let Some(fault) = page.fault(&target) {
                panic!("{} links to {target}: {fault}", page.name);
            }
        }
    }
}

#[test]
fn the_index_names_every_page_of_the_documentation() {
    let index = read("docs/README.md");
    for page in pages::all() {
        let file = page.name.strip_prefix("docs/").unwrap_or_default();
        let is_named =
            file.is_empty() || file == "README.md" || index.contains(&format!("({file})"));
        assert!(is_named, "docs/README.md does not name {file}");
    }
}
