//! The tree of most documents, from their lines alone: twenty times faster than from events.
//!
//! It holds the metadata and nothing else, which is all that most patches touch. Wherever a line could
//! mean something else than it seems to, there is no tree, and the events tell.

use std::ops::Range;

use granit_parser::ScalarStyle;
use serde_json::Value;

use super::tree::{Body, Entry, Id, Node, Style, Tree};

const METADATA: &str = "metadata";

/// Reads a document for a patch of its metadata.
pub(super) fn read<'a>(text: &'a str, patch: &Value) -> Option<Tree<'a>> {
    let wants = patch.as_object()?;
    if wants.len() != 1 || !wants.get(METADATA)?.is_object() {
        return None;
    }
    let lines = Lines { tree: Tree { text, nodes: Vec::new() }, at: 0 };
    lines.document().ok()
}

/// A line could mean something else than it seems to.
struct Unsure;

type Sure<T> = Result<T, Unsure>;

struct Lines<'a> {
    tree: Tree<'a>,
    at: usize,
}

/// One line, without its end and the carriage return before.
struct Line<'a> {
    /// Where its content begins.
    start: usize,
    indent: usize,
    content: &'a str,
    /// Where the next line begins.
    next: usize,
}

impl<'a> Lines<'a> {
    /// The next line that is neither blank nor a comment; the text's end is an empty one.
    fn peek(&mut self) -> Line<'a> {
        loop {
            let rest = self.tree.text.get(self.at..).unwrap_or_default();
            let length = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |end| end + 1);
            let line = rest.get(..length).unwrap_or_default();
            let content = line.trim_start_matches(' ');
            let indent = line.len() - content.len();
            let bare = content.strip_suffix('\n').map_or(content, |bare| bare.strip_suffix('\r').unwrap_or(bare));
            if !line.is_empty() && (bare.is_empty() || bare.starts_with('#')) {
                self.at += length;
                continue;
            }
            return Line { start: self.at + indent, indent, content: bare, next: self.at + length };
        }
    }

    fn document(mut self) -> Sure<Tree<'a>> {
        let start = self.head()?;
        let root = self.push(start..start, Body::Passed);
        let entry = self.entry(0)?.ok_or(Unsure)?;
        if self.peek().indent > 0 || !is_harmless(self.tree.text, self.at) {
            return Err(Unsure);
        }
        self.close(root, vec![entry]);
        Ok(self.tree)
    }

    /// Where the line of the metadata begins. Before it, only entries of one line each.
    fn head(&mut self) -> Sure<usize> {
        loop {
            let line = self.peek();
            if line.content.strip_prefix(METADATA).is_some_and(|rest| rest.starts_with(':')) && line.indent == 0 {
                return Ok(line.start);
            }
            if line.indent > 0 || line.content.is_empty() || !is_entry(line.content)? {
                return Err(Unsure);
            }
            self.at = line.next;
        }
    }

    /// The entry of the next line, if it is at this column.
    fn entry(&mut self, column: usize) -> Sure<Option<Entry>> {
        let line = self.peek();
        if line.content.is_empty() || line.indent < column {
            return Ok(None);
        }
        let (name, rest) = key(line.content).filter(|_| line.indent == column).ok_or(Unsure)?;
        let colon = line.start + name.len();
        let id = self.push(line.start..colon, Body::Scalar(name.into(), ScalarStyle::Plain));
        self.at = line.next;
        let open = colon + 1;
        let value = match value(rest)? {
            Some((at, text, style)) => self.push(open + at.start..open + at.end, Body::Scalar(text.into(), style)),
            None => self.below(open, column)?,
        };
        Ok(Some(Entry { key: id, value, open: Some(open) }))
    }

    /// What stands below a key: a map, or nothing.
    fn below(&mut self, open: usize, column: usize) -> Sure<Id> {
        let line = self.peek();
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
        self.tree.nodes.push(Node { start: range.start, end: range.end, last: id, anchor: None, tag: None, body });
        id
    }

    fn close(&mut self, map: Id, entries: Vec<Entry>) {
        let end = entries.last().map_or(0, |entry| self.tree.node(entry.value).end);
        let last = self.tree.nodes.len() - 1;
        if let Some(node) = self.tree.nodes.get_mut(map) {
            (node.end, node.last, node.body) = (end, last, Body::Map(Style::Block, entries));
        }
    }
}

