//! The file with deleted release records: a `List` that `kubectl create -f` brings back.

use std::path::Path;

use anyhow::{Context, bail};
use fluxkeep::rescue::Record;
use serde_json::{Value, json};

use crate::file;

/// Adds records to the file, which keeps those of earlier runs. The file is on disk when this
/// returns; only its owner may read it, since records hold the values of a release.
///
/// # Errors
/// If the file cannot be read or written, or is none of this command.
pub(super) fn keep(path: &Path, records: &[&Record]) -> anyhow::Result<()> {
    let mut items = saved(path)?;
    for record in records {
        items.retain(|item| !is_same(item, &record.secret));
        items.push(record.secret.clone());
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    let text = format!("{list:#}\n");
    file::replace(path, text.as_bytes())
        .with_context(|| format!("writing the deleted records to {}", path.display()))
}

/// The Secrets in the file; none if there is no file.
///
/// # Errors
/// If the file cannot be read, or is none of this command.
pub(super) fn saved(path: &Path) -> anyhow::Result<Vec<Value>> {
    let read = match std::fs::read(path) {
        Ok(read) => read,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("reading {}", path.display()));
        }
    };
    let list: Option<Value> = serde_json::from_slice(&read).ok();
    match list.as_ref().and_then(|list| list.get("items")?.as_array()) {
        Some(items) => Ok(items.clone()),
        None => bail!(
            "{} holds no saved records; name another file with --undo-file",
            path.display()
        ),
    }
}

fn is_same(left: &Value, right: &Value) -> bool {
    let same = |pointer: &str| left.pointer(pointer) == right.pointer(pointer);
    same("/metadata/uid") && same("/metadata/name") && same("/metadata/namespace")
}
