//! The snapshot source: files from kubectl or `fluxkeep snapshot`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use fluxkeep::case::facts::Facts;
use fluxkeep::manifest::{self, Reading};
use fluxkeep::object::Object;
use fluxkeep::yaml::Unread;

use crate::FactSource;

/// The incident's cluster: Flux 2.4.0 as `install.yaml` leaves it.
pub const BUILT_IN: &str = include_str!("built_in.yaml");

/// Facts that never change.
#[derive(Debug)]
pub struct Snapshot {
    facts: Arc<Facts>,
    loaded: SystemTime,
}

/// The reason why files cannot be read as Kubernetes objects.
#[derive(Debug, thiserror::Error)]
pub enum Unloadable {
    /// A file or folder is unreadable.
    #[error("reading {path}: {reason}")]
    File {
        /// The file or folder; `-` is stdin.
        path: PathBuf,
        /// The system's error. Not a `source`, because the message already contains it.
        reason: std::io::Error,
    },
    /// A document in a file is unreadable.
    #[error("reading {path}: {reason}; {cure}")]
    Document {
        /// The file.
        path: PathBuf,
        /// The location and the error.
        reason: Unread,
        /// The remedy.
        cure: &'static str,
    },
    /// The file or folder has no objects.
    #[error("reading {path}: it holds no Kubernetes object; {}", source_of(.path))]
    Empty {
        /// The file or folder; `-` is stdin.
        path: PathBuf,
    },
}

/// Advice for an input without objects.
fn source_of(path: &Path) -> &'static str {
    if path == Path::new("-") {
        "check the command that writes to this pipe"
    } else {
        "give a .yaml or .json file, or a folder of them"
    }
}

/// Advice for an unreadable document: most are templates.
fn cure(text: &str, reason: &Unread) -> &'static str {
    let place = text.lines().zip(1..).find(|(_, line)| *line == reason.line);
    if place.is_some_and(|(text, _)| text.contains("{{")) {
        "this looks like a template: render it first, as `helm template` does"
    } else {
        "write it as `kubectl get -o yaml` prints it"
    }
}

impl Snapshot {
    /// The built-in snapshot.
    ///
    /// # Errors
    /// Never in a tested build, because the data is compiled in.
    pub fn built_in() -> Result<Self, Unloadable> {
        let path = Path::new("the built-in snapshot");
        Ok(Self::of(
            manifest::read(BUILT_IN, Reading::default())
                .map_err(|reason| unreadable(path, BUILT_IN, reason))?,
        ))
    }

    /// Loads a file, a folder with all its .yaml, .yml and .json files, or `-` for stdin.
    ///
    /// # Errors
    /// At the first unreadable file, or if there is no object at all.
    pub fn load(path: &Path) -> Result<Self, Unloadable> {
        Ok(Self::of(documents(path, None)?))
    }

    /// A snapshot of these objects.
    #[must_use]
    pub fn of(objects: Vec<Object>) -> Self {
        let lean = objects.into_iter().map(|object| Object {
            source: None,
            ..object
        });
        Self {
            facts: Arc::new(Facts::of(lean)),
            loaded: SystemTime::now(),
        }
    }
}

impl FactSource for Snapshot {
    fn facts(&self) -> Arc<Facts> {
        self.facts.clone()
    }

    fn name(&self) -> &'static str {
        "snapshot"
    }

    fn as_of(&self) -> SystemTime {
        self.loaded
    }
}

/// The objects of a file, a folder or stdin, each with its source location. Objects without a
/// namespace get `namespace`.
///
/// # Errors
/// As [`Snapshot::load`].
pub fn documents(path: &Path, namespace: Option<&str>) -> Result<Vec<Object>, Unloadable> {
    documents_with(path, namespace, &mut |_| ())
}

