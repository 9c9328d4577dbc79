//! The workflows of GitHub Actions: linted, with every action pinned, and with the commands that exist.

#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::Command;

use fluxkeep_tests::control_plane::{folder, program, said};
use regex::Regex;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn workflows() -> Vec<(PathBuf, String)> {
    let folder = root().join(".github/workflows").read_dir().unwrap();
    let paths = folder.map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// The findings of actionlint; empty if it has none.
fn linted(path: &Path) -> String {
    let mut command = Command::new(program("actionlint"));
    // Neither program belongs to this test.
    command
        .args(["-no-color", "-shellcheck=", "-pyflakes="])
        .arg(path);
    let output = command.current_dir(root()).output().unwrap();
    assert_eq!(
        output.status.success(),
        said(&output).is_empty(),
        "{output:?}"
    );
    said(&output)
}

#[test]
fn actionlint_finds_nothing_and_would_find_a_step_or_job_that_is_not_there() {
    for (path, text) in workflows() {
        assert_eq!(linted(&path), "");
        let broken = folder("workflow").join("broken.yml");
        let bad = text.replace("runs-on:", "run-on:");
        std::fs::write(&broken, bad).unwrap();
        assert!(linted(&broken).contains("run-on"), "{}", path.display());
    }
    let release = root().join(".github/workflows/release.yml");
    let text = std::fs::read_to_string(release).unwrap();
    let broken = folder("workflow").join("broken.yml");
    std::fs::write(&broken, text.replace("needs.version.", "needs.versions.")).unwrap();
    assert!(linted(&broken).contains("versions"));
}

/// A tag can be moved by whoever takes over the action's repository; a commit cannot.
#[test]
fn every_action_is_a_commit_and_no_workflow_has_rights_but_those_of_its_jobs() {
    let pinned = Regex::new(r"^[a-z-]+/[a-z-]+@[0-9a-f]{40} # v[0-9.]+$").unwrap();
    for (path, text) in workflows() {
        let uses = text.lines().filter_map(|line| line.split_once("uses: "));
        for (_, action) in uses {
            assert!(pinned.is_match(action), "{}: {action}", path.display());
        }
        assert!(text.contains("\npermissions: {}\n"), "{}", path.display());
    }
}

#[test]
fn each_file_and_target_that_a_workflow_names_is_there() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let run = Regex::new(
        r"(?:run: | )((?:dist|image)/[a-z]+\.sh|\.ci/run|deploy/[a-z]+\.yaml|charts/[a-z]+)\b",
    )
    .unwrap();
    let make = Regex::new("run: make ([a-z ]+)").unwrap();
    let mut found = 0;
    for (_, text) in workflows() {
        for file in run.captures_iter(&text) {
            assert!(root().join(&file[1]).exists(), "{}", &file[1]);
            found += 1;
        }
        for targets in make.captures_iter(&text) {
            for target in targets[1].split(' ') {
                assert!(makefile.contains(&format!("\n{target}:")), "{target}");
                found += 1;
            }
        }
    }
    assert!(found >= 7, "{found}");
}
