//! `fluxkeep snapshot` against an apiserver on a socket, and its output as preflight's snapshot.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

/// A fake apiserver with one CRD, and a kubeconfig for it. Its thread ends with the test program.
fn apiserver() -> (tempfile::TempDir, PathBuf) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(&stream.unwrap()));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "me", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}]});
    std::fs::write(&path, config.to_string()).unwrap();
    (folder, path)
}

/// Answers every GET on a connection until the client closes it.
fn answer(mut stream: &TcpStream) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(asked) = lines.next() {
        // An empty line ends the head; a GET has no body.
        let _ = lines.by_ref().find(String::is_empty);
        let body = json!({"metadata": {}, "items": items(&asked)}).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
    }
}

fn items(asked: &str) -> Value {
    if !asked.contains("/customresourcedefinitions?") {
        return json!([]);
    }
    json!([{"metadata": {"name": "things.example.org", "managedFields": [{"manager": "m"}]},
        "spec": {"group": "example.org", "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]},
        "status": {"storedVersions": ["v1"]}}])
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fluxkeep"))
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn what_snapshot_writes_is_what_preflight_judges_against() {
    let (folder, kubeconfig) = apiserver();
    let snapshot = folder.path().join("snapshot.json");
    let manifest = folder.path().join("manifest.yaml");
    let taken = run(&[
        "snapshot",
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
        "--output-file",
        snapshot.to_str().unwrap(),
    ]);
    assert_eq!(
        taken.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&taken.stderr)
    );
    let said = String::from_utf8_lossy(&taken.stderr);
    assert!(
        said.contains("no Flux found in flux-system; name its namespace with --namespace"),
        "{said}"
    );
    let text = std::fs::read_to_string(&snapshot).unwrap();
    assert!(
        !text.contains("managedFields") && !text.contains("\"object\""),
        "{text}"
    );
    std::fs::write(
        &manifest,
        text.replace("\"v1\"", "\"v2\"")
            .replace("apiextensions.k8s.io/v2", "apiextensions.k8s.io/v1"),
    )
    .unwrap();
    let judge = |manifest: &PathBuf| {
        run(&[
            "preflight",
            "--snapshot",
            snapshot.to_str().unwrap(),
            manifest.to_str().unwrap(),
        ])
        .status
        .code()
    };
    assert_eq!((judge(&snapshot), judge(&manifest)), (Some(0), Some(1)));
}

#[test]
fn a_quiet_snapshot_is_written_all_the_same() {
    let (_folder, kubeconfig) = apiserver();
    let output = run(&[
        "snapshot",
        "--quiet",
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
    ]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        list.pointer("/items/0/metadata/name"),
        Some(&json!("things.example.org"))
    );
}

#[test]
fn a_context_that_is_not_there_is_named() {
    let (_folder, kubeconfig) = apiserver();
    let output = run(&[
        "snapshot",
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
        "--context",
        "elsewhere",
    ]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("has no context \"elsewhere\"; it has here; choose one with --context")
            && said.lines().count() == 1,
        "{said}"
    );
}
