//! Runs the program as Helm does, and checks stdout, stderr and the exit code.

#![allow(clippy::expect_used, missing_docs)]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const SERVICE: &str = "---\n# Source: a\napiVersion: v1\nkind: Service\nmetadata:\n  name: source-controller # c\nspec: {}\n";
const OTHER: &str = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: yes}\n";
const CRD: &str = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: \
                   buckets.source.toolkit.fluxcd.io\nspec:\n  group: source.toolkit.fluxcd.io\n  scope: Namespaced\n  names: \
                   {kind: Bucket, plural: buckets}\n  versions:\n  - {name: VERSION, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}\n";

/// Runs the program over a manifest.
fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fluxkeep-postrenderer"));
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // The program may refuse before it has read all input, so a write error is ignored.
    let feeding = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the program ends");
    feeding.join().expect("the feeder ends");
    output
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn snapshot(folder: &Path, text: &str) -> String {
    let path = folder.join("snapshot.yaml");
    std::fs::write(&path, text).expect("a writable folder");
    path.display().to_string()
}

#[test]
fn what_is_the_engines_is_kept_and_owned_and_all_else_stays_byte_for_byte() {
    let manifest = format!("{OTHER}{SERVICE}");
    let release = ["--release-name", "flux", "--namespace", "flux-system"];
    let output = run(&release, manifest.as_bytes());
    let expected = format!(
        "{OTHER}---\n# Source: a\napiVersion: v1\nkind: Service\nmetadata:\n  annotations:\n    \
         helm.sh/resource-policy: keep\n    meta.helm.sh/release-name: flux\n    meta.helm.sh/release-namespace: \
         flux-system\n  labels:\n    app.kubernetes.io/managed-by: Helm\n  name: source-controller # c\nspec: {{}}\n"
    );
    assert_eq!(
        (output.status.code(), out(&output)),
        (Some(0), expected.clone())
    );
    assert!(
        err(&output).contains("2 objects, 1 edited, 1 unchanged; release flux-system/flux"),
        "{}",
        err(&output)
    );
    assert_eq!(
        out(&run(&release, expected.as_bytes())),
        expected,
        "rendered again"
    );
}

#[test]
fn keep_is_written_on_a_list_that_holds_the_engine_and_on_a_typed_one_it_is_told() {
    let list = |kind: &str, metadata: &str| {
        format!(
            "apiVersion: v1\nkind: {kind}\n{metadata}items:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    \
             name: a\n- apiVersion: v1\n  kind: Service\n  metadata:\n    name: source-controller\n"
        )
    };
    let first = run(&[], list("List", "").as_bytes());
    let kept = "metadata:\n  annotations:\n    helm.sh/resource-policy: keep\n";
    assert!(
        out(&first).contains(kept),
        "{}\n{}",
        out(&first),
        err(&first)
    );
    assert!(
        !err(&first).contains("engine-object-unkept"),
        "{}",
        err(&first)
    );
    assert_eq!(out(&run(&[], &first.stdout)), out(&first), "rendered again");
    let typed = run(&[], list("ServiceList", "").as_bytes());
    assert!(
        !out(&typed).contains(&format!("\n{kept}")),
        "{}",
        out(&typed)
    );
    assert!(
        err(&typed).contains("Move it out of the ServiceList"),
        "{}",
        err(&typed)
    );
    let strangers = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n";
    assert_eq!(out(&run(&[], strangers.as_bytes())), strangers);
}

#[test]
fn without_a_release_nothing_is_guessed_and_the_report_says_so() {
    let output = run(&[], SERVICE.as_bytes());
    assert!(
        !out(&output).contains("meta.helm.sh")
            && out(&output).contains("helm.sh/resource-policy: keep")
    );
    assert!(
        err(&output).contains("no ownership written")
            && err(&output).contains("not compared with a cluster")
    );
    assert_eq!(err(&run(&["--quiet"], SERVICE.as_bytes())), "");
}

