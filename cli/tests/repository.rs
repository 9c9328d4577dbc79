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

#[test]
fn a_repair_writes_what_its_dry_run_shows() {
    let tree = incident();
    let chart = tree.path().join("engine/Chart.yaml");
    let (code, shown) = run(tree.path(), &["check", "--fix", "--dry-run"]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("--- a/engine/Chart.yaml"), "{shown}");
    assert!(
        shown.contains("-    version: \"2.13.0\"\n+    version: \"2.14."),
        "{shown}"
    );
    assert_eq!(read_to_string(&chart).unwrap(), CHART);
    let (code, said) = run(tree.path(), &["check", "--fix"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(read_to_string(&chart).unwrap().contains("version: \"2.14."));
    let (_, again) = run(tree.path(), &["check", "--fix"]);
    assert!(again.starts_with("nothing to move\n"), "{again}");
}

#[test]
fn planted_releases_are_found_and_a_lone_pin_is_called_unguarded() {
    let tree = incident();
    let (code, said) = run(tree.path(), &["check", "--self-test"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with("2 of 2 planted releases were found\n"),
        "{said}"
    );
    std::fs::remove_dir_all(tree.path().join("engine")).unwrap();
    let (code, said) = run(tree.path(), &["check", "--self-test"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("unguarded  boot/user-data.yaml:3"), "{said}");
}

#[test]
fn a_chart_that_the_catalogue_lacks_is_named_by_hand() {
    let tree = incident();
    let (code, said) = run(tree.path(), &["bump", "2.5.0"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--chart"), "{said}");
    run(tree.path(), &["bump", "2.5.0", "--chart", "2.99.0"]);
    let chart = read_to_string(tree.path().join("engine/Chart.yaml")).unwrap();
    assert!(chart.contains("version: \"2.99.0\""), "{chart}");
}

#[test]
fn the_snapshot_of_a_cluster_decides_what_is_refused() {
    let tree = incident();
    std::fs::remove_dir_all(tree.path().join("engine")).unwrap();
    let crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: helmreleases.helm.toolkit.fluxcd.io}\nspec:\n  group: helm.toolkit.fluxcd.io\n  scope: Namespaced\n  names: {kind: HelmRelease, plural: helmreleases}\n  versions:\n    - {name: v2, served: true, storage: true}\n    - {name: v2beta1, served: true, storage: false}\nstatus: {storedVersions: [v2beta1, v2]}\n";
    write(tree.path().join("cluster.yaml"), crd).unwrap();
    let newest = ["bump", "2.8.8", "--snapshot", "cluster.yaml"];
    let (code, said) = run(tree.path(), &newest);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("helmreleases.helm.toolkit.fluxcd.io (v2beta1)"),
        "{said}"
    );
    let pruned = crd.replace("[v2beta1, v2]", "[v2]");
    write(tree.path().join("cluster.yaml"), pruned).unwrap();
    let (code, said) = run(tree.path(), &newest);
    assert_eq!(code, Some(0), "{said}");
}

/// A bump that is killed while it writes leaves each file old or new.
#[cfg(unix)]
#[test]
fn a_cut_off_bump_leaves_every_file_whole() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let tree = tempfile::tempdir().unwrap();
    create_dir_all(tree.path().join(".git")).unwrap();
    let (old, new) = (BOOT.to_owned(), BOOT.replace("2.4.0", "2.5.1"));
    let name = |number: usize| tree.path().join(format!("{number}.yaml"));
    (0..200).for_each(|number| write(name(number), &old).unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_fluxkeep"))
        .current_dir(tree.path())
        .args(["bump", "2.5.1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The plan is printed before the first file is written.
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    for number in 0..200 {
        let text = read_to_string(name(number)).unwrap();
        assert!(text == old || text == new, "{number}: {text:?}");
    }
    let (code, said) = run(tree.path(), &["bump", "2.5.1"]);
    assert_eq!(code, Some(0), "{said}");
    assert!((0..200).all(|number| read_to_string(name(number)).unwrap() == new));
}
