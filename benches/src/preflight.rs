//! Measures `fluxkeep preflight` as a process: a manifest against a snapshot of the same size, beside
//! `cat` of both files.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::input::repeated;
use crate::process::{Memory, mib};
use crate::table::{Table, text};

const ROUNDS: usize = 20;
/// Bytes of each of both files: about as many as the largest public set of CRDs has.
const LARGE: usize = 12_000_000;

/// Measures one chart, and a manifest of [`LARGE`] bytes.
pub(crate) fn measure(table: &mut Table, manifest: &str) -> anyhow::Result<()> {
    judged(table, manifest, "≤ 50 ms")?;
    judged(table, &repeated(manifest, LARGE), "≤ 1 s")
}

fn judged(table: &mut Table, manifest: &str, bar: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let [new, live] = ["manifest.yaml", "snapshot.yaml"].map(|name| folder.path().join(name));
    std::fs::write(&new, manifest)?;
    std::fs::write(&live, manifest)?;
    let mut shortest = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        shortest[0] = timed(&mut preflight(&new, &live)?)?.min(shortest[0]);
        shortest[1] = timed(Command::new("cat").args([&new, &live]))?.min(shortest[1]);
    }
    let size = manifest.len() / 1000;
    let title = format!("preflight of {size} kB against a snapshot of {size} kB");
    let [ours, cat] = shortest;
    table.row(&title, &text(ours), &format!("cat: {}", text(cat)), bar);
    let peak = peak(&mut preflight(&new, &live)?)?;
    let input = f64::from(u32::try_from(2 * manifest.len())?) / f64::from(1 << 20);
    table.row(
        &format!("{title}: memory at most"),
        &format!("{peak:.1} MiB"),
        &format!("input: {input:.1} MiB"),
        "≤ 2 × input + 16 MiB",
    );
    Ok(())
}

/// The program in this program's folder.
fn preflight(manifest: &Path, snapshot: &Path) -> anyhow::Result<Command> {
    let path: PathBuf = std::env::current_exe()?.with_file_name("fluxkeep");
    ensure!(
        path.exists(),
        "{} is missing; run make bench",
        path.display()
    );
    let mut command = Command::new(path);
    command.arg("preflight").arg("--snapshot").arg(snapshot);
    command.arg(manifest);
    Ok(command)
}

/// Runs a program to its end. Findings end preflight with 1.
fn timed(command: &mut Command) -> anyhow::Result<Duration> {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("starting {command:?}"))?;
    ensure!(
        matches!(status.code(), Some(0 | 1)),
        "{command:?}: {status}"
    );
    Ok(start.elapsed())
}

/// The most memory that a program was seen to use.
fn peak(command: &mut Command) -> anyhow::Result<f64> {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let process = child.id().to_string();
    let mut peak = 0.0;
    while child.try_wait()?.is_none() {
        // A program that has just ended has no memory to tell.
        peak = mib(&process, Memory::Peak).unwrap_or(peak).max(peak);
    }
    Ok(peak)
}