#[test]
fn the_report_as_json_tells_every_object_with_its_reasons() {
    let folder = tempfile::tempdir().expect("a folder");
    let live = format!("{SERVICE}---\n{}", CRD.replace("VERSION", "v1")).replace(
        "metadata:\n  name: source",
        "metadata:\n  namespace: flux-system\n  name: source",
    );
    let (path, live) = (
        folder.path().join("report.json"),
        snapshot(folder.path(), &live),
    );
    let report = path.display().to_string();
    let arguments = [
        "--report",
        &report,
        "--snapshot",
        &live,
        "--release-name",
        "a",
        "--namespace",
        "flux-system",
    ];
    assert!(
        run(&arguments, format!("{SERVICE}{OTHER}").as_bytes())
            .status
            .success()
    );
    let report: Value =
        serde_json::from_str(&std::fs::read_to_string(&path).expect("a report")).expect("JSON");
    let at = |pointer: &str| {
        report
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(
        (at("/objects/0/standing"), at("/objects/1/standing")),
        ("unowned".to_owned(), "unknown".to_owned())
    );
    assert_eq!(
        at("/objects/0/edits/0/path"),
        "/metadata/annotations/helm.sh~1resource-policy"
    );
    assert_eq!(
        (at("/release"), at("/judgement/verdict")),
        ("flux-system/a".to_owned(), "allow".to_owned())
    );
}

#[test]
fn a_refusal_leaves_stdout_empty_or_becomes_a_document() {
    let folder = tempfile::tempdir().expect("a folder");
    let live = snapshot(folder.path(), &CRD.replace("VERSION", "v1"));
    let manifest = CRD.replace("VERSION", "v1beta2");
    let output = run(&["--snapshot", &live], manifest.as_bytes());
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), ""));
    assert!(
        err(&output).contains("stored-version-dropped"),
        "{}",
        err(&output)
    );
    let output = run(
        &["--snapshot", &live, "--refusal", "document"],
        manifest.as_bytes(),
    );
    assert_eq!(output.status.code(), Some(0));
    let document: Value = serde_json::from_str(&out(&output)).expect("one document");
    let name = document
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    assert!(
        name.starts_with(
            "fluxkeep refuses: stored-version-dropped: CustomResourceDefinition buckets"
        ),
        "{name}"
    );
}

#[test]
fn what_can_never_change_is_refused_with_both_values() {
    let folder = tempfile::tempdir().expect("a folder");
    let binding = |role: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: cluster-reconciler}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}\n"
        )
    };
    let live = snapshot(folder.path(), &binding("cluster-admin"));
    let output = run(&["--snapshot", &live], binding("admin").as_bytes());
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), ""));
    assert!(
        err(&output).contains("ClusterRole/cluster-admin")
            && err(&output).contains("ClusterRole/admin")
    );
}

#[test]
fn bad_input_is_told_with_document_and_line_and_nothing_comes_out() {
    let twice = format!("{OTHER}{SERVICE}{OTHER}");
    let long = vec![b'a'; 100 << 20];
    let cases: [(&[u8], i32, &str); 9] = [
        (b"", 1, "holds no object"),
        (b" \n\n", 1, "holds no object"),
        (b"a: 1\n", 1, "holds no object"),
        (b"just text\n", 2, "document 1 of the manifest, line 1"),
        (b"kind: A\nmetadata: {name: a}\n---\nkind: B\nmetadata: {name: \n", 2, "document 2 of the manifest, line"),
        (b"\x00\xff\xfe", 2, "line 1 of the manifest is not UTF-8"),
        (&long, 2, "split the chart"),
        (twice.as_bytes(), 2, "document 3 of the manifest, line 14: ConfigMap flux-system/a is already in document 1"),
        (b"apiVersion: v1\nkind: Service\nmetadata: {name: source-controller}\n\"metadata\": {name: source-controller}\n", 2, "line 4, column 1: duplicate key metadata"),
    ];
    for (input, code, expected) in cases {
        let output = run(&[], input);
        let shown = String::from_utf8_lossy(input)
            .chars()
            .take(60)
            .collect::<String>();
        assert_eq!(
            (output.status.code(), out(&output).as_str()),
            (Some(code), ""),
            "{shown:?}: {}",
            err(&output)
        );
        assert!(
            err(&output).contains(expected),
            "{shown:?}: {}",
            err(&output)
        );
        let output = run(&["--refusal", "document"], input);
        assert_eq!(
            (
                output.status.code(),
                out(&output).matches("\"kind\":\"Refusal\"").count()
            ),
            (Some(0), 1),
            "{shown:?}"
        );
    }
}

