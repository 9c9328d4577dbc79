//! Applies a patch to a tree: finds the bytes to remove and the text to write.

use serde_json::{Map, Value};

use super::find::{entry, is_so, merged, pruned};
use super::tree::{Body, Entry, Id, Style, Tree, line_start};
use super::{Doubt, Splice, copy, write};

/// Longest key; longer keys need another notation, and no Kubernetes object may have them.
const LONGEST_KEY: usize = 512;

/// The splices of the document's text, in order and without overlap.
pub(super) fn splices(tree: &Tree<'_>, patch: &Value) -> Result<Vec<Splice>, Doubt> {
    let mut patcher = Patcher {
        tree,
        splices: Vec::new(),
        changed: Vec::new(),
        gone: Vec::new(),
    };
    if tree.is_null(0) {
        return Err(Doubt::new(tree.start(0), "the document is not a map"));
    }
    patcher.node(
        0,
        patch,
        Place {
            style: Style::Block,
            column: 0,
            open: None,
        },
    )?;
    patcher.lend()?;
    let mut splices = patcher.splices;
    splices.sort_by_key(|splice| (splice.range.start, splice.range.end));
    match splices
        .windows(2)
        .find(|pair| matches!(pair, [one, next] if one.range.end > next.range.start))
    {
        Some(pair) => Err(Doubt::new(
            pair.first().map_or(0, |one| one.range.start),
            "two changes overlap here; write the aliased value out",
        )),
        None => Ok(splices),
    }
}

/// The position of a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Style of the collection that contains the value.
    pub(super) style: Style,
    /// Column of that collection's entries.
    pub(super) column: usize,
    /// Offset behind the colon or dash before the value.
    pub(super) open: Option<usize>,
}

pub(super) struct Patcher<'t, 'a> {
    pub(super) tree: &'t Tree<'a>,
    pub(super) splices: Vec<Splice>,
    /// The nodes with a change below them.
    pub(super) changed: Vec<Id>,
    /// The nodes that are removed, with all nodes below them.
    pub(super) gone: Vec<Id>,
}

impl Patcher<'_, '_> {
    /// Makes a node match the patch. Returns true if anything changes.
    fn node(&mut self, id: Id, patch: &Value, place: Place) -> Result<bool, Doubt> {
        let changes = match (&self.tree.node(id).body, patch) {
            (Body::Alias(_), _) => self.alias(id, patch)?,
            (Body::Map(..), Value::Object(wants)) => self.map(id, wants, place)?,
            (Body::Seq(..), Value::Object(wants)) => self.seq(id, wants)?,
            (_, Value::Object(_)) => self.fill(id, patch, place)?,
            _ if is_so(self.tree, id, patch) => false,
            _ => {
                self.replace(id, patch, place);
                true
            }
        };
        if changes {
            self.changed.push(id);
        }
        Ok(changes)
    }

    /// Replaces an alias by a patched copy of its node.
    fn alias(&mut self, id: Id, patch: &Value) -> Result<bool, Doubt> {
        if is_so(self.tree, id, patch) {
            return Ok(false);
        }
        let text = copy::copy(self.tree, id, Some(patch))?;
        let node = self.tree.node(id);
        self.splice(node.start..node.end, text);
        self.gone.push(id);
        Ok(true)
    }

    fn map(&mut self, id: Id, wants: &Map<String, Value>, place: Place) -> Result<bool, Doubt> {
        let before = self.splices.len();
        let (mut removed, mut new) = (Vec::new(), Map::new());
        for (key, want) in wants {
            match (entry(self.tree, id, key)?, merged(self.tree, id, key)) {
                (Some(index), lender) => {
                    self.is_last(id, index, lender)?;
                    if want.is_null() {
                        removed.push(index);
                    } else {
                        self.entry(id, index, want)?;
                    }
                }
                (None, None) => new.extend(pruned(want).map(|value| (key.clone(), value))),
                (None, Some(lender)) if is_so(self.tree, lender, want) => {}
                (None, Some(lender)) => self.behind_merge(id, key, lender, want)?,
            }
        }
        if let Some(long) = new.keys().find(|key| key.len() > LONGEST_KEY) {
            return Err(Doubt::new(
                self.tree.start(id),
                format!("a key of {} bytes is too long", long.len()),
            ));
        }
        self.insert(id, &new, &removed, place)?;
        self.remove(id, &removed, new.is_empty(), place);
        Ok(self.splices.len() > before)
    }

