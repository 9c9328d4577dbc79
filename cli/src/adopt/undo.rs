//! The undo file: the state of each object before an adoption.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use fluxkeep::helm::Owner;
use serde::{Deserialize, Serialize};

use super::stamp::{KeyChange, Stamp};
use crate::file;

/// An adoption with its former and new values.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// The release that takes over, as `namespace/name`.
    pub release: String,
    /// A stamp per object.
    pub objects: Vec<Stamp>,
}

/// The default path: a file per release, in the current folder.
#[must_use]
pub fn default_path(owner: &Owner) -> PathBuf {
    format!("fluxkeep-adopt-{}-{}.json", owner.namespace, owner.name).into()
}

impl Undo {
    /// Reads a file that an adoption wrote.
    ///
    /// # Errors
    /// If the file is unreadable or of another format.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("reading the undo file {}", path.display());
        let text = std::fs::read_to_string(path).with_context(context)?;
        let undo =
            serde_json::from_str(&text).context("it is not as `fluxkeep adopt --yes` writes it");
        undo.with_context(context)
    }

    /// Merges this adoption with an earlier, interrupted one of the same release. The earlier one
    /// knows the true former values.
    #[must_use]
    pub fn after(self, earlier: Option<Self>) -> Self {
        let mut objects: BTreeMap<_, Stamp> = BTreeMap::new();
        let identity = |stamp: &Stamp| (stamp.key(), stamp.uid.clone());
        for stamp in earlier.into_iter().flat_map(|earlier| earlier.objects) {
            objects.insert(identity(&stamp), stamp);
        }
        for mut stamp in self.objects {
            let earlier = objects
                .remove(&identity(&stamp))
                .map(|stamp| stamp.changes)
                .unwrap_or_default();
            merge(&mut stamp.changes, earlier);
            objects.insert(identity(&stamp), stamp);
        }
        Self {
            release: self.release,
            objects: objects.into_values().collect(),
        }
    }

    /// Merges an existing file and writes the result. The file is on disk when this returns, and is
    /// never half written.
    ///
    /// # Errors
    /// If the file is another release's, unreadable or not writable.
    pub fn keep(self, path: &Path) -> anyhow::Result<Self> {
        let earlier = match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            _ => Some(Self::read(path)?),
        };
        if let Some(other) = earlier.as_ref().map(|earlier| &earlier.release) {
            let path = path.display();
            ensure!(
                *other == self.release,
                "the undo file {path} is of release {other}; choose another with --undo-file"
            );
        }
        let whole = self.after(earlier);
        whole.write(path).with_context(|| {
            format!(
                "writing the undo file {}; nothing was changed",
                path.display()
            )
        })?;
        Ok(whole)
    }

    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        Ok(file::replace(path, text.as_bytes())?)
    }
}

/// Adds an earlier run's changes. A key that already has the wanted value gets its former value
/// from there. A key still to be changed was not changed by that run.
fn merge(changes: &mut Vec<KeyChange>, earlier: Vec<KeyChange>) {
    for old in earlier {
        let same = changes
            .iter_mut()
            .find(|change| (change.part, &change.key) == (old.part, &old.key));
        match same {
            Some(change) if change.was == change.is => change.was = old.was,
            Some(_) => (),
            None => changes.push(old),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fluxkeep::adoption::MetadataField;

    fn undo(release: &str, uid: &str, changes: &[(&str, Option<&str>, Option<&str>)]) -> Undo {
        let change = |(key, was, is): &(&str, Option<&str>, Option<&str>)| KeyChange {
            part: MetadataField::Labels,
            key: (*key).to_owned(),
            was: was.map(str::to_owned),
            is: is.map(str::to_owned),
        };
        let stamp = Stamp {
            api_version: "v1".to_owned(),
            kind: "Service".to_owned(),
            namespace: Some("flux-system".to_owned()),
            name: "a".to_owned(),
            uid: uid.to_owned(),
            changes: changes.iter().map(change).collect(),
        };
        Undo {
            release: release.to_owned(),
            objects: vec![stamp],
        }
    }

    #[test]
    fn a_second_run_remembers_what_was_before_the_first() {
        let first = undo(
            "a/b",
            "u",
            &[
                ("done", Some("x"), Some("Helm")),
                ("gone", Some("y"), None),
                ("rest", None, Some("z")),
            ],
        );
        let second = undo(
            "a/b",
            "u",
            &[
                ("done", Some("Helm"), Some("Helm")),
                ("rest", Some("since"), Some("z")),
            ],
        );
        let expected = undo(
            "a/b",
            "u",
            &[
                ("done", Some("x"), Some("Helm")),
                ("rest", Some("since"), Some("z")),
                ("gone", Some("y"), None),
            ],
        );
        assert_eq!(second.after(Some(first)), expected);
    }

    #[test]
    fn an_object_that_was_made_anew_is_another() {
        let both = undo("a/b", "new", &[("k", Some("v"), Some("v"))]).after(Some(undo(
            "a/b",
            "old",
            &[("k", None, Some("v"))],
        )));
        let was = |stamp: &Stamp| {
            (
                stamp.uid.clone(),
                stamp
                    .changes
                    .iter()
                    .filter_map(|change| change.was.clone())
                    .collect(),
            )
        };
        let was: Vec<(String, Vec<String>)> = both.objects.iter().map(was).collect();
        assert_eq!(
            was,
            [
                ("new".to_owned(), vec!["v".to_owned()]),
                ("old".to_owned(), vec![])
            ]
        );
    }

    #[test]
    fn what_is_kept_is_read_back_and_no_other_release_writes_over_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("undo.json");
        let kept = undo("a/b", "u", &[("k", None, Some("v"))])
            .keep(&path)
            .unwrap();
        assert_eq!(Undo::read(&path).unwrap(), kept);
        let said = format!("{:#}", undo("a/c", "u", &[]).keep(&path).unwrap_err());
        assert!(
            said.contains("is of release a/b") && said.contains("--undo-file"),
            "{said}"
        );
        std::fs::write(&path, "{\"release\": 1}").unwrap();
        let said = format!("{:#}", undo("a/b", "u", &[]).keep(&path).unwrap_err());
        assert!(
            said.contains("undo.json") && said.contains("line 1"),
            "{said}"
        );
    }
}
