//! `fluxkeep plan` on snapshots, and what it says about wrong input.

#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

use serde_json::Value;

/// The exit code, stdout and stderr.
fn run(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_fluxkeep"))
        .arg("plan")
        .args(args)
        .env_remove("KUBECONFIG")
        .env("HOME", "/nowhere")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn the_way_of_a_snapshot_is_written_in_every_format() {
    let to = ["--snapshot", "built-in", "--to", "2.8"];
    let (code, out, err) = run(&to);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(
        out.starts_with(
            "the built-in snapshot: Flux 2.4.0 to Flux 2.8.8: 4 upgrades, 1 preparation"
        ),
        "{out}"
    );
    assert!(
        out.contains("→ fluxkeep migrate --crd ocirepositories.source.toolkit.fluxcd.io\n"),
        "{out}"
    );
    let (_, out, _) = run(&[&to[..], &["-o", "json"]].concat());
    let json: Value = serde_json::from_str(&out).unwrap();
    let outlook = json.pointer("/plans/0/outlook").and_then(Value::as_str);
    assert_eq!(outlook, Some("prepared"), "{out}");
    let (_, out, _) = run(&[&to[..], &["-o", "markdown"]].concat());
    assert!(out.starts_with("## Upgrade of Flux: "), "{out}");
}

#[test]
fn a_refused_step_is_the_exit_code() {
    let (code, out, _) = run(&["--snapshot", "built-in", "--to", "2.3.0"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("blocked by flux-downgraded"), "{out}");
}

#[test]
fn wrong_input_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.yaml");
    std::fs::write(
        &empty,
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n",
    )
    .unwrap();
    let (code, out, err) = run(&["--snapshot", empty.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(
        err.contains("no Flux found in flux-system; name its namespace with --namespace"),
        "{err}"
    );
    let (code, _, err) = run(&["--snapshot", "built-in", "--to", "3"]);
    assert_eq!(code, 2);
    assert!(err.contains("no such Flux; its newest is"), "{err}");
}
