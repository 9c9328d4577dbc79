//! The command as people and pipelines use it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fluxkeep_cli::client::{Client, Http};
use fluxkeep_cluster::BUILT_IN;
#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn fluxkeep(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fluxkeep"));
    command.args(args);
    command
}

fn run(args: &[&str]) -> Output {
    fluxkeep(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A snapshot, and a manifest that loses every Bucket stored as v1.
fn files() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (snapshot, manifest) = (
        folder.path().join("snapshot.yaml"),
        folder.path().join("manifest.yaml"),
    );
    std::fs::write(&snapshot, BUILT_IN).unwrap();
    let head = "# rendered\n---\n# Source: chart\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n";
    let rest = "metadata: {name: buckets.source.toolkit.fluxcd.io}\nspec:\n  group: source.toolkit.fluxcd.io\n  \
                scope: Namespaced\n  names: {kind: Bucket, plural: buckets}\n  versions:\n  \
                - {name: v1beta2, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}\n";
    std::fs::write(&manifest, head.to_owned() + rest).unwrap();
    (folder, snapshot, manifest)
}

fn preflight(snapshot: &Path, manifest: &Path, more: &[&str]) -> Output {
    let paths = [
        "preflight",
        "--snapshot",
        snapshot.to_str().unwrap(),
        manifest.to_str().unwrap(),
    ];
    run(&[&paths, more].concat())
}

#[test]
fn every_story_ends_as_it_must() {
    for scenario in ["incident", "blocked-upgrade", "safe-bump", "strangers-crd"] {
        let output = run(&["replay", "--scenario", scenario]);
        let told = text(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{told}{}",
            text(&output.stderr)
        );
        assert!(told.contains("answers were as they must be."), "{told}");
        let last = told.lines().last().unwrap();
        assert!(
            last.starts_with("fluxkeep_"),
            "the metrics are the last lines: {last}"
        );
    }
}

#[test]
fn a_story_fits_the_page_and_cuts_nothing_that_a_person_would_copy() {
    let told = text(&run(&["replay"]).stdout);
    let story = told.split("What the server counted").next().unwrap();
    assert!(
        story.lines().all(|line| line.chars().count() <= 100),
        "{story}"
    );
    for whole in [
        "stored-version-dropped",
        "system:serviceaccount:flux-system:helm-controller",
    ] {
        assert!(story.contains(whole), "{story}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_served_story_answers_the_curl_line_and_leaves_no_file_behind_however_it_is_ended() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        served(signal).await;
    }
}

#[cfg(unix)]
async fn served(signal: Signal) {
    let mut child = fluxkeep(&["replay", "--serve"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let curl: Vec<String> = lines
        .skip_while(|line| !line.contains("curl --silent"))
        .take(2)
        .collect();
    let curl = curl.join(" ");
    let words: Vec<&str> = curl.split_whitespace().collect();
    let after = |word| words[words.iter().position(|one| *one == word).unwrap() + 1];
    let authority = std::fs::read_to_string(after("--cacert")).unwrap();
    let review = std::fs::read(after("--data").trim_start_matches('@')).unwrap();
    let client = Client::trusting(&authority, Http::One).unwrap();
    let answer = text(
        client
            .post(words.last().unwrap(), review)
            .await
            .unwrap()
            .body(),
    );
    assert!(
        answer.contains(r#""allowed":false"#) && answer.contains("flux-version-mismatch"),
        "{answer}"
    );
    kill_process(Pid::from_child(&child), signal).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{signal:?}");
    let folder = Path::new(after("--cacert")).parent().unwrap();
    assert!(!folder.exists(), "{signal:?} leaves {}", folder.display());
}

#[test]
fn every_rule_is_explained_and_a_misspelt_one_is_told_the_nearest() {
    let list = text(&run(&["rules"]).stdout);
    assert_eq!(list.lines().count(), fluxkeep::rules::RULES.len());
    for rule in fluxkeep::rules::RULES {
        assert!(list.contains(&format!("{}  ", rule.id)), "{list}");
        let page = run(&["explain", rule.id]);
        let told = text(&page.stdout);
        assert_eq!(page.status.code(), Some(0), "{told}");
        for part in [rule.id, rule.catches, rule.breaks, rule.level.name()] {
            assert!(told.contains(part), "{told}");
        }
        assert!(!told.contains("http"), "nothing is linked: {told}");
    }
    let wrong = run(&["explain", "stored-version-droped"]);
    assert_eq!(wrong.status.code(), Some(2));
    let said = text(&wrong.stderr);
    assert!(
        said.lines().count() == 1 && said.contains("stored-version-dropped is nearest"),
        "{said}"
    );
}

#[test]
fn preflight_refuses_with_1_and_names_file_and_line() {
    let (_folder, snapshot, manifest) = files();
    let output = preflight(&snapshot, &manifest, &[]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("refused stored-version-dropped"), "{told}");
    assert!(told.contains("manifest.yaml:4:1)"), "{told}");
    assert!(!told.contains('\u{1b}'), "no colour in a pipe");
}

#[test]
fn an_install_manifest_is_a_snapshot_too_and_stores_what_it_says() {
    let (folder, _, manifest) = files();
    let installed = folder.path().join("install.yaml");
    let lines = BUILT_IN
        .lines()
        .filter(|line| !line.contains("status") && !line.contains("storedVersions"));
    std::fs::write(&installed, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let told = text(&preflight(&installed, &manifest, &[]).stdout);
    assert!(told.contains("refused stored-version-dropped"), "{told}");
}

#[test]
fn a_newer_install_manifest_is_an_adoption_only_where_a_release_is_named() {
    let (_folder, snapshot, manifest) = files();
    let (v2_4_0, v2_5_1) = (
        ["v1.1.0", "v1.4.0", "v1.4.1"],
        ["v1.2.0", "v1.5.0", "v1.5.0"],
    );
    let kustomize = BUILT_IN.replace("kustomize-controller:v1.4.0", "kustomize-controller:v1.5.1");
    let newer = v2_4_0
        .iter()
        .zip(v2_5_1)
        .fold(kustomize, |text, (from, to)| text.replace(from, to));
    std::fs::write(&manifest, newer).unwrap();
    let applied = preflight(&snapshot, &manifest, &[]);
    assert_eq!(applied.status.code(), Some(0), "{}", text(&applied.stdout));
    assert!(
        text(&applied.stdout).contains("flux-version-mismatch abstained"),
        "{}",
        text(&applied.stdout)
    );
    let release = ["--release-name", "flux", "--namespace", "flux-system"];
    let adopted = preflight(&snapshot, &manifest, &release);
    assert!(
        text(&adopted.stdout).contains("refused flux-version-mismatch"),
        "{}",
        text(&adopted.stdout)
    );
}

#[test]
fn the_engine_is_where_the_release_goes_whatever_the_policy_names() {
    let (_folder, snapshot, manifest) = files();
    let moved = BUILT_IN.replace("flux-system", "flux");
    std::fs::write(&snapshot, &moved).unwrap();
    std::fs::write(
        &manifest,
        moved.replace("helm-controller:v1.1.0", "helm-controller:v1.0.1"),
    )
    .unwrap();
    let told = preflight(
        &snapshot,
        &manifest,
        &["--release-name", "flux", "--namespace", "flux"],
    );
    assert!(
        text(&told.stdout).contains("refused flux-"),
        "{}",
        text(&told.stdout)
    );
}

#[test]
fn every_format_carries_the_same_refusal() {
    let (_folder, snapshot, manifest) = files();
    for format in ["text", "json", "sarif", "junit", "github"] {
        let output = preflight(&snapshot, &manifest, &["--output", format]);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            text(&output.stdout).contains("stored-version-dropped"),
            "{format}"
        );
    }
    let json: Value =
        serde_json::from_slice(&preflight(&snapshot, &manifest, &["--output", "json"]).stdout)
            .unwrap();
    assert_eq!(json["verdict"], "refuse");
    assert_eq!(
        json["findings"][1]["object"]["name"],
        "buckets.source.toolkit.fluxcd.io"
    );
    assert_eq!(json["findings"][1]["path"], "/status/storedVersions");
}

#[test]
fn a_manifest_equal_to_the_cluster_is_let_through_with_0() {
    let (_folder, snapshot, _) = files();
    let output = preflight(&snapshot, &snapshot, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).starts_with("allow: nothing found\n"));
}

#[test]
fn quiet_says_nothing_and_the_exit_code_tells() {
    let (_folder, snapshot, manifest) = files();
    let output = preflight(&snapshot, &manifest, &["--quiet"]);
    assert_eq!(
        (
            output.status.code(),
            output.stdout.len(),
            output.stderr.len()
        ),
        (Some(1), 0, 0)
    );
}

#[test]
fn a_rule_that_lacks_a_fact_fails_only_when_strict() {
    let (_folder, snapshot, manifest) = abstained();
    let lax = preflight(&snapshot, &manifest, &[]);
    assert!(
        text(&lax.stdout).contains("stored-version-dropped abstained"),
        "{}",
        text(&lax.stdout)
    );
    assert_eq!(lax.status.code(), Some(0));
    assert_eq!(
        preflight(&snapshot, &manifest, &["--strict"]).status.code(),
        Some(1)
    );
}

/// A snapshot without Flux, and a manifest with a CRD of Flux.
fn abstained() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (snapshot, manifest) = (folder.path().join("s.yaml"), folder.path().join("m.yaml"));
    std::fs::write(
        &snapshot,
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n",
    )
    .unwrap();
    let crd = BUILT_IN
        .split("---\n")
        .find(|text| text.contains("kind: CustomResourceDefinition"))
        .unwrap();
    std::fs::write(&manifest, crd).unwrap();
    (folder, snapshot, manifest)
}

#[test]
fn stdin_and_the_environment_are_read() {
    let (_folder, snapshot, manifest) = files();
    let mut child = fluxkeep(&["preflight", "--output", "json", "-"])
        .env("FLUXKEEP_SNAPSHOT", &snapshot)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&std::fs::read(manifest).unwrap())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with("{\n"));
}

#[test]
fn what_cannot_be_done_is_one_line_and_2() {
    let (folder, snapshot, manifest) = files();
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let bad = folder.path().join("bad.yaml");
    std::fs::write(&bad, "levels:\n  no-such-rule: warn\n").unwrap();
    let none = folder.path().join("none.yaml");
    let cases: [(Output, &str); 9] = [
        (run(&["preflight"]), "required arguments were not provided"),
        (
            preflight(&snapshot, &manifest, &["--output", "xml"]),
            "[possible values: text, json, sarif, junit, github]",
        ),
        (
            preflight(&none, &manifest, &[]),
            "loading the snapshot: reading",
        ),
        (
            preflight(&snapshot, &none, &[]),
            "loading the manifests: reading",
        ),
        (
            preflight(&snapshot, &empty, &[]),
            "holds no Kubernetes object",
        ),
        (
            preflight(&snapshot, &manifest, &["--policy", bad.to_str().unwrap()]),
            "line 2, column 3",
        ),
        (
            run(&["snapshot", "--kubeconfig", none.to_str().unwrap()]),
            "reading kubeconfig",
        ),
        (
            preflight(Path::new("-"), Path::new("-"), &[]),
            "stdin can be read only once",
        ),
        (run(&["preflight", "-", "-"]), "stdin can be read only once"),
    ];
    for (output, reason) in cases {
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(reason) && said.lines().count() == 1, "{said}");
        assert!(
            said.matches("os error").count() <= 1,
            "a cause is told once: {said}"
        );
    }
}

