//! The program's output and exit codes.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

fn program(args: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_fluxkeep-webhook"));
    let defaults = [
        ("LISTEN", "127.0.0.1:0"),
        ("OBSERVE", "127.0.0.1:0"),
        ("LINGER", "0"),
        ("SNAPSHOT", "built-in"),
    ];
    program
        .env_remove("KUBECONFIG")
        .env("HOME", "/nowhere")
        .envs(defaults.map(|(name, value)| (format!("FLUXKEEP_{name}"), value)))
        .env_remove("FLUXKEEP_LOG");
    program.args(args).stdin(Stdio::null());
    program
}

/// The single line on stderr of a program that exits with 2.
fn failure(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("fluxkeep-webhook: "), "{text}");
    text
}

#[test]
fn the_version_names_the_commit_and_the_newest_flux() {
    let output = program(&["--version"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let newest = &fluxkeep::flux::catalogue::Catalogue::built_in()
        .newest()
        .unwrap()
        .version;
    assert!(output.status.success());
    assert!(
        text.contains("(commit ") && text.trim_end().ends_with(&format!("up to {newest})")),
        "{text}"
    );
}

#[test]
fn what_keeps_it_from_starting_is_told_in_one_line() {
    let policy = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(policy.path(), "levels: {engine-deleted: harsh}\n").unwrap();
    let policy = policy.path().to_str().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let cases: [(&[&str], &str); 13] = [
        (&["--listen", &taken], &format!("listening on {taken}")),
        (&["--policy", policy], "line 1, column 26"),
        (
            &["--policy", "/nowhere/policy.yaml"],
            "/nowhere/policy.yaml",
        ),
        (&["--tls-dir", "/nowhere"], "/nowhere/tls.crt"),
        (&["--client-ca", policy], "holds no certificate in PEM"),
        (&["--client-name", "a"], "--client-ca"),
        (&["--tls-secret", "authority"], "NAMESPACE/NAME"),
        (
            &[
                "--tls-secret",
                "fluxkeep/authority",
                "--tls-dir",
                "/nowhere",
            ],
            "cannot be used with",
        ),
        (
            &["--snapshot", "/nowhere/snapshot.yaml"],
            "/nowhere/snapshot.yaml",
        ),
        (&["--stale-after", "60"], "60 is not in 120..=86400"),
        (&["--log", "=,="], "--log"),
        (&["--linger", "never"], "'never' for '--linger"),
        (&["--what"], "'--what'"),
    ];
    for (args, part) in cases {
        let line = failure(&program(args).output().unwrap());
        assert!(line.contains(part), "{part} in {line}");
        assert!(line.matches("os error").count() <= 1, "twice: {line}");
    }
}

#[test]
fn without_a_snapshot_and_a_cluster_it_does_not_start() {
    let without = |args: &[&str]| {
        failure(
            &program(args)
                .env_remove("FLUXKEEP_SNAPSHOT")
                .output()
                .unwrap(),
        )
    };
    let line = without(&[]);
    assert!(
        line.contains("is not in a cluster")
            && line.contains("--kubeconfig FILE, or --snapshot PATH"),
        "{line}"
    );
    let line = without(&["--kubeconfig", "/nowhere/kubeconfig"]);
    assert!(
        line.contains("connecting to the cluster") && line.contains("/nowhere/kubeconfig"),
        "{line}"
    );
    let line = failure(
        &program(&[])
            .env_remove("FLUXKEEP_SNAPSHOT")
            .env("KUBECONFIG", "/nowhere/from-the-environment")
            .output()
            .unwrap(),
    );
    assert!(
        line.contains("/nowhere/from-the-environment"),
        "KUBECONFIG counts, as for register: {line}"
    );
    let line = failure(
        &program(&["--tls-secret", "fluxkeep/authority"])
            .output()
            .unwrap(),
    );
    assert!(
        line.contains("is not in a cluster"),
        "the shared authority needs one: {line}"
    );
}

#[test]
fn it_ends_well_when_told_to() {
    for signal in ["TERM", "INT"] {
        let mut server = program(&["--log-format", "text"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
        assert!(log.next().unwrap().unwrap().contains("serving"));
        let told = Command::new("kill")
            .args([format!("-{signal}"), server.id().to_string()])
            .status()
            .unwrap();
        assert!(told.success());
        assert!(server.wait().unwrap().success(), "{signal}");
    }
}

#[test]
fn what_keeps_it_from_registering_is_told_in_one_line() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let empty = empty.path().to_str().unwrap();
    let url = "https://fluxkeep.example.org";
    let cases: [(&[&str], &str); 8] = [
        (&["register"], "--url or --service is required"),
        (
            &["register", "--url", url, "--service", "a/b"],
            "cannot be used with",
        ),
        (
            &["register", "--url", "http://fluxkeep.example.org"],
            "is not https://HOST",
        ),
        (
            &["register", "--url", "https://fluxkeep.example.org/?a=b"],
            "is not https://HOST",
        ),
        (
            &["register", "--service", "fluxkeep"],
            "NAMESPACE/NAME[:PORT]",
        ),
        (
            &["register", "--service", "a/b:port"],
            "\"port\" is not a port",
        ),
        (
            &["register", "--url", url, "--ca-file", empty],
            "holds no PEM certificate",
        ),
        (
            &["unregister", "--kubeconfig", "/nowhere/kubeconfig"],
            "/nowhere/kubeconfig",
        ),
    ];
    for (args, part) in cases {
        let line = failure(&program(args).output().unwrap());
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn manifests_are_printed_without_a_cluster_and_with_the_engine_of_the_policy() {
    let policy = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(policy.path(), "engine: {namespaces: [\"it's\", flux]}\n").unwrap();
    let (address, policy) = (
        ["register", "--service", "a/b:8443"],
        policy.path().to_str().unwrap(),
    );
    let output = program(&[&address[..], &["--policy", policy, "-o", "yaml"]].concat())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let kinds: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("kind: "))
        .collect();
    let twins = [
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ];
    let configurations = [
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    ];
    let deletions = [&twins[..], &twins[1..]].concat();
    assert_eq!(kinds, [&deletions[..], &twins, &configurations].concat());
    assert!(
        text.contains(r"request.namespace in ['it\'s', 'flux']") && text.contains("port: 8443"),
        "{text}"
    );
}
