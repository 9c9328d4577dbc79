//! A document as nodes with their spans.

use std::borrow::Cow;
use std::ops::Range;

use granit_parser::ScalarStyle;

/// The number of a node in its tree.
pub(super) type Id = usize;

/// A document's nodes in the order of the text: what is below a node follows it.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) text: &'a str,
    pub(super) nodes: Vec<Node<'a>>,
}

/// One node. Offsets are bytes of the document's text.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// Where it begins, behind anchor and tag; of an empty value, where it would.
    pub(super) start: usize,
    /// Where its last token ends; of the text of a block scalar, behind its last line.
    pub(super) end: usize,
    /// The number of the last node below it, or its own.
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
    /// Which node it stands for.
    Alias(Id),
    /// Not under any key of the patch.
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
    /// Behind the colon, if it has one.
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
    /// The node with this number. Every number comes from the tree itself.
    pub(super) fn node(&self, id: Id) -> &Node<'a> {
        self.nodes.get(id).unwrap_or(const { &NOWHERE })
    }

    /// Where a node begins, its anchor and tag included.
    pub(super) fn start(&self, id: Id) -> usize {
        let node = self.node(id);
        let properties = node.anchor.iter().chain(&node.tag).map(|range| range.start);
        properties.min().unwrap_or(node.start).min(node.start)
    }

    /// The node that an alias stands for, or the node itself.
    pub(super) fn resolved(&self, id: Id) -> Id {
        if let Body::Alias(target) = self.node(id).body {
            target
        } else {
            id
        }
    }

    /// The text of a scalar, behind an alias too.
    pub(super) fn scalar(&self, id: Id) -> Option<&str> {
        if let Body::Scalar(text, _) = &self.node(self.resolved(id)).body {
            Some(text)
        } else {
            None
        }
    }

    /// The entries of a map, behind an alias too; none for anything else.
    pub(super) fn entries(&self, id: Id) -> &[Entry] {
        if let Body::Map(_, entries) = &self.node(self.resolved(id)).body {
            entries
        } else {
            &[]
        }
    }

    /// What the text holds between two offsets.
    pub(super) fn slice(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or_default()
    }

    /// Whether a node is nothing: empty, `~` or `null`.
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

    /// The entries `<<: …` of a map: a quoted `<<` is a key as any other.
    pub(super) fn merges(&self, id: Id) -> impl Iterator<Item = Entry> {
        let is_merge = |entry: &&Entry| matches!(&self.node(entry.key).body, Body::Scalar(text, ScalarStyle::Plain) if text == "<<");
        self.entries(id).iter().filter(is_merge).copied()
    }
}

/// The first byte behind an offset that is neither blank nor part of a comment.
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

/// Where the line of an offset ends, before its line end.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    memchr::memchr2(b'\n', b'\r', rest).map_or(text.len(), |found| at + found)
}

/// Where the line of an offset begins.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    memchr::memrchr2(b'\n', b'\r', before).map_or(0, |found| found + 1)
}

/// The line end that stands at an offset; empty where the text ends or goes on.
pub(super) fn line_break(text: &str, at: usize) -> &str {
    let rest = text.get(at..).unwrap_or_default();
    ["\r\n", "\n", "\r"]
        .into_iter()
        .find(|end| rest.starts_with(end))
        .unwrap_or_default()
}