#[test]
fn switches_in_the_environment_are_on_by_1_and_off_by_0() {
    let (_folder, snapshot, manifest) = abstained();
    let judged = |value: &str| {
        let paths = [
            "preflight",
            "--snapshot",
            snapshot.to_str().unwrap(),
            manifest.to_str().unwrap(),
        ];
        let output = fluxkeep(&paths)
            .env("FLUXKEEP_STRICT", value)
            .output()
            .unwrap();
        output.status.code().unwrap()
    };
    assert_eq!(["1", "true", "0", "false", ""].map(judged), [1, 1, 0, 0, 0]);
}

#[test]
fn consent_and_silence_are_never_read_from_the_environment() {
    for command in ["adopt", "preflight", "replay", "snapshot"] {
        let help = text(&run(&[command, "--help"]).stdout);
        for name in ["YES", "DRY_RUN", "QUIET", "SERVE", "OUTPUT"] {
            let name = format!("FLUXKEEP_{name}=");
            assert!(!help.contains(&name), "{command}: {help}");
        }
    }
}

#[test]
fn a_typo_is_answered_with_what_was_meant_and_a_wrong_value_with_those_that_are_possible() {
    let cases: [(&[&str], &str); 5] = [
        (
            &["preflght"],
            "tip: a similar subcommand exists: 'preflight'",
        ),
        (
            &["preflight", "--snaphot", "a", "b"],
            "tip: a similar argument exists: '--snapshot'",
        ),
        (
            &["snapshot", "-o", "yaml"],
            "invalid value 'yaml' for '--output <FORMAT>' [possible values: json]",
        ),
        (&["preflight", "--strict"], "try --help"),
        (
            &["--release-name", "flux"],
            "the Helm post-renderer is another program: fluxkeep-postrenderer",
        ),
    ];
    for (args, told) in cases {
        let output = run(args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(told) && said.lines().count() == 1, "{said}");
    }
    let help = text(&run(&["preflight", "--help"]).stdout);
    let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("[possible values: text, json, sarif, junit, github]"),
        "{help}"
    );
}

