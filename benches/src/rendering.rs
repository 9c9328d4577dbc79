//! The post-renderer's process, from stdin to stdout, beside `cat` and `kubectl kustomize`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use fluxkeep::manifest::{Reading, read};
use fluxkeep::object::Key;
use fluxkeep_tests::control_plane::program;
use serde_json::json;

use crate::input::repeated;
use crate::process::{Memory, mib};
use crate::table::{Table, text};

const ROUNDS: usize = 100;
/// Two sizes in bytes. From one to the next the time must grow no faster than the text.
const MEDIUM: usize = 1_500_000;
const LARGE: usize = 15_000_000;
const KEEP: &str = "kind: X\nmetadata: {name: x, annotations: {helm.sh/resource-policy: keep}}";

/// Measures one chart, and manifests of [`MEDIUM`] and [`LARGE`] bytes.
pub(crate) fn measure(table: &mut Table, manifest: &str) -> anyhow::Result<()> {
    let chart = rendered(table, manifest, "≤ 10 ms")?;
    let medium = rendered(table, &repeated(manifest, MEDIUM), "")?;
    let large = rendered(table, &repeated(manifest, LARGE), "≤ 8 ×")?;
    let growth = large.as_secs_f64() / medium.as_secs_f64();
    table.row(
        &format!("post-rendering {LARGE} bytes beside {MEDIUM}"),
        &format!("{growth:.1} times as long"),
        &format!("one chart: {}", text(chart)),
        "≤ 10",
    );
    Ok(())
}

/// Measures the post-renderer over one manifest.
fn rendered(table: &mut Table, manifest: &str, bar: &str) -> anyhow::Result<Duration> {
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("manifest.yaml");
    std::fs::write(&input, manifest)?;
    let title = format!(
        "post-rendering {} kB, from stdin to stdout",
        manifest.len() / 1000
    );
    let [ours, cat] = alternate(&input, ROUNDS)?;
    table.time(&title, ours, "cat", cat, bar);
    let kustomize = kustomized(folder.path(), &input)?;
    table.faster(&title, ours, "kubectl kustomize", kustomize, "≥ 50");
    memory(table, &title, &input)?;
    Ok(ours)
}

/// Returns the shortest runs of the post-renderer and of `cat`. Both take turns.
fn alternate(input: &Path, rounds: usize) -> anyhow::Result<[Duration; 2]> {
    let mut shortest = [Duration::MAX; 2];
    for _ in 0..rounds {
        for (program, shortest) in [ours()?, PathBuf::from("cat")].iter().zip(&mut shortest) {
            *shortest = run(Command::new(program), input)?.0.min(*shortest);
        }
    }
    Ok(shortest)
}

/// Returns the path of the post-renderer in this program's folder.
fn ours() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("fluxkeep-postrenderer");
    ensure!(
        path.exists(),
        "{} is missing; run make bench",
        path.display()
    );
    Ok(path)
}

/// Measures `kubectl kustomize` with patches that keep the same objects. One run only, because the
/// largest input takes long.
fn kustomized(folder: &Path, input: &Path) -> anyhow::Result<Duration> {
    let (_, text) = run(Command::new(ours()?), input)?;
    let ours = kept(&text)?;
    let file = folder.join("kustomization.yaml");
    std::fs::write(file, kustomization(&ours))?;
    let mut command = Command::new(program("kubectl"));
    command.arg("kustomize").arg(folder);
    let (time, text) = run(command, input)?;
    let theirs = kept(&text)?;
    let mut differs = ours.symmetric_difference(&theirs);
    if let Some(key) = differs.next() {
        let by = if ours.contains(key) {
            "the post-renderer"
        } else {
            "kustomize"
        };
        anyhow::bail!("{by} alone keeps {key}");
    }
    Ok(time)
}

/// Returns the objects of a manifest that Helm keeps.
fn kept(manifest: &str) -> anyhow::Result<BTreeSet<Key>> {
    let objects = read(manifest, Reading::default())?;
    let kept = objects.iter().filter(|object| object.is_kept());
    Ok(kept.map(fluxkeep::object::Object::key).collect())
}

/// Returns a kustomization with one patch per kind, for all objects to keep. JSON is also YAML.
fn kustomization(kept: &BTreeSet<Key>) -> String {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for key in kept {
        names.entry(&key.kind).or_default().push(&key.name);
    }
    let patches: Vec<_> = names
        .into_iter()
        .map(|(kind, names)| json!({"target": {"kind": kind, "name": names.join("|")}, "patch": KEEP}))
        .collect();
    json!({"resources": ["manifest.yaml"], "patches": patches}).to_string()
}

/// Runs a program to its end. Returns the time and the output.
fn run(command: Command, input: &Path) -> anyhow::Result<(Duration, String)> {
    let mut text = String::with_capacity(32 << 20);
    let start = Instant::now();
    let name = format!("{command:?}");
    let (mut child, mut output) = spawn(command, input)?;
    output.read_to_string(&mut text)?;
    ensure!(child.wait()?.success(), "{name} failed");
    Ok((start.elapsed(), text))
}

fn spawn(mut command: Command, input: &Path) -> anyhow::Result<(Child, ChildStdout)> {
    command
        .stdin(File::open(input)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command
        .spawn()
        .with_context(|| format!("starting {command:?}"))?;
    let output = child.stdout.take().context("its output")?;
    Ok((child, output))
}

/// Measures the peak memory at the first byte of output, when all input is read and planned. The
/// program cannot end before, because the rest of the output does not fit into a pipe.
fn memory(table: &mut Table, title: &str, input: &Path) -> anyhow::Result<()> {
    let (mut child, mut output) = spawn(Command::new(ours()?), input)?;
    output.read_exact(&mut [0])?;
    let peak = mib(&child.id().to_string(), Memory::Peak)?;
    output.read_to_end(&mut Vec::new())?;
    ensure!(child.wait()?.success(), "the post-renderer failed");
    let size = f64::from(u32::try_from(std::fs::metadata(input)?.len())?) / f64::from(1 << 20);
    let told = format!("{peak:.1} MiB = 3 × input + {:.1} MiB", peak - 3.0 * size);
    table.row(
        &format!("{title}: memory at most"),
        &told,
        &format!("input: {size:.1} MiB"),
        "≤ 3 × input + 8 MiB",
    );
    Ok(())
}
