//! Looks up the present content of a document, as its readers understand it.

use granit_parser::ScalarStyle;
use serde_json::{Map, Value};

use super::Doubt;
use super::tree::{Body, Id, Tree};
use crate::scan::is_text;

/// Most merges of merges; deeper ones are hostile.
const DEEPEST: usize = 16;

/// The index of a key's entry. A duplicate key is refused, since readers disagree on it.
pub(super) fn entry(tree: &Tree<'_>, map: Id, key: &str) -> Result<Option<usize>, Doubt> {
    let mut found = None;
    for (index, entry) in tree.entries(map).iter().enumerate() {
        if tree.scalar(entry.key) == Some(key) && found.replace(index).is_some() {
            return Err(Doubt::new(
                tree.start(entry.key),
                format!("duplicate key {key}; keep one of them"),
            ));
        }
    }
    Ok(found)
}

/// The value of a key that a map has only from a merge.
pub(super) fn merged(tree: &Tree<'_>, map: Id, key: &str) -> Option<Id> {
    lent(tree, map, key, &mut Vec::new(), DEEPEST)
}

/// Visits no map twice: maps that merge each other many times would take for ever.
fn lent(tree: &Tree<'_>, map: Id, key: &str, seen: &mut Vec<Id>, depth: usize) -> Option<Id> {
    let depth = depth.checked_sub(1).filter(|_| !seen.contains(&map))?;
    seen.push(map);
    tree.merges(map).find_map(|merge| {
        let value = tree.resolved(merge.value);
        let alone = [value];
        let lenders = if let Body::Seq(_, items) = &tree.node(value).body {
            items.as_slice()
        } else {
            &alone
        };
        lenders.iter().find_map(|lender| {
            let own = tree
                .entries(*lender)
                .iter()
                .find(|entry| tree.scalar(entry.key) == Some(key));
            own.map(|entry| entry.value)
                .or_else(|| lent(tree, tree.resolved(*lender), key, seen, depth))
        })
    })
}

/// True if a patch changes nothing below a node.
pub(super) fn is_so(tree: &Tree<'_>, id: Id, patch: &Value) -> bool {
    let Value::Object(wants) = patch else {
        return equals(tree, id, patch);
    };
    let id = tree.resolved(id);
    if let Body::Seq(_, items) = &tree.node(id).body {
        let item = |key: &str| items.get(key.parse::<usize>().ok()?);
        return wants
            .iter()
            .all(|(key, want)| item(key).is_some_and(|item| is_so(tree, *item, want)));
    }
    if !matches!(tree.node(id).body, Body::Map(..)) {
        return tree.is_null(id) && pruned(patch).is_none();
    }
    wants.iter().all(|(key, want)| {
        let Ok(own) = entry(tree, id, key) else {
            return false;
        };
        let own = own
            .and_then(|index| tree.entries(id).get(index))
            .map(|entry| entry.value);
        match own.or_else(|| merged(tree, id, key)) {
            None => pruned(want).is_none(),
            Some(value) => !want.is_null() && is_so(tree, value, want),
        }
    })
}

/// True if a node is exactly this value, for every reader.
fn equals(tree: &Tree<'_>, id: Id, value: &Value) -> bool {
    let node = tree.node(tree.resolved(id));
    let tag = node.tag.clone().map(|tag| tree.slice(tag));
    match (&node.body, value) {
        (Body::Scalar(text, ScalarStyle::Plain), Value::String(wanted)) => {
            text == wanted
                && (tag == Some("!!str") || tag.is_none() && is_text(text) && node.start < node.end)
        }
        (Body::Scalar(text, _), Value::String(wanted)) => {
            text == wanted && matches!(tag, None | Some("!!str" | "!"))
        }
        (Body::Scalar(text, ScalarStyle::Plain), Value::Bool(_) | Value::Number(_)) => {
            tag.is_none() && *text == value.to_string()
        }
        (Body::Seq(_, items), Value::Array(values)) => {
            items.len() == values.len()
                && items
                    .iter()
                    .zip(values)
                    .all(|(item, value)| equals(tree, *item, value))
        }
        (Body::Map(_, entries), Value::Object(values)) => {
            let has = |entry: &super::tree::Entry| {
                tree.scalar(entry.key)
                    .and_then(|key| values.get(key))
                    .is_some_and(|value| equals(tree, entry.value, value))
            };
            entries.len() == values.len() && entries.iter().all(has)
        }
        _ => false,
    }
}

/// The value that a patch creates from nothing, if any.
pub(super) fn pruned(patch: &Value) -> Option<Value> {
    match patch {
        Value::Null => None,
        Value::Object(wants) if !wants.is_empty() => {
            let made: Map<_, _> = wants
                .iter()
                .filter_map(|(key, want)| Some((key.clone(), pruned(want)?)))
                .collect();
            (!made.is_empty()).then_some(Value::Object(made))
        }
        other => Some(other.clone()),
    }
}
