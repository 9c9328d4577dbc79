//! Walks a repository's work tree and reads the files that may hold pins.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};
use fluxkeep::case::policy::Policy;
use fluxkeep::repository::settings::{NAME, Settings, settings};
use fluxkeep::repository::{File, Skipped, is_read, is_wanted};
use ignore::{DirEntry, WalkBuilder, WalkState};

/// Largest file in bytes: the largest file with a pin, Flux's own manifests, has 0.6 MB.
pub(super) const LARGEST: u64 = 4 << 20;
/// First bytes in which a NUL tells a binary file; Git looks at as many.
const HEAD: usize = 8_000;
/// Names of binary files, which hold no pins and are not counted.
const BINARY: [&str; 14] = [
    "png", "jpg", "jpeg", "gif", "ico", "webp", "pdf", "zip", "gz", "xz", "woff", "woff2", "ttf",
    "mp4",
];

/// The files of a work tree.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// The files that may hold pins.
    pub(crate) files: Vec<File>,
    /// The files that could not be read.
    pub(crate) skipped: Vec<Skipped>,
    /// The top of the work tree.
    pub(crate) top: PathBuf,
    /// The folder that was asked about, relative to the top; empty for the whole repository.
    pub(crate) shown: String,
}

impl Tree {
    /// The settings of the repository, and their levels in a policy that has none of its own.
    ///
    /// # Errors
    /// If the file is there and cannot be read, or is invalid: the place in it.
    pub(crate) fn settings(&self, policy: &mut Policy) -> anyhow::Result<Settings> {
        let text = match std::fs::read_to_string(self.top.join(NAME)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Settings::default()),
            Err(error) => return Err(error).context(NAME),
        };
        let settings = settings(&text).context(NAME)?;
        for (rule, level) in &settings.levels {
            policy.levels.entry(rule).or_insert(*level);
        }
        Ok(settings)
    }
}

/// Reads the repository around a path. Without Git, the path itself is the top.
pub(crate) fn walk(path: &Path) -> anyhow::Result<Tree> {
    let path = path.canonicalize()?;
    let folder = if path.is_dir() {
        path.clone()
    } else {
        path.parent().unwrap_or(&path).to_owned()
    };
    let top = top(&folder)?;
    let shown = slashed(path.strip_prefix(&top).unwrap_or(Path::new("")));
    let tree = Mutex::new(Tree {
        shown,
        top: top.clone(),
        ..Tree::default()
    });
    let mut walker = WalkBuilder::new(&top);
    walker
        .hidden(false)
        .ignore(false)
        .git_global(false)
        .require_git(false)
        .parents(false)
        .threads(2);
    walker.filter_entry(|entry| entry.file_name() != ".git");
    walker.build_parallel().run(|| {
        Box::new(|entry| {
            let mut next = WalkState::Continue;
            let read = match entry {
                Ok(entry) if is_repository(&entry) => {
                    next = WalkState::Skip;
                    Some(Err(Skipped {
                        path: relative(&entry, &top),
                        why: "it is a repository of its own; check it by itself".to_owned(),
                    }))
                }
                Ok(entry) => read(&entry, &top),
                Err(error) => Some(Err(Skipped {
                    path: String::new(),
                    why: error.to_string(),
                })),
            };
            let mut tree = tree.lock().unwrap_or_else(PoisonError::into_inner);
            match read {
                Some(Ok(file)) => tree.files.push(file),
                Some(Err(skipped)) => tree.skipped.push(skipped),
                None => {}
            }
            next
        })
    });
    Ok(tree.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The top of the work tree above a folder, else the folder.
fn top(folder: &Path) -> anyhow::Result<PathBuf> {
    for above in folder.ancestors() {
        if above.join(".git").exists() {
            return Ok(above.to_owned());
        }
    }
    let is_bare = ["HEAD", "objects", "refs"]
        .iter()
        .all(|name| folder.join(name).exists());
    if is_bare {
        bail!("it is a bare repository, which has no files; check out a work tree");
    }
    std::fs::read_dir(folder).context("listing it")?;
    Ok(folder.to_owned())
}

/// True for the top of another repository within this one, such as a submodule.
fn is_repository(entry: &DirEntry) -> bool {
    let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
    is_folder && entry.depth() > 0 && entry.path().join(".git").exists()
}

fn relative(entry: &DirEntry, top: &Path) -> String {
    slashed(entry.path().strip_prefix(top).unwrap_or(entry.path()))
}

fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}

/// Reads a file. `None` for a file that holds no pins, or that is no regular file.
fn read(entry: &DirEntry, top: &Path) -> Option<Result<File, Skipped>> {
    if !entry.file_type()?.is_file() {
        return None;
    }
    let path = relative(entry, top);
    let is_package = path
        .rsplit_once('.')
        .is_some_and(|(_, extension)| extension == "tgz");
    if !is_read(&path) || is_package && !path.contains("/charts/") {
        return None;
    }
    if is_package {
        return Some(Ok(File {
            path,
            bytes: Vec::new(),
        }));
    }
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    if BINARY.contains(&extension.to_ascii_lowercase().as_str()) {
        return None;
    }
    let skipped = |why: &str| {
        Some(Err(Skipped {
            path: path.clone(),
            why: why.to_owned(),
        }))
    };
    if entry
        .metadata()
        .is_ok_and(|metadata| metadata.len() > LARGEST)
    {
        return skipped("it is larger than 4 MiB");
    }
    let bytes = match std::fs::read(entry.path()) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => return skipped(&error.to_string()),
    };
    if memchr::memchr(0, bytes.get(..HEAD).unwrap_or(&bytes)).is_some() {
        return skipped("it is binary");
    }
    let file = File { path, bytes };
    is_wanted(&file).then_some(Ok(file))
}
