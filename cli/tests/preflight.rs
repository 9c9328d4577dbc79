//! `fluxkeep preflight` over GitOps manifests, over releases that Helm refuses, and over clusters.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fluxkeep_cluster::BUILT_IN;
use serde_json::{Value, json};

/// The HelmRelease of the incident: Flux 2.3.0 over Flux 2.4.0.
const HELM_RELEASE: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: flux, namespace: flux-system}\n\
    spec:\n  interval: 1h\n  releaseName: flux\n  install: {remediation: {retries: 3}}\n  chart:\n    spec: {chart: flux2, version: 2.13.0, \
    sourceRef: {kind: HelmRepository, name: community}}\n";
const RELEASE: [&str; 4] = ["--release-name", "flux", "--namespace", "flux-system"];

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fluxkeep"));
    command
        .arg("preflight")
        .args(args)
        .env_remove("KUBECONFIG")
        .env("HOME", "/nowhere");
    command
}

/// The exit code, stdout and stderr.
fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn run(args: &[&str]) -> (i32, String, String) {
    told(&command(args).output().unwrap())
}

/// A file with this text.
fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_helm_release_in_a_repository_is_judged_as_the_server_would() {
    let folder = tempfile::tempdir().unwrap();
    let release = file(&folder, "release.yaml", HELM_RELEASE);
    let (code, out, err) = run(&["--snapshot", "built-in", &release]);
    assert_eq!(code, 1, "{out}");
    assert!(
        out.contains("HelmRelease flux-system/flux /spec") && out.contains("release.yaml:1:1"),
        "{out}"
    );
    assert!(
        err.contains("not judged: the chart of HelmRelease flux-system/flux"),
        "{err}"
    );
}

#[test]
fn a_helm_release_that_the_cluster_has_already_is_not_refused_again() {
    let folder = tempfile::tempdir().unwrap();
    let values = "  values: {multitenancy: {enabled: true}}\n";
    let release = file(&folder, "release.yaml", &format!("{HELM_RELEASE}{values}"));
    let live = file(
        &folder,
        "live.yaml",
        &format!("{BUILT_IN}\n---\n{HELM_RELEASE}"),
    );
    let (code, out, _) = run(&["--snapshot", &live, &release]);
    assert_eq!(code, 0, "the server passes what changes nothing: {out}");
    let other = HELM_RELEASE.replace("retries: 3", "retries: 4");
    let release = file(&folder, "release.yaml", &other);
    let (code, out, _) = run(&["--snapshot", &live, &release]);
    assert_eq!(code, 1, "{out}");
}

#[test]
fn a_flux_instance_in_a_repository_is_judged_as_the_server_would() {
    let folder = tempfile::tempdir().unwrap();
    let instance = |version: &str| {
        format!(
            "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata: {{name: flux, namespace: flux-system}}\n\
             spec: {{distribution: {{version: {version}, registry: ghcr.io/fluxcd}}}}\n"
        )
    };
    let live = format!("{BUILT_IN}\n---\n{}", instance("2.4.0"));
    let live = file(&folder, "live.yaml", &live);
    let [older, same] = ["2.2.0", "2.4.0"].map(|version| {
        let path = file(&folder, "instance.yaml", &instance(version));
        run(&["--snapshot", &live, &path])
    });
    assert_eq!((older.0, same.0), (1, 0), "{}{}", older.1, same.1);
    assert!(older.1.contains("flux-downgraded"), "{}", older.1);
}

#[test]
fn what_makes_other_objects_is_named_as_not_judged() {
    let folder = tempfile::tempdir().unwrap();
    let one = |name: &str| {
        format!(
            "---\napiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: \
             flux-system}}\nspec: {{path: ./apps, prune: true}}\n"
        )
    };
    let path = file(&folder, "apps.yaml", &(one("apps") + &one("infra")));
    let (code, _, err) = run(&["--snapshot", "built-in", &path]);
    assert_eq!(code, 0);
    assert!(
        err.contains(
            "not judged: objects that Kustomization flux-system/apps and 1 more makes; render them"
        ),
        "{err}"
    );
}

#[test]
fn objects_that_helm_refuses_to_import_are_foretold_once_with_the_line_that_adopts_them() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = file(&folder, "rendered.yaml", BUILT_IN);
    let (code, _, err) = run(&[&["--snapshot", "built-in"], &RELEASE[..], &[&manifest]].concat());
    assert_eq!(code, 0, "Helm may be given --take-ownership: {err}");
    let foretold: Vec<_> = err
        .lines()
        .filter(|line| line.contains("imported"))
        .collect();
    assert_eq!(foretold.len(), 1, "{err}");
    assert!(
        err.contains("more exist and cannot be imported into the current release"),
        "{err}"
    );
    let line = format!(
        "\n  fluxkeep adopt --release-name flux --namespace flux-system {manifest} --yes\n"
    );
    assert!(err.contains(&line), "{err}");
    let (_, _, err) = run(&["--snapshot", "built-in", &manifest]);
    assert!(!err.contains("imported"), "kubectl imports nothing: {err}");
}