/// Like [`documents`], and shows each file's text.
///
/// # Errors
/// As [`Snapshot::load`].
pub fn documents_with(
    path: &Path,
    namespace: Option<&str>,
    show: &mut dyn FnMut(&str),
) -> Result<Vec<Object>, Unloadable> {
    let mut objects = Vec::new();
    for file in files(path)? {
        let text = text(&file)?;
        show(&text);
        let name = file.display().to_string();
        let read = manifest::read(
            &text,
            Reading {
                file: Some(&name),
                namespace,
            },
        );
        objects.extend(read.map_err(|reason| unreadable(&file, &text, reason))?);
    }
    if objects.is_empty() {
        return Err(Unloadable::Empty {
            path: path.to_owned(),
        });
    }
    Ok(objects)
}

fn unreadable(path: &Path, text: &str, reason: Unread) -> Unloadable {
    Unloadable::Document {
        path: path.to_owned(),
        cure: cure(text, &reason),
        reason,
    }
}

fn text(path: &Path) -> Result<String, Unloadable> {
    let read = || {
        if path == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            return Ok(text);
        }
        std::fs::read_to_string(path)
    };
    read().map_err(|reason| Unloadable::File {
        path: path.to_owned(),
        reason,
    })
}

/// The file itself, or the manifests in and below a folder in order, without hidden files.
fn files(path: &Path) -> Result<Vec<PathBuf>, Unloadable> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = |reason| Unloadable::File {
        path: path.to_owned(),
        reason,
    };
    let entries: Result<Vec<_>, _> = std::fs::read_dir(path).map_err(unreadable)?.collect();
    let mut paths: Vec<_> = entries
        .map_err(unreadable)?
        .iter()
        .map(std::fs::DirEntry::path)
        .collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths.iter().filter(|path| !is_hidden(path)) {
        if path.is_dir() || is_manifest(path) {
            found.extend(files(path)?);
        }
    }
    Ok(found)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn is_manifest(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fluxkeep::flux::engine::Engine;

    #[test]
    fn the_built_in_snapshot_is_flux_2_4_0_and_all_of_it_is_engine() {
        let facts = Snapshot::built_in().unwrap().facts();
        let engine = Engine::default();
        assert_eq!(facts.running(&engine).unwrap().to_string(), "Flux 2.4.0");
        assert_eq!(facts.objects().count(), facts.engine(&engine).count());
        assert_eq!(
            facts
                .objects()
                .filter(|object| object.definition().is_some())
                .count(),
            13
        );
        assert!(facts.owners(&engine).is_empty());
    }

    #[test]
    fn a_folder_is_read_whole_and_in_order_without_hidden_files() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("more")).unwrap();
        let write = |name: &str, object: &str| {
            let text = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {object}}}\n");
            std::fs::write(root.path().join(name), text).unwrap();
        };
        for (name, object) in [
            ("b.yaml", "two"),
            ("a.yml", "one"),
            ("more/c.json", "three"),
            (".d.yaml", "no"),
            ("e.txt", "no"),
        ] {
            write(name, object);
        }
        let names: Vec<_> = documents(root.path(), None)
            .unwrap()
            .into_iter()
            .map(|one| one.name)
            .collect();
        assert_eq!(names, ["one", "two", "three"]);
    }

    #[test]
    fn what_cannot_be_read_says_where_and_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("bad.yaml");
        std::fs::write(&path, "kind: A\n---\nkind: [\n").unwrap();
        let text = |path: &Path| Snapshot::load(path).unwrap_err().to_string();
        assert!(text(&path).contains("bad.yaml: line"), "{}", text(&path));
        assert!(text(&root.path().join("none.yaml")).contains("none.yaml"));
        let said_once = std::error::Error::source(&Snapshot::load(&path).unwrap_err()).is_none();
        assert!(
            said_once,
            "whoever prints the chain of causes would repeat the reason"
        );
        std::fs::write(&path, "# nothing\n").unwrap();
        assert!(text(root.path()).ends_with(
            "holds no Kubernetes object; give a .yaml or .json file, or a folder of them"
        ));
        std::fs::write(&path, "kind: {{ .Values.kind }}\n").unwrap();
        assert!(text(&path).contains("`helm template`"), "{}", text(&path));
        std::fs::write(&path, "kind: A # {{ }}\n---\nkind: [\n").unwrap();
        assert!(
            text(&path).ends_with("; write it as `kubectl get -o yaml` prints it"),
            "{}",
            text(&path)
        );
    }
}
