//! The archives of `make dist`: their content, the same bytes twice, and the plugin in a real Helm 4.

#![allow(clippy::expect_used, missing_docs)]

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fluxkeep_tests::control_plane::{chart, folder, own, program, said};

/// The programs as they are built for tests. The server is only copied, so a stand-in saves time.
fn programs() -> PathBuf {
    let folder = folder("programs");
    for name in ["fluxkeep", "fluxkeep-postrenderer", "fluxkeep-man"] {
        symlink(own(name), folder.join(name)).expect("a writable folder");
    }
    std::fs::write(folder.join("fluxkeep-webhook"), "#!/bin/sh\n").expect("a writable folder");
    folder
}

fn packed(programs: &Path) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/pack.sh");
    let out = folder("dist");
    let output = Command::new(script).arg(programs).arg(&out).output();
    succeeds(&output.expect("bash"));
    out
}

fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The only file with this ending.
fn file(folder: &Path, end: &str) -> PathBuf {
    let entries = folder.read_dir().expect("a folder").flatten();
    let mut paths = entries.map(|entry| entry.path());
    let is_it = |path: &PathBuf| path.to_string_lossy().ends_with(end);
    paths.find(is_it).expect("a file with this ending")
}

fn tar(arguments: &[&str]) -> String {
    succeeds(&Command::new("tar").args(arguments).output().expect("tar"))
}

/// Helm 4 with a home of its own.
fn helm(home: &Path, arguments: &[&str]) -> Output {
    let homes = ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"];
    let mut command = Command::new(program("helm-4"));
    command.args(arguments);
    command.envs(homes.map(|name| (name, home.join(name))));
    command.output().expect("helm")
}

#[test]
fn the_archives_are_the_same_twice_and_hold_all_that_an_installation_needs() {
    let programs = programs();
    let [first, second] = [packed(&programs), packed(&programs)];
    let sums = |out: &Path| std::fs::read_to_string(out.join("SHA256SUMS")).expect("sums");
    assert_eq!(sums(&first), sums(&second));
    let archive = file(&first, ".tar.gz");
    let listed = tar(&["--list", "--file", &archive.to_string_lossy()]);
    let held: BTreeSet<_> = listed
        .lines()
        .filter_map(|line| line.split_once('/'))
        .map(|(_, path)| path)
        .collect();
    for path in [
        "LICENSE",
        "README.md",
        "completions/fluxkeep.bash",
        "completions/fluxkeep.zsh",
        "fluxkeep",
        "fluxkeep-postrenderer",
        "fluxkeep-webhook",
        "helm-plugin/fluxkeep-postrenderer",
        "helm-plugin/plugin.yaml",
        "man/fluxkeep-adopt.1",
        "man/fluxkeep-postrenderer-hook.1",
        "man/fluxkeep-preflight.1",
        "man/fluxkeep-webhook-register.1",
        "man/fluxkeep.1",
    ] {
        assert!(held.contains(path), "{path}: {listed}");
    }
    let krew = std::fs::read_to_string(first.join("krew.yaml")).expect("krew's manifest");
    let sum = sums(&first);
    let mut lines = sum.lines();
    let line = lines.find(|line| line.ends_with(".tar.gz"));
    let (sum, _) = line.and_then(|line| line.split_once(' ')).expect("a sum");
    assert!(krew.contains(&format!("sha256: {sum}\n")), "{krew}");
}

#[test]
fn helm_4_installs_the_plugin_from_the_archives_folder_and_from_its_own_archive() {
    let out = packed(&programs());
    let archive = file(&out, ".tar.gz");
    let unpacked = folder("unpacked");
    let into = unpacked.to_string_lossy();
    tar(&[
        "--extract",
        "--file",
        &archive.to_string_lossy(),
        "--directory",
        &into,
    ]);
    let plugin = file(&unpacked, "").join("helm-plugin");
    let own_archive = file(&out, ".tgz");
    let engine = "apiVersion: v1\nkind: Service\nmetadata:\n  name: source-controller\n  labels: {app.kubernetes.io/part-of: flux}\n";
    let chart = chart("engine", engine);
    for source in [plugin, own_archive] {
        let (home, source) = (folder("helm-home"), source.to_string_lossy().into_owned());
        succeeds(&helm(
            &home,
            &["plugin", "install", "--verify=false", &source],
        ));
        let chart = chart.to_string_lossy();
        let render = ["template", "flux", &*chart, "--namespace", "flux-system"];
        let with = ["--post-renderer", "fluxkeep"];
        let told = succeeds(&helm(&home, &[&render[..], &with].concat()));
        assert!(
            told.contains("helm.sh/resource-policy: keep"),
            "{source}: {told}"
        );
    }
}
