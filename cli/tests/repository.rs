//! `fluxkeep check` and `fluxkeep bump` as programs: exit codes, walking, and written files.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs::{create_dir_all, read_to_string, write};
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const BOOT: &str = "#cloud-config\r\nruncmd:\r\n  - kubectl apply -f \
    https://github.com/fluxcd/flux2/releases/download/v2.4.0/install.yaml # boots\r\n";
const CHART: &str = "apiVersion: v2\nname: engine\nversion: 1.0.0\ndependencies:\n  - name: flux2\n    \
    version: \"2.13.0\"\n    repository: https://fluxcd-community.github.io/helm-charts\n";

/// A work tree that boots Flux 2.4.0 and installs a chart with Flux 2.3.0.
fn incident() -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    for folder in [".git", "boot", "engine"] {
        create_dir_all(tree.path().join(folder)).unwrap();
    }
    write(tree.path().join("boot/user-data.yaml"), BOOT).unwrap();
    write(tree.path().join("engine/Chart.yaml"), CHART).unwrap();
    tree
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fluxkeep"));
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8([stdout, stderr].concat()).unwrap();
    (status.code(), said)
}

#[test]
fn a_mismatch_is_refused_and_a_bump_ends_it() {
    let tree = incident();
    let (code, said) = run(tree.path(), &["check"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("pin-mismatch"), "{said}");

    let shown = run(tree.path(), &["bump", "2.4.0", "--dry-run"]);
    assert!(shown.1.contains("engine/Chart.yaml"), "{}", shown.1);
    let chart = tree.path().join("engine/Chart.yaml");
    assert_eq!(
        read_to_string(&chart).unwrap(),
        CHART,
        "a dry run writes nothing"
    );

    let (code, said) = run(tree.path(), &["bump", "2.4.0"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        read_to_string(&chart).unwrap().contains("version: \"2.14."),
        "{said}"
    );
    let boot = tree.path().join("boot/user-data.yaml");
    assert_eq!(
        read_to_string(boot).unwrap(),
        BOOT,
        "a file without a change stays as it is"
    );
    assert_eq!(run(tree.path(), &["check"]).0, Some(0));
    let (code, said) = run(tree.path(), &["bump", "2.4.0"]);
    assert_eq!(code, Some(0));
    assert!(said.contains("nothing to move"), "{said}");
}

/// The folder limits only what is shown.
#[test]
fn a_folder_without_a_finding_passes() {
    let tree = incident();
    create_dir_all(tree.path().join("apps")).unwrap();
    assert_eq!(run(tree.path(), &["check", "apps"]).0, Some(0));
}

#[test]
fn a_repository_within_is_counted_and_not_read() {
    let tree = incident();
    write(
        tree.path().join("engine/Chart.yaml"),
        CHART.replace("2.13.0", "2.14.0"),
    )
    .unwrap();
    let inner = tree.path().join("vendored");
    create_dir_all(inner.join(".git")).unwrap();
    write(inner.join("boot.yaml"), BOOT.replace("v2.4.0", "v2.0.0")).unwrap();
    let (code, said) = run(tree.path(), &["check", "--verbose"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("vendored") && said.contains("a repository of its own"),
        "{said}"
    );
    assert_eq!(run(tree.path(), &["check", "--strict"]).0, Some(1));
}

#[test]
fn wrong_input_ends_with_its_reason() {
    let tree = incident();
    for (arguments, told) in [
        (&["check", "nowhere"][..], "reading nowhere"),
        (&["bump", "two"], "is no version of Flux"),
        (&["bump", "2.4.0", "--group", "nowhere"], "nowhere"),
    ] {
        let (code, said) = run(tree.path(), arguments);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(told), "{said}");
    }
}
