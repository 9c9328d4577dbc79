//! The post-renderer as a process, from stdin to stdout, beside `cat` and `kubectl kustomize`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use fluxkeep_tests::control_plane::program;

use crate::process::{Memory, mib};
use crate::table::{Table, text};

/// A large chart, and ten of them.
const SIZES: [(usize, usize, &str); 2] = [(1_500_000, 200, "≤ 3 ×"), (15_000_000, 100, "≤ 2.5 ×")];
const KEEP: &str = "helm.sh/resource-policy";
/// The same edits: what a CRD or the engine's is.
const KUSTOMIZATION: &str = r#"
resources: [manifest.yaml]
patches:
- target: {kind: CustomResourceDefinition}
  patch: &keep "kind: X\nmetadata: {name: x, annotations: {helm.sh/resource-policy: keep}}"
- target: {labelSelector: app.kubernetes.io/part-of=flux}
  patch: *keep
"#;

pub(crate) fn measure(table: &mut Table, manifest: &str) -> anyhow::Result<()> {
    for (size, rounds, bar) in SIZES {
        let folder = tempfile::tempdir()?;
        let input = folder.path().join("manifest.yaml");
        let rendered = repeated(&templated(manifest), size);
        std::fs::write(&input, &rendered)?;
        std::fs::write(folder.path().join("kustomization.yaml"), KUSTOMIZATION)?;
        let title = format!(
            "post-rendering {} kB, from stdin to stdout",
            rendered.len() / 1000
        );
        let [ours, cat] = alternate(&input, rounds)?;
        table.time(&title, ours, "cat", cat, bar);
        let kustomize = kustomized(folder.path(), &input)?;
        let ratio = kustomize.as_secs_f64() / ours.as_secs_f64();
        table.row(
            &title,
            &format!("{ratio:.0} times faster"),
            &format!("kubectl kustomize: {}", text(kustomize)),
            "≥ 250",
        );
        memory(table, &title, &input)?;
    }
    Ok(())
}

/// As templates write text: without quotes where it is a word, long text line by line.
fn templated(manifest: &str) -> String {
    let line = |line: &str| match line.split_once(": \"") {
        Some((key, quoted)) => entry(key, quoted).unwrap_or_else(|| format!("{line}\n")),
        None => format!("{line}\n"),
    };
    manifest.lines().map(line).collect()
}

fn entry(key: &str, quoted: &str) -> Option<String> {
    let text: String = serde_json::from_str(&format!("\"{quoted}")).ok()?;
    if let Some(lines) = text.strip_suffix('\n') {
        let indent = " ".repeat(key.len() - key.trim_start_matches([' ', '-']).len() + 2);
        let lines: Vec<_> = lines
            .lines()
            .map(|line| format!("{indent}{line}\n"))
            .collect();
        return Some(format!("{key}: |\n{}", lines.concat()));
    }
    let is_word = text.starts_with(|one: char| one.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-./".contains(&byte));
    is_word.then(|| format!("{key}: {text}\n"))
}

/// The objects of a manifest again and again, under other names, until there is so much of them.
fn repeated(manifest: &str, size: usize) -> String {
    let mut all = String::with_capacity(size);
    // No chart holds the namespace that it goes to.
    let is_charts =
        |document: &&str| !document.is_empty() && !document.contains("\nkind: Namespace\n");
    let documents: Vec<_> = manifest.split("---\n").filter(is_charts).collect();
    for (number, document) in documents.iter().cycle().enumerate() {
        if all.len() >= size {
            break;
        }
        let name = format!("\n  name: copy{}-", number / documents.len());
        all.push_str("---\n");
        all.push_str(&document.replacen("\n  name: ", &name, 1));
    }
    all
}

/// The shortest runs of the post-renderer and of cat; they take turns.
fn alternate(input: &Path, rounds: usize) -> anyhow::Result<[Duration; 2]> {
    let mut shortest = [Duration::MAX; 2];
    for _ in 0..rounds {
        for (program, shortest) in [ours()?, PathBuf::from("cat")].iter().zip(&mut shortest) {
            *shortest = run(Command::new(program), input)?.0.min(*shortest);
        }
    }
    Ok(shortest)
}

/// The program as it is released.
fn ours() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("fluxkeep-postrenderer");
    ensure!(
        path.exists(),
        "{} is missing; run cargo build --release",
        path.display()
    );
    Ok(path)
}

/// One run: it takes most of a minute for the longer input.
fn kustomized(folder: &Path, input: &Path) -> anyhow::Result<Duration> {
    let mut command = Command::new(program("kubectl"));
    command.arg("kustomize").arg(folder);
    let (time, theirs) = run(command, input)?;
    let (_, ours) = run(Command::new(ours()?), input)?;
    let [theirs, ours] = [theirs, ours].map(|text| text.matches(KEEP).count());
    ensure!(
        theirs == ours,
        "kustomize made {theirs} edits where the post-renderer made {ours}"
    );
    Ok(time)
}

/// How long it takes to the last byte and the end, and what is written.
fn run(command: Command, input: &Path) -> anyhow::Result<(Duration, String)> {
    let mut text = String::with_capacity(32 << 20);
    let start = Instant::now();
    let (mut child, mut output) = spawn(command, input)?;
    output.read_to_string(&mut text)?;
    ensure!(child.wait()?.success(), "it ends well");
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

/// When the first byte comes, everything was read and planned; the rest does not fit into a pipe.
fn memory(table: &mut Table, title: &str, input: &Path) -> anyhow::Result<()> {
    let (mut child, mut output) = spawn(Command::new(ours()?), input)?;
    output.read_exact(&mut [0])?;
    let peak = mib(&child.id().to_string(), Memory::Peak)?;
    output.read_to_end(&mut Vec::new())?;
    ensure!(child.wait()?.success(), "it ends well");
    let size = f64::from(u32::try_from(std::fs::metadata(input)?.len())?) / f64::from(1 << 20);
    let told = format!("{peak:.1} MiB = input + {:.1} MiB", peak - size);
    table.row(
        &format!("{title}: memory at most"),
        &told,
        &format!("input: {size:.1} MiB"),
        "≤ input + 8 MiB",
    );
    Ok(())
}