/// Whether a line in front of the metadata is a marker alone, or an entry with its value.
fn is_entry(content: &str) -> Sure<bool> {
    match content.strip_prefix("---") {
        Some(rest) => Ok(value(rest)?.is_none()),
        None => Ok(value(key(content).ok_or(Unsure)?.1)?.is_some()),
    }
}

/// A key without quotes, and what stands behind its colon.
fn key(content: &str) -> Option<(&str, &str)> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"./_-".contains(&byte);
    let end = content.bytes().position(|byte| !is_part(byte))?;
    let (key, rest) = content.split_at_checked(end)?;
    let behind = rest.strip_prefix(':').filter(|behind| behind.is_empty() || behind.starts_with(' '))?;
    key.starts_with(|first: char| first.is_ascii_alphanumeric()).then_some((key, behind))
}

type Scalar<'a> = (Range<usize>, &'a str, ScalarStyle);

/// What stands behind a colon on its line: a scalar, or nothing.
fn value(rest: &str) -> Sure<Option<Scalar<'_>>> {
    let content = rest.trim_start_matches(' ');
    let start = rest.len() - content.len();
    if content.bytes().any(|byte| !(b' '..=b'~').contains(&byte)) {
        return Err(Unsure);
    }
    match content.bytes().next() {
        None => Ok(None),
        Some(b'#') if start > 0 => Ok(None),
        Some(b'\'') => quoted(content, start, '\'', ScalarStyle::SingleQuoted).map(Some).ok_or(Unsure),
        Some(b'"') => quoted(content, start, '"', ScalarStyle::DoubleQuoted).map(Some).ok_or(Unsure),
        Some(first) if first.is_ascii_alphanumeric() || b"./_".contains(&first) => {
            plain(content, start).map(Some).ok_or(Unsure)
        }
        Some(_) => Err(Unsure),
    }
}

fn plain(content: &str, start: usize) -> Option<Scalar<'_>> {
    let text = content.split(" #").next()?.trim_end();
    let is_sure = !text.contains(": ") && !text.ends_with(':');
    is_sure.then_some((start..start + text.len(), text, ScalarStyle::Plain))
}

/// A scalar in quotes that holds nothing to be resolved, with a comment behind it at most.
fn quoted(content: &str, start: usize, quote: char, style: ScalarStyle) -> Option<Scalar<'_>> {
    let (text, behind) = content.get(1..)?.split_once(quote)?;
    let is_alone = behind.trim().is_empty() || behind.starts_with(' ') && behind.trim_start().starts_with('#');
    let is_sure = is_alone && (quote == '\'' || !text.contains('\\'));
    is_sure.then_some((start..start + text.len() + 2, text, style))
}

/// Whether nothing in the rest of a document can be a second `metadata`, however it is written, or
/// a merge: each line at the margin begins as a key without quotes does, or an item.
fn is_harmless(text: &str, from: usize) -> bool {
    let rest = text.get(from..).unwrap_or_default();
    let is_line = |line: &str| match line.bytes().next() {
        Some(first) => first.is_ascii_alphabetic() && !line.starts_with(METADATA) || b" #-\n\r".contains(&first),
        None => true,
    };
    let starts = memchr::memchr_iter(b'\n', rest.as_bytes()).map(|end| end + 1);
    let ends_are_whole =
        memchr::memchr_iter(b'\r', text.as_bytes()).all(|at| text.as_bytes().get(at + 1) == Some(&b'\n'));
    ends_are_whole && is_line(rest) && starts.into_iter().all(|at| rest.get(at..).is_some_and(is_line))
}
