//! `fluxkeep audit` on snapshots.

#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

use fluxkeep_cluster::BUILT_IN;

/// The exit code, stdout and stderr.
fn run(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_fluxkeep"))
        .arg("audit")
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
fn a_sound_snapshot_passes_and_names_the_upgrades() {
    let (code, out, err) = run(&["--snapshot", "built-in"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(
        out.contains(
            "upgrades: 2.5.1 is free, 2.6.4 is free, 2.7.5 is free, 2.8.8 is blocked by 1 CRD"
        ),
        "{out}"
    );
    assert!(
        out.ends_with("audited the built-in snapshot: Flux 2.4.0, as install.yaml leaves it\n"),
        "{out}"
    );
}

#[test]
fn a_remediation_that_would_uninstall_flux_is_the_exit_code_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live.yaml");
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: flux, namespace: flux-system}\n\
        spec: {releaseName: flux, install: {remediation: {retries: 3}}, chart: {spec: {chart: flux2, version: 2.14.1, \
        sourceRef: {kind: HelmRepository, name: community}}}}\n";
    std::fs::write(&live, format!("{BUILT_IN}\n---\n{release}")).unwrap();
    for format in ["text", "json", "sarif", "junit"] {
        let (code, out, err) = run(&["--snapshot", live.to_str().unwrap(), "-o", format]);
        assert_eq!(code, 1, "{format}: {out}{err}");
        assert!(out.contains("destructive-remediation"), "{format}: {out}");
    }
}

#[test]
fn a_lost_flux_is_no_sound_one() {
    let folder = tempfile::tempdir().unwrap();
    let audited = |kept: &dyn Fn(&str) -> bool| {
        let documents: Vec<&str> = BUILT_IN.split("\n---\n").filter(|one| kept(one)).collect();
        let live = folder.path().join("live.yaml");
        std::fs::write(&live, documents.join("\n---\n")).unwrap();
        run(&["--snapshot", live.to_str().unwrap()])
    };
    let (code, _, err) = audited(&|one| !one.contains("kind: Deployment"));
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("fluxkeep rescue"), "{err}");
    let (code, _, err) = audited(&|one| {
        !(one.contains("kind: Deployment") && one.contains("name: helm-controller"))
    });
    assert_eq!(code, 0, "it may be on purpose: {err}");
    assert!(err.contains("not running: helm-controller"), "{err}");
}

#[test]
fn without_a_cluster_nothing_is_audited() {
    let (code, out, err) = run(&[]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("no kubeconfig and no --snapshot"), "{err}");
}