#[test]
fn the_version_is_json_for_programs() {
    let said = text(&run(&["version"]).stdout);
    assert_eq!(said, text(&run(&["--version"]).stdout));
    let json: Value = serde_json::from_slice(&run(&["version", "-o", "json"]).stdout).unwrap();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["newestFlux"], "2.9.5");
    assert!(json["commit"].is_string(), "{json}");
}

#[test]
fn every_shell_completes_the_subcommands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(&["completion", shell]);
        let script = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(
            script.contains("preflight") && script.contains("snapshot"),
            "{shell}: {script}"
        );
    }
}

#[cfg(unix)]
#[test]
fn as_a_plugin_it_calls_itself_what_the_person_typed() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-fluxkeep");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_fluxkeep"), &plugin).unwrap();
    let usage = |program: &Path| {
        text(
            &Command::new(program)
                .args(["preflight", "--help"])
                .output()
                .unwrap()
                .stdout,
        )
    };
    assert!(
        usage(&plugin).contains("Usage: kubectl fluxkeep preflight"),
        "{}",
        usage(&plugin)
    );
    assert!(usage(Path::new(env!("CARGO_BIN_EXE_fluxkeep"))).contains("Usage: fluxkeep preflight"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (_folder, snapshot, manifest) = files();
    let paths = [
        "preflight",
        "--snapshot",
        snapshot.to_str().unwrap(),
        manifest.to_str().unwrap(),
    ];
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = fluxkeep(&paths)
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(1), String::new())
    );
}