#[test]
fn a_release_without_a_controller_is_refused_and_a_manifest_of_no_release_passes() {
    let folder = tempfile::tempdir().unwrap();
    let head = "\nkind: Deployment\nmetadata:\n";
    let marks = "  annotations: {meta.helm.sh/release-name: flux, meta.helm.sh/release-namespace: flux-system}\n";
    let owned = BUILT_IN.replace(head, &format!("{head}{marks}"));
    assert_ne!(owned, BUILT_IN);
    let live = file(&folder, "live.yaml", &owned);
    let is_lost =
        |one: &str| one.contains("kind: Deployment") && one.contains("name: helm-controller");
    let kept: Vec<&str> = owned.split("\n---\n").filter(|one| !is_lost(one)).collect();
    let manifest = file(&folder, "rendered.yaml", &kept.join("\n---\n"));
    let (code, out, _) = run(&[&["--snapshot", &live], &RELEASE[..], &[&manifest]].concat());
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("controller-missing"), "{out}");
    let (_, out, _) = run(&["--snapshot", &live, &manifest]);
    assert!(!out.contains("controller-missing"), "{out}");
}

#[test]
fn what_is_refused_is_not_to_be_adopted_yet() {
    let folder = tempfile::tempdir().unwrap();
    let older = BUILT_IN.replace("helm-controller:v1.1.0", "helm-controller:v1.0.1");
    assert_ne!(older, BUILT_IN);
    let manifest = file(&folder, "rendered.yaml", &older);
    let (code, _, err) = run(&[&["--snapshot", "built-in"], &RELEASE[..], &[&manifest]].concat());
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("Mend the refusals first, then adopt"), "{err}");
    assert!(!err.contains("--yes"), "{err}");
}

#[test]
fn objects_of_another_owner_are_named_once_with_the_command_that_hands_them_over() {
    let folder = tempfile::tempdir().unwrap();
    let service =
        "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: NAME\n  namespace: flux-system\n";
    let services =
        ["source-controller", "webhook-receiver"].map(|name| service.replace("NAME", name));
    let labels = "  labels: {app.kubernetes.io/part-of: flux, kustomize.toolkit.fluxcd.io/name: flux-system, \
                  kustomize.toolkit.fluxcd.io/namespace: flux-system}\n";
    let live = services.clone().map(|service| format!("{service}{labels}"));
    let live = file(&folder, "live.yaml", &live.concat());
    let manifest = file(&folder, "rendered.yaml", &services.concat());
    let (_, out, err) = run(&[&["--snapshot", &live], &RELEASE[..], &[&manifest]].concat());
    assert!(out.contains("foreign-owner"), "{out}");
    let command = "fluxkeep adopt --release-name flux --namespace flux-system";
    assert_eq!(err.matches(command).count(), 1, "{err}");
}

#[test]
fn objects_that_helm_owns_are_imported() {
    let folder = tempfile::tempdir().unwrap();
    let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: source-controller\n  namespace: flux-system\n";
    let owned = "  labels: {app.kubernetes.io/managed-by: Helm, app.kubernetes.io/part-of: flux}\n  annotations: \
                 {meta.helm.sh/release-name: flux, meta.helm.sh/release-namespace: flux-system}\n";
    let live = file(&folder, "live.yaml", &format!("{service}{owned}"));
    let manifest = file(&folder, "rendered.yaml", service);
    let foretells = |live: &str| {
        let (_, _, err) = run(&[&["--snapshot", live], &RELEASE[..], &[&manifest]].concat());
        err.contains("cannot be imported")
    };
    assert!(!foretells(&live));
    let unlabelled = owned.replace("managed-by: Helm", "managed-by: flux");
    let live = file(&folder, "live.yaml", &format!("{service}{unlabelled}"));
    assert!(foretells(&live), "Helm wants the label, too");
}

#[test]
fn the_last_line_names_snapshot_flux_and_age() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = file(&folder, "cluster.yaml", BUILT_IN);
    let (_, out, _) = run(&["--snapshot", &snapshot, &snapshot]);
    let last = out.lines().last().unwrap();
    let expected = format!("judged against snapshot {snapshot}: Flux 2.4.0, written just now");
    assert_eq!(last, expected);
    let (_, out, err) = run(&["--snapshot", &snapshot, "-o", "json", &snapshot]);
    assert!(serde_json::from_str::<Value>(&out).is_ok(), "{out}");
    assert!(err.contains(&expected), "{err}");
    let (_, out, err) = run(&[&snapshot]);
    assert!(
        out.ends_with(
            "judged against the built-in snapshot: Flux 2.4.0, as install.yaml leaves it\n"
        ) && err.contains("no kubeconfig and no --snapshot"),
        "{out}{err}"
    );
}

