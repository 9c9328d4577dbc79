//! Passes the commit of the build to the program.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=FLUXKEEP_COMMIT");
    // Git appends to this file whenever HEAD moves. A missing file would always cause a rebuild.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists());
    println!(
        "cargo::rerun-if-changed={}",
        log.as_deref().unwrap_or("build.rs")
    );
    let asked = std::env::var("FLUXKEEP_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty());
    let commit = asked
        .or_else(|| git(&["rev-parse", "--short=12", "HEAD"]))
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=FLUXKEEP_COMMIT={commit}");
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
