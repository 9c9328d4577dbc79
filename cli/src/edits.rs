//! Changes of a work tree: told, shown as a diff, written all or none.

use std::fmt::Write;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use fluxkeep::repository::File;
use fluxkeep::repository::plan::Step;
use similar::TextDiff;
use tempfile::NamedTempFile;

use crate::check::walk::Tree;

/// The steps in words.
pub(crate) fn told(edited: &[Step], left: &[Step]) -> String {
    let mut text = String::new();
    let mut part = |title: &str, steps: &[Step]| {
        if !steps.is_empty() {
            let _ = writeln!(text, "{title}");
        }
        for step in steps {
            let _ = writeln!(text, "  {}  {}", place(step), step.what);
        }
    };
    part("edited", edited);
    part("left to you", left);
    if text.is_empty() {
        text.push_str("nothing to move\n");
    }
    text
}

/// Writes all files: each to a temporary file beside it, then all renames. A failure before the
/// first rename leaves every file as it was; a failure between renames puts the old ones back.
///
/// # Errors
/// If a file cannot be written, or another program changed it since it was read.
pub(crate) fn write(tree: &Tree, files: &[File]) -> anyhow::Result<()> {
    let mut ready = Vec::new();
    for file in files {
        let staged = staged(tree, file);
        ready.push(staged.with_context(|| format!("{}: no file was changed", file.path))?);
    }
    let mut done: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for (path, old, new) in ready {
        if let Err(error) = new.persist(&path) {
            let lost = put_back(&done);
            let error = anyhow::Error::new(error).context(format!("replacing {}", path.display()));
            if lost.is_empty() {
                return Err(error.context("no file was changed"));
            }
            return Err(error.context(format!("these files are changed: {}", lost.join(", "))));
        }
        done.push((path, old));
    }
    Ok(())
}

/// The path of a file, its bytes, and its successor in a temporary file beside it.
fn staged(tree: &Tree, file: &File) -> anyhow::Result<(PathBuf, Vec<u8>, NamedTempFile)> {
    let path = tree.top.join(&file.path);
    let old = std::fs::read(&path)?;
    let mut read = tree.files.iter();
    let is_same = read.any(|read| read.path == file.path && read.bytes == old);
    ensure!(is_same, "another program changed it; run the command again");
    let mut new = NamedTempFile::new_in(path.parent().unwrap_or(&tree.top))?;
    new.write_all(&file.bytes)?;
    new.as_file()
        .set_permissions(std::fs::metadata(&path)?.permissions())?;
    new.as_file().sync_all()?;
    Ok((path, old, new))
}

/// Restores files. The paths of those that cannot be restored.
fn put_back(files: &[(PathBuf, Vec<u8>)]) -> Vec<String> {
    let failed = files
        .iter()
        .filter(|(path, old)| std::fs::write(path, old).is_err());
    failed.map(|(path, _)| path.display().to_string()).collect()
}

/// The place of a step; a step about a whole group has no line.
fn place(step: &Step) -> String {
    match step.line {
        0 => step.file.clone(),
        line => format!("{}:{line}", step.file),
    }
}

/// The changed lines, as a unified diff that `git apply` takes.
pub(crate) fn diff(tree: &Tree, files: &[File]) -> String {
    let mut text = String::new();
    for file in files {
        let mut read = tree.files.iter();
        let Some(old) = read.find(|read| read.path == file.path) else {
            continue;
        };
        let (old, new) = (
            String::from_utf8_lossy(&old.bytes),
            String::from_utf8_lossy(&file.bytes),
        );
        let diff = TextDiff::from_lines(&old, &new);
        let names = [format!("a/{}", file.path), format!("b/{}", file.path)];
        let [before, after] = &names;
        text += &diff.unified_diff().header(before, after).to_string();
    }
    text
}