    fn entry(&mut self, map: Id, index: usize, want: &Value) -> Result<(), Doubt> {
        let Some(Entry { value, open, .. }) = self.tree.entries(map).get(index).copied() else {
            return Ok(());
        };
        let style = if let Body::Map(style, _) = self.tree.node(map).body {
            style
        } else {
            Style::Flow
        };
        if style == Style::Block && open.is_none() {
            return Err(Doubt::new(
                self.tree.start(value),
                "a key without a colon; add a colon and a value",
            ));
        }
        let place = Place {
            style,
            column: self.column(map),
            open,
        };
        self.node(value, want, place).map(drop)
    }

    /// Refuses a key before a merge that has the same key: readers disagree on which counts.
    fn is_last(&self, map: Id, index: usize, lender: Option<Id>) -> Result<(), Doubt> {
        let merges_behind = self
            .tree
            .entries(map)
            .iter()
            .skip(index)
            .any(|one| self.tree.merges(map).any(|merge| merge == *one));
        if lender.is_some() && merges_behind {
            let key = self
                .tree
                .entries(map)
                .get(index)
                .map_or(map, |entry| entry.key);
            return Err(Doubt::new(
                self.tree.start(key),
                "a later merge key also sets this key; move the merge key to the front",
            ));
        }
        Ok(())
    }

    /// Writes a merged key behind the merge, where the key counts for every reader.
    fn behind_merge(&mut self, map: Id, key: &str, lender: Id, want: &Value) -> Result<(), Doubt> {
        let Some(merge) = self.tree.merges(map).last() else {
            return Ok(());
        };
        let at = self.tree.node(merge.value).end;
        if want.is_null() {
            return Err(Doubt::new(
                self.tree.start(merge.key),
                format!("{key} comes from this merge key; write the keys out instead"),
            ));
        }
        let value = copy::copy(self.tree, lender, Some(want))?;
        match (&self.tree.node(map).body, &self.tree.node(merge.value).body) {
            (Body::Map(Style::Flow, _), _) => {
                self.splice(at..at, format!(", {}: {value}", write::quoted(key)));
            }
            (_, Body::Map(Style::Block, _) | Body::Seq(Style::Block, _)) => {
                return Err(Doubt::new(
                    self.tree.start(merge.key),
                    "write the merged value as an alias or in brackets",
                ));
            }
            _ => self.line_behind(
                at,
                &[format!(
                    "{}{}: {value}",
                    " ".repeat(self.column(map)),
                    write::word(key)
                )],
            ),
        }
        Ok(())
    }

    fn seq(&mut self, id: Id, wants: &Map<String, Value>) -> Result<bool, Doubt> {
        let Body::Seq(style, items) = &self.tree.node(id).body else {
            return Ok(false);
        };
        let mut changes = false;
        for (key, want) in wants {
            if key == "-" {
                self.append(id, want);
                changes = true;
                continue;
            }
            let at = items.first().map_or(0, |first| self.tree.start(*first));
            let index: usize = key
                .parse()
                .map_err(|_| Doubt::new(at, "this value is not a map"))?;
            let item = *items
                .get(index)
                .ok_or_else(|| Doubt::new(at, format!("the list has no item {index}")))?;
            let start = self.tree.start(item);
            // The dash may be before the item on its line, or on a line above.
            let place = Place {
                style: *style,
                column: start - line_start(self.tree.text, start),
                open: None,
            };
            changes |= self.node(item, want, place)?;
        }
        Ok(changes)
    }

    /// Writes a map in place of null.
    fn fill(&mut self, id: Id, patch: &Value, place: Place) -> Result<bool, Doubt> {
        if !self.tree.is_null(id) {
            return Err(Doubt::new(self.tree.start(id), "this value is not a map"));
        }
        let Some(value) = pruned(patch) else {
            return Ok(false);
        };
        let node = self.tree.node(id);
        let is_bare = node.start == node.end && node.anchor.is_none() && node.tag.is_none();
        match (&value, place) {
            (
                Value::Object(map),
                Place {
                    style: Style::Block,
                    column,
                    open: Some(open),
                },
            ) if is_bare && !map.is_empty() => {
                self.line_behind(open, &write::block(map, column + 2));
                self.gone.push(id);
            }
            _ => self.replace(id, &value, place),
        }
        Ok(true)
    }
}
