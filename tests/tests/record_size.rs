//! A release whose record is too long for a Secret: foretold where it is sure, as real Helm 3 finds it.

#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

use std::io::Write;
use std::process::{Command, Stdio};

use fluxkeep_tests::control_plane::{ControlPlane, Helm, chart, folder, own, said};

/// A small template with a manifest that hardly packs. Each ConfigMap holds 64 kB.
const TEMPLATE: &str = r#"{{- range $i := until (int .Values.maps) }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ $.Release.Name }}-{{ $i }}"}
data:
  a: "{{ range $j := until 1000 }}{{ sha256sum (printf "%d-%d" $i $j) }}{{ end }}"
{{- end }}
"#;

const LIMIT: &str = "the limit of a Secret is 1048576";

/// The output of the post-renderer on stderr.
fn rendered(manifest: &[u8]) -> String {
    let mut child = Command::new(own("fluxkeep-postrenderer"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    child.stdin.take().unwrap().write_all(manifest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

/// The output of `fluxkeep preflight`.
fn judged(manifest: &[u8]) -> String {
    let file = folder("record-size").join("manifest.yaml");
    std::fs::write(&file, manifest).unwrap();
    let output = Command::new(own("fluxkeep"))
        .args(["preflight", "--snapshot", "built-in", "--release-name", "a"])
        .args(["--namespace", "flux-system"])
        .arg(&file)
        .output()
        .expect("the program");
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

#[tokio::test]
async fn a_record_just_under_the_limit_passes_silently_and_one_clearly_over_is_foretold() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("record_size").await;
    cluster.namespace("flux-system").await;
    let packed = chart("sums", TEMPLATE).display().to_string();
    for (name, maps, fits) in [("under", "maps=23", true), ("over", "maps=30", false)] {
        let arguments = [name, &packed, "--set", maps];
        let template = Helm::Three.run(&cluster, &[&["template"], &arguments[..]].concat());
        let manifest = template.stdout;
        for told in [rendered(&manifest), judged(&manifest)] {
            assert_eq!(told.contains(LIMIT), !fits, "{name}: {told}");
        }
        let installed = Helm::Three.run(&cluster, &[&["install"], &arguments[..]].concat());
        assert_eq!(installed.status.success(), fits, "{}", said(&installed));
        let why = said(&installed);
        assert_eq!(why.contains("Too long"), !fits, "{why}");
    }
}
