//! The wrappers of `fluxkeep check` for CI: short, and their commands as written give the check's
//! answer. The project's own repository is clean.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::fs::{create_dir_all, read_to_string, write};
use std::path::{Path, PathBuf};
use std::process::Command;

use fluxkeep::yaml::{Paths, documents};
use serde_json::Value;
use tempfile::TempDir;

fn root() -> PathBuf {
    let cli = Path::new(env!("CARGO_MANIFEST_DIR"));
    cli.parent().unwrap().to_owned()
}

/// A wrapper, which has at most 15 lines.
fn wrapper(name: &str) -> Value {
    let text = read_to_string(root().join(name)).unwrap();
    assert!(text.lines().count() <= 15, "{name}");
    let document = documents(&text).next().unwrap();
    document.read_paths(&Paths::Whole).unwrap()
}

/// A repository with two releases of Flux for one cluster.
fn mismatch() -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    create_dir_all(tree.path().join(".git")).unwrap();
    for (name, version) in [("a.sh", "2.4.0"), ("b.sh", "2.3.0")] {
        let url = "https://github.com/fluxcd/flux2/releases/download";
        let line = format!("kubectl apply -f {url}/v{version}/install.yaml\n");
        write(tree.path().join(name), line).unwrap();
    }
    tree
}

/// Runs a script as the wrapper's runner does.
fn run(script: &str, folder: &Path, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_fluxkeep"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let output = Command::new("bash")
        .args(["-e", "-c", script])
        .current_dir(folder)
        .env("PATH", path)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn the_projects_own_repository_is_clean() {
    let (code, said) = run("fluxkeep check", &root(), &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("allow: nothing found"), "{said}");
}

#[cfg(unix)]
#[test]
fn the_hook_of_pre_commit_refuses() {
    let hooks = wrapper(".pre-commit-hooks.yaml");
    let hook = &hooks[0];
    assert_eq!(hook["pass_filenames"], false);
    let tree = mismatch();
    let (code, said) = run(hook["entry"].as_str().unwrap(), tree.path(), &[]);
    assert_eq!(code, Some(1), "{said}");
}

#[cfg(unix)]
#[test]
fn the_action_annotates_and_refuses() {
    let action = wrapper("action.yml");
    let step = &action["runs"]["steps"][1];
    assert_eq!(step["env"]["BASE"], "${{ inputs.base }}");
    let script = step["run"].as_str().unwrap();
    let tree = mismatch();
    let (code, said) = run(script, tree.path(), &[("BASE", "")]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.starts_with("::error title=pin-mismatch,file=b.sh,line=1,"),
        "{said}"
    );
    let (code, said) = run(script, tree.path(), &[("BASE", "no such; true")]);
    assert_eq!(code, Some(2), "{said}");
}

#[cfg(unix)]
#[test]
fn the_template_of_gitlab_writes_its_report() {
    let template = wrapper("dist/check.gitlab-ci.yml");
    let job = &template["fluxkeep-check"];
    let script = job["script"][2].as_str().unwrap();
    let tree = tempfile::tempdir().unwrap();
    let prepare = "git init --quiet && git -c user.name=t -c user.email=t@example.net commit --quiet --allow-empty -m one";
    assert_eq!(run(prepare, tree.path(), &[]).0, Some(0));
    for (name, text) in [("a.sh", "v2.4.0"), ("b.sh", "v2.3.0")] {
        let url = "https://github.com/fluxcd/flux2/releases/download";
        write(
            tree.path().join(name),
            format!("get {url}/{text}/install.yaml\n"),
        )
        .unwrap();
    }
    let (code, said) = run(
        script,
        tree.path(),
        &[("CI_MERGE_REQUEST_DIFF_BASE_SHA", "HEAD")],
    );
    assert_eq!(code, Some(1), "{said}");
    let report = job["artifacts"]["reports"]["junit"].as_str().unwrap();
    let report = read_to_string(tree.path().join(report)).unwrap();
    assert!(report.contains("<failure"), "{report}");
}
