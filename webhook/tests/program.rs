//! The program: what it prints, and how it ends.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

fn program(args: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_fluxkeep-webhook"));
    let defaults = [("LISTEN", "127.0.0.1:0"), ("OBSERVE", "127.0.0.1:0"), ("LINGER", "0")];
    program.envs(defaults.map(|(name, value)| (format!("FLUXKEEP_{name}"), value))).env_remove("FLUXKEEP_LOG");
    program.args(args).stdin(Stdio::null());
    program
}

/// The one line on stderr of a program that ends with 2.
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
    let newest = &fluxkeep::catalogue::Catalogue::built_in().newest().unwrap().version;
    assert!(output.status.success());
    assert!(text.contains("(commit ") && text.trim_end().ends_with(&format!("up to {newest})")), "{text}");
}

#[test]
fn what_keeps_it_from_starting_is_told_in_one_line() {
    let policy = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(policy.path(), "levels: {engine-deleted: harsh}\n").unwrap();
    let policy = policy.path().to_str().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let cases: [(&[&str], &str); 10] = [
        (&["--listen", &taken], &format!("listening on {taken}")),
        (&["--policy", policy], "line 1, column 26"),
        (&["--policy", "/nowhere/policy.yaml"], "/nowhere/policy.yaml"),
        (&["--tls-dir", "/nowhere"], "/nowhere/tls.crt"),
        (&["--tls-secret", "authority"], "NAMESPACE/NAME"),
        (&["--tls-secret", "fluxkeep/authority", "--tls-dir", "/nowhere"], "cannot be used with"),
        (&["--snapshot", "/nowhere/snapshot.yaml"], "/nowhere/snapshot.yaml"),
        (&["--log", "=,="], "--log"),
        (&["--linger", "never"], "'never' for '--linger"),
        (&["--what"], "'--what'"),
    ];
    for (args, part) in cases {
        let line = failure(&program(args).output().unwrap());
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn it_ends_well_when_told_to() {
    for signal in ["TERM", "INT"] {
        let mut server = program(&["--log-format", "text"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
        assert!(log.next().unwrap().unwrap().contains("serving"));
        let told = Command::new("kill").args([format!("-{signal}"), server.id().to_string()]).status().unwrap();
        assert!(told.success());
        assert!(server.wait().unwrap().success(), "{signal}");
    }
}
