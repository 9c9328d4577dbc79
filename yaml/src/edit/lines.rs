//! Builds the tree of most documents from their lines alone: twenty times faster than from events.
//!
//! The tree has only the metadata, which is all that most patches touch. If a line could have
//! another meaning, there is no tree, and the events decide.

use std::ops::Range;

use granit_parser::ScalarStyle;
use serde_json::Value;

use super::tree::{Body, Entry, Id, Node, Style, Tree};
use crate::odd::{OddPlaces, has_other_ends};
use crate::scan::{Scan, Sure, Unsure, any_key, key, value};
use crate::{Document, METADATA};

/// Usual number of nodes of metadata with a dozen labels and annotations.
const MANY: usize = 32;

/// Reads a document for a patch of its metadata. `None` if its lines are not certain.
pub(super) fn read<'a>(document: &Document<'a>, patch: &Value) -> Option<Tree<'a>> {
    let (text, wants) = (document.text, patch.as_object()?);
    // The rest of the document can then contain no second `metadata` in any notation, and no merge.
    if !is_unmistakable(text) || wants.len() != 1 || !wants.get(METADATA)?.is_object() {
        return None;
    }
    let lines = Lines {
        tree: Tree {
            text,
            nodes: Vec::with_capacity(MANY),
        },
        scan: Scan::new(text),
    };
    lines.document().ok()
}

/// True if all readers break lines at the same places, and exactly one line begins with `metadata`.
/// Lines without indentation are blank, comments or items, or begin with a letter.
fn is_unmistakable(text: &str) -> bool {
    let mut metadata = 0;
    for line in text.split_inclusive('\n') {
        let first = line.bytes().next().unwrap_or(b'\n');
        if !first.is_ascii_alphabetic() && !b"#- \r\n".contains(&first) {
            return false;
        }
        metadata += usize::from(line.starts_with(METADATA));
    }
    metadata == 1 && OddPlaces::of(text).is_ok_and(|odd| odd.is_empty()) && !has_other_ends(text)
}

struct Lines<'a> {
    tree: Tree<'a>,
    scan: Scan<'a>,
}

impl<'a> Lines<'a> {
    fn document(mut self) -> Sure<Tree<'a>> {
        let start = self.head()?;
        let root = self.push(start..start, Body::Passed);
        let entry = self.entry(0)?.ok_or(Unsure)?;
        if self.scan.peek().indent > 0 {
            return Err(Unsure);
        }
        self.close(root, vec![entry]);
        Ok(self.tree)
    }

    /// The start of the metadata line. All lines before it are entries of one line each.
    fn head(&mut self) -> Sure<usize> {
        loop {
            let line = self.scan.peek();
            if line
                .content
                .strip_prefix(METADATA)
                .is_some_and(|rest| rest.starts_with(':'))
                && line.indent == 0
            {
                return Ok(line.start);
            }
            if line.indent > 0 || line.content.is_empty() || !is_entry(line.content)? {
                return Err(Unsure);
            }
            self.scan.go(line.next);
        }
    }

    /// The entry of the next line, if the line is at this column.
    fn entry(&mut self, column: usize) -> Sure<Option<Entry>> {
        let line = self.scan.peek();
        if line.content.is_empty() || line.indent < column {
            return Ok(None);
        }
        let key = any_key(line.content)
            .filter(|_| line.indent == column)
            .ok_or(Unsure)?;
        let colon = line.start + key.length;
        let id = self.push(line.start..colon, Body::Scalar(key.name.into(), key.style));
        self.scan.go(line.next);
        let open = colon + 1;
        let value = match value(key.rest)? {
            Some((at, text, style)) => self.push(
                open + at.start..open + at.end,
                Body::Scalar(text.into(), style),
            ),
            None => self.below(open, column)?,
        };
        Ok(Some(Entry {
            key: id,
            value,
            open: Some(open),
        }))
    }

    /// The node below a key: a map, or null.
    fn below(&mut self, open: usize, column: usize) -> Sure<Id> {
        let line = self.scan.peek();
        if line.indent == column && line.content.starts_with('-') {
            return Err(Unsure);
        }
        if line.content.is_empty() || line.indent <= column {
            return Ok(self.push(open..open, Body::Scalar("~".into(), ScalarStyle::Plain)));
        }
        let map = self.push(line.start..line.start, Body::Passed);
        let mut entries = Vec::new();
        while let Some(entry) = self.entry(line.indent)? {
            entries.push(entry);
        }
        self.close(map, entries);
        Ok(map)
    }

    fn push(&mut self, range: Range<usize>, body: Body<'a>) -> Id {
        let id = self.tree.nodes.len();
        self.tree.nodes.push(Node {
            start: range.start,
            end: range.end,
            last: id,
            anchor: None,
            tag: None,
            body,
        });
        id
    }

    fn close(&mut self, map: Id, entries: Vec<Entry>) {
        let end = entries
            .last()
            .map_or(0, |entry| self.tree.node(entry.value).end);
        let last = self.tree.nodes.len() - 1;
        if let Some(node) = self.tree.nodes.get_mut(map) {
            (node.end, node.last, node.body) = (end, last, Body::Map(Style::Block, entries));
        }
    }
}

/// True if a line before the metadata is a bare marker, or an entry with its value.
fn is_entry(content: &str) -> Sure<bool> {
    match content.strip_prefix("---") {
        Some(rest) => Ok(value(rest)?.is_none()),
        None => Ok(value(key(content).ok_or(Unsure)?.1)?.is_some()),
    }
}