#[test]
fn a_manifest_of_comments_alone_had_no_object_before_and_comes_out_byte_for_byte() {
    for comments in [
        "# nothing\n---\n",
        "---\n# Source: a/b.yaml\r\n# off",
        "---\n",
    ] {
        for arguments in [&[][..], &["--refusal", "document"]] {
            let output = run(arguments, comments.as_bytes());
            assert_eq!(
                (output.status.code(), out(&output).as_str()),
                (Some(0), comments),
                "{}",
                err(&output)
            );
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fluxkeep-postrenderer"));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    drop(child.stdout.take());
    let manifest = SERVICE.to_owned() + "data: " + &"a".repeat(1 << 20) + "\n";
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(manifest.as_bytes())
        .expect("it reads everything");
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(output.status.code(), Some(0));
    assert!(!err(&output).contains("panicked"), "{}", err(&output));
}

/// The output is longer than a pipe's buffer, so the program writes while the reader reads.
#[test]
fn what_goes_to_a_pipe_is_what_goes_to_a_file() {
    let one = |number: usize| {
        format!(
            "---\n{}",
            CRD.replace("VERSION", "v1")
                .replace("buckets", &format!("buckets{number}"))
        )
    };
    let manifest: String = (0..6_000).map(one).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    std::fs::write(&from, &manifest).expect("a writable folder");
    let status = into(&from, File::create(&to).expect("a writable folder")).status;
    let written = std::fs::read_to_string(&to).expect("a readable file");
    assert_eq!(
        (
            status.code(),
            written.matches("resource-policy: keep").count()
        ),
        (Some(0), 6_000)
    );
    assert!(
        out(&run(&["--quiet"], manifest.as_bytes())) == written,
        "they differ"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let from = folder.path().join("from");
    std::fs::write(&from, SERVICE).expect("a writable folder");
    let output = into(
        &from,
        File::options()
            .write(true)
            .open("/dev/full")
            .expect("Linux has it"),
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).contains("writing the manifest to stdout"),
        "{}",
        err(&output)
    );
}

/// Runs the program with one file as stdin and another as stdout.
fn into(from: &Path, to: File) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fluxkeep-postrenderer"));
    command
        .stdin(File::open(from).expect("a file"))
        .stdout(to)
        .stderr(Stdio::piped());
    command
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("the program ends")
}

#[test]
fn a_wrong_call_is_told_in_one_line() {
    for args in [["--release-name", "a"], ["--namespace", "../a"]] {
        let output = run(&args, b"");
        assert_eq!(
            (output.status.code(), err(&output).lines().count()),
            (Some(2), 1),
            "{}",
            err(&output)
        );
    }
    assert!(out(&run(&["--version"], b"")).contains("knows Flux up to"));
}

/// Helm 4 appends the user's arguments to the plugin's own, and hides stderr.
#[test]
fn a_wrong_call_by_helm_4_is_told_in_a_document() {
    let output = run(&["--refusal", "document", "--release-name=a"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let document: Value = serde_json::from_str(&out(&output)).expect("one document");
    let name = document
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    assert!(
        name.starts_with("fluxkeep refuses: ") && name.contains("--namespace"),
        "{name}"
    );
}

#[test]
fn the_engine_is_where_the_release_goes_too() {
    for (namespace, told) in [("flux", "1 edited"), ("flux-system", "1 edited")] {
        let output = run(
            &["--release-name", "a", "--namespace", namespace],
            SERVICE.as_bytes(),
        );
        assert!(
            out(&output).contains("helm.sh/resource-policy: keep") && err(&output).contains(told),
            "{namespace}"
        );
    }
    let elsewhere = SERVICE.replace("metadata:\n", "metadata:\n  namespace: elsewhere\n");
    let output = run(
        &["--release-name", "a", "--namespace", "flux"],
        elsewhere.as_bytes(),
    );
    assert_eq!(out(&output), elsewhere);
}

#[test]
fn hook_prints_the_stanza_and_writes_it_into_a_file_once() {
    assert!(out(&run(&["hook"], b"")).starts_with("spec:\n  postRenderers:\n    - kustomize:\n"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("release.yaml");
    let text = "# mine\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: flux\nspec:\n  interval: 1h # often\n";
    std::fs::write(&path, text).expect("a writable folder");
    let file = path.display().to_string();
    let once = out(&run(&["hook", "--for", &file], b""));
    assert!(
        once.starts_with("# mine\n") && once.ends_with("  interval: 1h # often\n"),
        "{once}"
    );
    for _ in 0..2 {
        assert!(
            run(&["hook", "--for", &file, "--write"], b"")
                .status
                .success()
        );
        assert_eq!(std::fs::read_to_string(&path).expect("the file"), once);
    }
}

#[test]
fn a_cluster_is_asked_only_where_a_flag_names_one_and_kubeconfig_then_counts() {
    let rendered = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_fluxkeep-postrenderer"))
            .args(arguments)
            .env("KUBECONFIG", "/nowhere/kubeconfig")
            .stdin(Stdio::null())
            .output()
            .expect("the program starts")
    };
    let told = err(&rendered(&["--context", "prod"]));
    assert!(told.contains("/nowhere/kubeconfig"), "{told}");
    let told = err(&rendered(&[]));
    assert!(!told.contains("/nowhere/kubeconfig"), "{told}");
}
