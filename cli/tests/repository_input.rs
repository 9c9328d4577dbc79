//! `fluxkeep check` on odd repositories: every file is judged, counted as unread, or no pin. Never a
//! crash.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs::{File, create_dir_all, write};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const BOOT: &str =
    "kubectl apply -f https://github.com/fluxcd/flux2/releases/download/v2.4.0/install.yaml\n";

fn tree() -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    create_dir_all(tree.path().join(".git")).unwrap();
    write(tree.path().join("boot.sh"), BOOT).unwrap();
    tree
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_fluxkeep"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code(), said)
}

/// Asserts that the check passes and counts a file as unread, with this reason; `--strict` fails.
fn is_counted(tree: &TempDir, file: &str, why: &str) {
    let (code, said) = run(tree.path(), &["check"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("1 file not read (--verbose lists them)"),
        "{said}"
    );
    let (_, said) = run(tree.path(), &["check", "--verbose"]);
    assert!(said.contains(file) && said.contains(why), "{said}");
    let (code, said) = run(tree.path(), &["check", "--strict"]);
    assert_eq!(code, Some(1), "{said}");
}

fn git(folder: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.net"];
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(identity)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_binary_file_is_counted() {
    let tree = tree();
    write(tree.path().join("flux.dat"), b"flux\0\x01").unwrap();
    is_counted(&tree, "flux.dat", "it is binary");
}

#[test]
fn text_that_is_not_utf_8_is_counted() {
    let tree = tree();
    write(tree.path().join("flux.sh"), b"flux \xff\n").unwrap();
    is_counted(&tree, "flux.sh", "it is not UTF-8");
}

#[test]
fn a_file_of_100_megabytes_is_counted_and_not_read() {
    let tree = tree();
    let huge = File::create(tree.path().join("flux.yaml")).unwrap();
    huge.set_len(100 << 20).unwrap();
    is_counted(&tree, "flux.yaml", "it is larger than 4 MiB");
}

#[test]
fn invalid_yaml_and_templates_are_counted_and_their_lines_are_read() {
    let tree = tree();
    let template = format!(
        "{{{{- if .x }}}}\nflux: [\nrun: {}",
        BOOT.replace("2.4.0", "2.3.0")
    );
    write(tree.path().join("node.yaml"), template).unwrap();
    let (code, said) = run(tree.path(), &["check"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("pin-mismatch") && said.contains("1 file not read"),
        "{said}"
    );
}

#[test]
fn invalid_hcl_is_read_by_its_lines() {
    let tree = tree();
    let broken = "resource \"flux_bootstrap_git\" \"this\" {\n  version = \"v2.3.0\"\n";
    write(tree.path().join("main.tf"), broken).unwrap();
    assert_eq!(
        run(tree.path(), &["check"]).0,
        Some(0),
        "the block has no end: no pin"
    );
    write(tree.path().join("main.tf"), format!("{broken}}}\n}}}}{{\n")).unwrap();
    assert_eq!(run(tree.path(), &["check"]).0, Some(1));
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_are_not_followed() {
    use std::os::unix::fs::symlink;
    let tree = tree();
    symlink(".", tree.path().join("loop")).unwrap();
    symlink("b", tree.path().join("a")).unwrap();
    symlink("a", tree.path().join("b")).unwrap();
    symlink("nowhere", tree.path().join("flux.yaml")).unwrap();
    let (code, said) = run(tree.path(), &["check", "--strict"]);
    assert_eq!(code, Some(0), "{said}");
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_counted() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    let tree = tree();
    let path = tree.path().join("flux.yaml");
    write(&path, "flux: 1\n").unwrap();
    set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    // The superuser reads it anyway.
    if std::fs::read(&path).is_err() {
        is_counted(&tree, "flux.yaml", "denied");
    } else {
        assert_eq!(run(tree.path(), &["check"]).0, Some(0));
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_opened() {
    let tree = tree();
    let made = Command::new("mkfifo")
        .arg(tree.path().join("flux.yaml"))
        .status();
    if made.is_ok_and(|status| status.success()) {
        assert_eq!(run(tree.path(), &["check"]).0, Some(0));
    }
}

#[test]
fn without_git_the_folder_is_the_repository() {
    let tree = tempfile::tempdir().unwrap();
    write(tree.path().join("boot.sh"), BOOT).unwrap();
    let (code, said) = run(tree.path(), &["check"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 pin in 1 group"), "{said}");
}

#[test]
fn a_repository_without_flux_passes_in_a_line() {
    let tree = tempfile::tempdir().unwrap();
    write(tree.path().join("a.yaml"), "a: 1\n").unwrap();
    let (code, said) = run(tree.path(), &["check"]);
    assert_eq!((code, said.lines().count()), (Some(0), 1), "{said}");
}

#[test]
fn a_bare_repository_is_refused_with_the_way_on() {
    let tree = tempfile::tempdir().unwrap();
    git(tree.path(), &["init", "--quiet", "--bare"]);
    let (code, said) = run(tree.path(), &["check"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("check out a work tree"), "{said}");
}

#[test]
fn a_revision_is_compared_without_touching_the_work_tree() {
    let tree = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| write(tree.path().join(name), text).unwrap();
    git(tree.path(), &["init", "--quiet"]);
    write("boot.sh", BOOT);
    write("node.sh", &BOOT.replace("2.4.0", "2.3.0"));
    git(tree.path(), &["add", "--all"]);
    git(tree.path(), &["commit", "--quiet", "--message", "one"]);
    assert_eq!(run(tree.path(), &["check"]).0, Some(1));
    let (code, said) = run(tree.path(), &["check", "--base", "HEAD"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 known before the change"), "{said}");

    write("node.sh", &BOOT.replace("2.4.0", "2.2.0"));
    write("new.sh", "flux reconcile\n");
    let (code, said) = run(tree.path(), &["check", "--base", "HEAD"]);
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = run(tree.path(), &["check", "--base", "--output=x"]);
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = run(tree.path(), &["check", "--base", "nowhere"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("reading the revision \"nowhere\""), "{said}");
}

#[test]
fn annotations_name_file_line_and_columns() {
    let tree = tree();
    let older = BOOT.replace("2.4.0", "2.3.0");
    write(tree.path().join("a,b.sh"), older).unwrap();
    let (code, said) = run(tree.path(), &["check", "--output", "github"]);
    assert_eq!(code, Some(1), "{said}");
    let expected =
        "::error title=pin-mismatch,file=a%2Cb.sh,line=1,col=68,endColumn=74::install.yaml v2.3.0";
    assert!(said.starts_with(expected), "{said}");
    assert!(
        said.ends_with("refuse: 1 refused; 2 pins in 1 group\n"),
        "{said}"
    );
}
