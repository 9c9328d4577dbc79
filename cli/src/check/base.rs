//! The files of a repository at a revision of Git, by the program `git`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use fluxkeep::repository::{File, is_read, is_wanted};

use super::walk::{LARGEST, Tree};

/// Reads the files at a revision. Files that did not change since then come from the work tree.
///
/// # Errors
/// If `git` is not there, the folder is no work tree, or it has no such revision.
pub(super) fn files(tree: &Tree, revision: &str) -> anyhow::Result<Vec<File>> {
    read(tree, revision).with_context(|| format!("reading the revision {revision:?}"))
}

fn read(tree: &Tree, revision: &str) -> anyhow::Result<Vec<File>> {
    let top = tree.top.as_path();
    let wanted = format!("{revision}^{{tree}}");
    let found = git(top, &["rev-parse", "--verify", "--end-of-options", &wanted])?;
    let id = String::from_utf8_lossy(&found).trim().to_owned();
    let blobs = blobs(&git(
        top,
        &["ls-tree", "-r", "-z", "-l", "--full-tree", &id],
    )?);
    let changed = git(
        top,
        &["diff-index", "-z", "--name-only", "--no-renames", &id],
    )?;
    let changed: BTreeSet<&[u8]> = changed.split(|byte| *byte == 0).collect();
    let mut files: Vec<File> = Vec::new();
    for file in &tree.files {
        let is_same = !changed.contains(file.path.as_bytes());
        if is_same && blobs.contains_key(&file.path) {
            files.push(file.clone());
        }
    }
    let moved = blobs
        .into_iter()
        .filter(|(path, _)| changed.contains(path.as_bytes()));
    files.extend(contents(top, moved.collect())?);
    Ok(files)
}

/// The output of `git`.
fn git(top: &Path, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let output = Command::new("git")
        .arg("-C")
        .arg(top)
        .args(arguments)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .output()
        .context("running git")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}", said.lines().next().unwrap_or("git failed"));
    }
    Ok(output.stdout)
}

/// The regular files of a listing, with the names of their contents: `mode type name size TAB path`.
fn blobs(listing: &[u8]) -> BTreeMap<String, String> {
    let mut blobs = BTreeMap::new();
    for entry in listing.split(|byte| *byte == 0) {
        let entry = String::from_utf8_lossy(entry);
        let Some((head, path)) = entry.split_once('\t') else {
            continue;
        };
        let words: Vec<&str> = head.split_whitespace().collect();
        let [mode, "blob", name, size] = words.as_slice() else {
            continue;
        };
        let is_small = size.parse::<u64>().is_ok_and(|size| size <= LARGEST);
        if mode.starts_with("100") && is_small && is_read(path) {
            blobs.insert(path.to_owned(), (*name).to_owned());
        }
    }
    blobs
}

/// The contents of files, by one `git cat-file --batch`.
fn contents(top: &Path, blobs: Vec<(String, String)>) -> anyhow::Result<Vec<File>> {
    if blobs.is_empty() {
        return Ok(Vec::new());
    }
    let mut child = Command::new("git")
        .arg("-C")
        .arg(top)
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("running git")?;
    let mut asked = child.stdin.take().context("git has no stdin")?;
    let mut answers = BufReader::new(child.stdout.take().context("git has no stdout")?);
    let mut files = Vec::new();
    for (path, name) in blobs {
        writeln!(asked, "{name}").context("asking git")?;
        asked.flush().context("asking git")?;
        let bytes = content(&mut answers).with_context(|| path.clone())?;
        let file = File { path, bytes };
        if is_wanted(&file) {
            files.push(file);
        }
    }
    drop(asked);
    let status = child.wait().context("waiting for git")?;
    ensure!(status.success(), "git cat-file failed");
    Ok(files)
}

/// Reads an answer: `name type size`, the content, a line end.
fn content(answers: &mut impl BufRead) -> anyhow::Result<Vec<u8>> {
    let mut head = String::new();
    answers.read_line(&mut head)?;
    let size = head.trim_end().rsplit(' ').next().unwrap_or_default();
    let size: u64 = size.parse().with_context(|| format!("git says {head:?}"))?;
    let mut bytes = Vec::new();
    answers.by_ref().take(size).read_to_end(&mut bytes)?;
    answers.read_exact(&mut [0])?;
    Ok(bytes)
}
