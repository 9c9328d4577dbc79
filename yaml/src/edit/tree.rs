//! A document as nodes with their spans.

use std::borrow::Cow;
use std::ops::Range;

use granit_parser::ScalarStyle;

/// The index of a node in its tree.
pub(super) type Id = usize;

/// A document's nodes in text order: children follow their parent.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) text: &'a str,
    pub(super) nodes: Vec<Node<'a>>,
}

/// A node. Offsets are bytes of the document's text.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// The start, behind anchor and tag. For an empty value, its possible start.
    pub(super) start: usize,
    /// The end of the last token; for a block scalar, the end of its last line.
    pub(super) end: usize,
    /// The index of the last node below, or the node's own.
    pub(super) last: Id,
    /// `&name`.
    pub(super) anchor: Option<Range<usize>>,
    /// `!tag`.
    pub(super) tag: Option<Range<usize>>,
    pub(super) body: Body<'a>,
}

#[derive(Debug)]
pub(super) enum Body<'a> {
    Scalar(Cow<'a, str>, ScalarStyle),
    Map(Style, Vec<Entry>),
    Seq(Style, Vec<Id>),
    /// The node of the alias.
    Alias(Id),
    /// A node outside the patch's keys.
    Passed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Block,
    Flow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Id,
    pub(super) value: Id,
    /// The offset behind the colon, if there is a colon.
    pub(super) open: Option<usize>,
}

const NOWHERE: Node<'static> = Node {
    start: 0,
    end: 0,
    last: 0,
    anchor: None,
    tag: None,
    body: Body::Passed,
};

impl<'a> Tree<'a> {
    /// The node with this index. Every index comes from the tree itself.
    pub(super) fn node(&self, id: Id) -> &Node<'a> {
        self.nodes.get(id).unwrap_or(const { &NOWHERE })
    }

    /// The start of a node, including its anchor and tag.
    pub(super) fn start(&self, id: Id) -> usize {
        let node = self.node(id);
        let properties = node.anchor.iter().chain(&node.tag).map(|range| range.start);
        properties.min().unwrap_or(node.start).min(node.start)
    }

    /// The node of an alias, or the node itself.
    pub(super) fn resolved(&self, id: Id) -> Id {
        if let Body::Alias(target) = self.node(id).body {
            target
        } else {
            id
        }
    }

    /// The text of a scalar, or of an alias of a scalar.
    pub(super) fn scalar(&self, id: Id) -> Option<&str> {
        if let Body::Scalar(text, _) = &self.node(self.resolved(id)).body {
            Some(text)
        } else {
            None
        }
    }

    /// The entries of a map, or of an alias of a map; empty for any other node.
    pub(super) fn entries(&self, id: Id) -> &[Entry] {
        if let Body::Map(_, entries) = &self.node(self.resolved(id)).body {
            entries
        } else {
            &[]
        }
    }

    /// The text between two offsets.
    pub(super) fn slice(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or_default()
    }

    /// True if a node is null: empty, `~` or `null`.
    pub(super) fn is_null(&self, id: Id) -> bool {
        let Body::Scalar(_, ScalarStyle::Plain) = &self.node(id).body else {
            return false;
        };
        let node = self.node(id);
        matches!(
            self.slice(node.start..node.end),
            "" | "~" | "null" | "Null" | "NULL"
        ) && node
            .tag
            .as_ref()
            .is_none_or(|tag| self.slice(tag.clone()).ends_with("null"))
    }

    /// The entries `<<: …` of a map. A quoted `<<` is an ordinary key.
    pub(super) fn merges(&self, id: Id) -> impl Iterator<Item = Entry> {
        let is_merge = |entry: &&Entry| matches!(&self.node(entry.key).body, Body::Scalar(text, ScalarStyle::Plain) if text == "<<");
        self.entries(id).iter().filter(is_merge).copied()
    }
}

/// The offset of the first byte from `at` that is neither blank nor part of a comment.
pub(super) fn token(text: &str, mut at: usize) -> usize {
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            b'#' => at = line_end(text, at),
            _ => break,
        }
    }
    at
}

/// The end of an offset's line, before its line break.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    memchr::memchr2(b'\n', b'\r', rest).map_or(text.len(), |found| at + found)
}

/// The start of an offset's line.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    memchr::memrchr2(b'\n', b'\r', before).map_or(0, |found| found + 1)
}

/// The line break at an offset; empty at the end of the text or within a line.
pub(super) fn line_break(text: &str, at: usize) -> &str {
    let rest = text.get(at..).unwrap_or_default();
    ["\r\n", "\n", "\r"]
        .into_iter()
        .find(|end| rest.starts_with(end))
        .unwrap_or_default()
}