#[test]
fn the_version_names_commit_and_newest_flux() {
    let said = text(&run(&["--version"]).stdout);
    assert!(
        said.contains("commit ") && said.contains("knows Flux up to 2.9.5"),
        "{said}"
    );
}

#[test]
fn preflight_takes_a_newer_catalogue_by_flag_and_by_policy_and_says_where_it_is_wrong() {
    let (folder, snapshot, manifest) = files();
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: helm-controller, namespace: flux-system}\n\
        spec: {template: {spec: {containers: [{name: a, image: 'ghcr.io/fluxcd/helm-controller:v1.99.0'}]}}}\n";
    std::fs::write(&manifest, deployment).unwrap();
    let [catalogue, policy] = ["new.json", "policy.yaml"].map(|name| folder.path().join(name));
    let new = r#"[{"version": "2.99.0", "helm": "4.9.9", "charts": [], "controllers": {"helm-controller": "1.99.0"}}]"#;
    std::fs::write(&catalogue, new).unwrap();
    std::fs::write(&policy, "catalogue: new.json\n").unwrap();
    let release = ["--release-name", "flux", "--namespace", "flux-system"];
    let judged = |more: &[&str]| preflight(&snapshot, &manifest, &[&release, more].concat());
    assert!(!text(&judged(&[]).stdout).contains("2.99.0"));
    let flag = ["--catalogue", catalogue.to_str().unwrap()];
    let by_policy = ["--policy", policy.to_str().unwrap()];
    for more in [flag, by_policy] {
        let told = text(&judged(&more).stdout);
        assert!(told.contains("carries Flux 2.99.0"), "{told}");
    }
    std::fs::write(&catalogue, "[\n  {\"version\": 2}]").unwrap();
    for more in [flag, by_policy] {
        let output = judged(&more);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("new.json: line 2, column "), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