#[test]
fn stdin_has_the_name_that_it_is_given() {
    let mut child = command(&[
        "--snapshot",
        "built-in",
        "-o",
        "sarif",
        "--stdin-name",
        "clusters/flux.yaml",
        "-",
    ])
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(HELM_RELEASE.as_bytes()).unwrap();
    drop(stdin);
    let (code, out, _) = told(&child.wait_with_output().unwrap());
    assert_eq!(code, 1, "{out}");
    assert!(out.contains(r#""uri": "clusters/flux.yaml""#), "{out}");
}

/// A fake apiserver with one CRD, which never ends.
fn apiserver() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(&stream.unwrap()));
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: &TcpStream) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(asked) = lines.next() {
        let _ = lines.by_ref().find(String::is_empty);
        let definition = json!({"metadata": {"name": "things.example.org"},
            "spec": {"group": "example.org", "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {}}}]},
            "status": {"storedVersions": ["v1"]}});
        let items = if asked.contains("/customresourcedefinitions?") {
            json!([definition])
        } else {
            json!([])
        };
        let body = json!({"metadata": {}, "items": items}).to_string();
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
    }
}

/// A kubeconfig with a context for each of these servers.
fn kubeconfig(folder: &tempfile::TempDir, servers: &[(&str, &str)]) -> PathBuf {
    let clusters = servers
        .iter()
        .map(|(name, server)| json!({"name": name, "cluster": {"server": server}}));
    let contexts = servers
        .iter()
        .map(|(name, _)| json!({"name": name, "context": {"cluster": name, "user": "me"}}));
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": servers.first().unwrap().0,
        "clusters": clusters.collect::<Vec<_>>(), "contexts": contexts.collect::<Vec<_>>(),
        "users": [{"name": "me", "user": {}}]});
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

/// A CRD that drops the version which the fake apiserver stores.
fn dropping(folder: &tempfile::TempDir) -> String {
    file(
        folder,
        "crd.yaml",
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.org}\n\
         spec: {group: example.org, scope: Namespaced, names: {kind: Thing, plural: things}, versions: [{name: v2, served: true, \
         storage: true, schema: {openAPIV3Schema: {type: object}}}]}\n",
    )
}

#[test]
fn the_current_context_is_asked_where_nothing_else_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = kubeconfig(&folder, &[("here", &apiserver())]);
    let manifest = dropping(&folder);
    let output = command(&[&manifest]).env("KUBECONFIG", &config).output();
    let (code, out, _) = told(&output.unwrap());
    assert_eq!(code, 1, "{out}");
    assert!(
        out.ends_with("judged against context here: no Flux found in flux-system, read just now\n"),
        "{out}"
    );
    let path = config.to_str().unwrap();
    let (code, _, err) = run(&["--kubeconfig", path, "--context", "nope", &manifest]);
    assert_eq!(code, 2);
    assert!(err.contains("no context \"nope\"; it has here"), "{err}");
}

#[test]
fn each_of_several_clusters_has_a_line_and_the_worst_decides() {
    let folder = tempfile::tempdir().unwrap();
    let server = apiserver();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let closed = format!("http://{}", closed.unwrap());
    let servers = [("one", &*server), ("two", &server), ("gone", &closed)];
    let config = kubeconfig(&folder, &servers);
    let config = config.to_str().unwrap();
    let manifest = dropping(&folder);
    let judged = |more: &[&str]| run(&[&["--kubeconfig", config], more, &[&manifest]].concat());
    let (code, out, _) = judged(&["--context", "one,two"]);
    let line = "refuse: stored-version-dropped; no Flux found in flux-system, read just now";
    assert_eq!((code, out), (1, format!("one: {line}\ntwo: {line}\n")));
    let (code, out, err) = judged(&["--contexts-all"]);
    assert_eq!(code, 2, "{out}{err}");
    assert!(
        out.contains("one: refuse") && out.contains("gone: error: "),
        "{out}"
    );
    assert!(err.contains("1 could not be read"), "{err}");
    let (code, _, err) = judged(&["--contexts-all", "-o", "json"]);
    assert_eq!(code, 2, "{err}");
    assert!(!Path::new("json").exists());
}

#[test]
fn an_upgrade_is_judged_by_the_catalogue_alone() {
    let (code, out, err) = run(&["--snapshot", "built-in", "--to", "2.9"]);
    assert!(err.contains("Flux 2.9.5 by the catalogue"), "{err}");
    assert!(out.contains("flux-minor-skipped"), "{out}");
    assert_eq!(code, 1, "a CRD drops a stored version: {out}");
    let (code, out, _) = run(&["--snapshot", "built-in", "--to", "2.4.0"]);
    assert_eq!(code, 0, "{out}");
    let (code, _, err) = run(&["--snapshot", "built-in", "--to", "3"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("no such Flux; its newest is 2.9.5"), "{err}");
}

#[test]
fn an_override_that_has_ended_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let policy = "overrides:\n  - {rule: foreign-owner, object: Deployment/flux-system/helm-controller, reason: moved, until: \
                  \"2026-01-02T00:00:00Z\"}\n";
    let policy = file(&folder, "policy.yaml", policy);
    let release = file(&folder, "release.yaml", HELM_RELEASE);
    let (_, _, err) = run(&["--snapshot", "built-in", "--policy", &policy, &release]);
    assert!(
        err.contains("override of foreign-owner for Deployment/flux-system/helm-controller ended at 2026-01-02"),
        "{err}"
    );
}
