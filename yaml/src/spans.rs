//! A document as values with their byte spans, for programs that report or edit values in place.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::{Document, Unread};

/// Most nodes of a document, aliases expanded: ten times the largest file of a GitOps repository.
const MOST_NODES: usize = 1_000_000;
/// Deepest nesting, like that of [`Document::read_paths`].
const DEEPEST: usize = 127;

/// A value and its place in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The bytes of a scalar, with its quotes; the start of a collection. An alias has the place
    /// of the value that it names.
    pub span: Range<usize>,
    /// The value.
    pub body: NodeBody,
}

/// The value of a [`Node`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeBody {
    /// A scalar, as text.
    Scalar(String, Style),
    /// A mapping, in text order.
    Map(Vec<(Node, Node)>),
    /// A sequence.
    Seq(Vec<Node>),
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// As a block: `|` or `>`.
    Block,
}

impl Node {
    /// The value of a key. Keys of a merge (`<<`) count last.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let own = self.entries().iter().find(|(name, _)| name.is(key));
        if let Some((_, value)) = own {
            return Some(value);
        }
        let merged = self.entries().iter().find(|(name, _)| name.is("<<"))?;
        match &merged.1.body {
            NodeBody::Seq(maps) => maps.iter().find_map(|map| map.get(key)),
            _ => merged.1.get(key),
        }
    }

    /// The value behind several keys.
    #[must_use]
    pub fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text of the scalar behind several keys.
    #[must_use]
    pub fn text_at(&self, keys: &[&str]) -> Option<&str> {
        self.at(keys)?.text()
    }

    /// The text of a scalar.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.body {
            NodeBody::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// The entries of a mapping; empty for any other value.
    #[must_use]
    pub fn entries(&self) -> &[(Self, Self)] {
        match &self.body {
            NodeBody::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a sequence; empty for any other value.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.body {
            NodeBody::Seq(items) => items,
            _ => &[],
        }
    }

    /// The bytes of a scalar's text, without its quotes.
    #[must_use]
    pub fn inner(&self) -> Range<usize> {
        match &self.body {
            NodeBody::Scalar(_, Style::Quoted) if self.span.len() >= 2 => {
                self.span.start + 1..self.span.end - 1
            }
            _ => self.span.clone(),
        }
    }

    fn is(&self, text: &str) -> bool {
        self.text() == Some(text)
    }
}

/// Reads a document with the places of its values; offsets are those of the stream.
///
/// # Errors
/// If the document is not YAML, is nested deeper than 127 levels, or has too many nodes.
pub fn read(document: &Document<'_>) -> Result<Option<Node>, Unread> {
    let mut reader = Reader {
        events: Parser::new_from_str(document.text),
        offset: document.offset,
        anchors: BTreeMap::new(),
        nodes: 0,
    };
    reader.document().map_err(|broken| match broken {
        Broken::At(line, column) => document.unread(line, column, "it is not YAML".to_owned()),
        Broken::Large => document.unread(1, 1, "it is too deep or too large".to_owned()),
    })
}

/// The JSON of a node. Plain scalars become numbers, booleans and null as in YAML 1.2's core schema.
#[must_use]
pub fn json(node: &Node) -> Value {
    match &node.body {
        NodeBody::Scalar(text, Style::Plain) => plain(text),
        NodeBody::Scalar(text, _) => Value::String(text.clone()),
        NodeBody::Seq(items) => Value::Array(items.iter().map(json).collect()),
        NodeBody::Map(entries) => {
            let pairs = entries
                .iter()
                .filter_map(|(key, value)| Some((key.text()?.to_owned(), json(value))));
            Value::Object(pairs.collect())
        }
    }
}

/// The key at the end of a path such as `spec.dependsOn[].readyExpr`, in the first item that has it.
#[must_use]
pub fn field<'a>(node: &'a Node, path: &str) -> Option<&'a Node> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let name = first.trim_end_matches("[]");
    let (key, value) = node.entries().iter().find(|(key, _)| key.is(name))?;
    if rest.is_empty() {
        return Some(key);
    }
    if first.ends_with("[]") {
        return value.items().iter().find_map(|item| field(item, rest));
    }
    field(value, rest)
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" | "True" => Value::Bool(true),
        "false" | "False" => Value::Bool(false),
        _ => text
            .parse::<i64>()
            .map_or_else(|_| Value::String(text.to_owned()), Value::from),
    }
}

enum Broken {
    /// Line and column, from 1.
    At(u64, u64),
    Large,
}

impl From<ScanError> for Broken {
    fn from(error: ScanError) -> Self {
        let marker = error.marker();
        Self::At(marker.line() as u64, marker.col() as u64 + 1)
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    offset: usize,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

/// A collection whose end is still ahead.
struct Open {
    start: usize,
    anchor: usize,
    is_map: bool,
    /// The children so far: items, or keys and values in turn.
    children: Vec<Node>,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Option<Node>, Broken> {
        let mut open: Vec<Open> = Vec::new();
        let mut root = None;
        while let Some(event) = self.events.next_event() {
            let (event, span) = event?;
            let start = self.offset + bytes(&span).start;
            let anchor = event.anchor_id().unwrap_or_default();
            let node = match event {
                Event::MappingStart(..) | Event::SequenceStart(..) => {
                    if open.len() >= DEEPEST {
                        return Err(Broken::Large);
                    }
                    let is_map = matches!(event, Event::MappingStart(..));
                    open.push(Open {
                        start,
                        anchor,
                        is_map,
                        children: Vec::new(),
                    });
                    continue;
                }
                Event::MappingEnd | Event::SequenceEnd => match open.pop() {
                    Some(collection) => self.close(collection),
                    None => continue,
                },
                Event::Scalar(ref text, style, ..) => self.scalar(text, style, &span, anchor),
                Event::Alias(target) => self.alias(target, start),
                _ => continue,
            };
            self.nodes += 1;
            if self.nodes > MOST_NODES {
                return Err(Broken::Large);
            }
            match open.last_mut() {
                Some(parent) => parent.children.push(node),
                None => root = root.or(Some(node)),
            }
        }
        Ok(root)
    }

    fn close(&mut self, collection: Open) -> Node {
        let body = if collection.is_map {
            NodeBody::Map(pairs(collection.children))
        } else {
            NodeBody::Seq(collection.children)
        };
        let span = collection.start..collection.start;
        self.anchored(Node { span, body }, collection.anchor)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: &Span, anchor: usize) -> Node {
        let range = bytes(span);
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
            _ => Style::Quoted,
        };
        let span = self.offset + range.start..self.offset + range.end;
        let body = NodeBody::Scalar(text.to_owned(), style);
        self.anchored(Node { span, body }, anchor)
    }

    fn alias(&mut self, target: usize, start: usize) -> Node {
        let empty = || Node {
            span: start..start,
            body: NodeBody::Scalar(String::new(), Style::Plain),
        };
        let node = self.anchors.get(&target).cloned().unwrap_or_else(empty);
        // A chain of aliases doubles with each line: its copies count as nodes.
        self.nodes = self.nodes.saturating_add(size(&node));
        node
    }

    fn anchored(&mut self, node: Node, anchor: usize) -> Node {
        if anchor > 0 && self.nodes <= MOST_NODES {
            self.nodes = self.nodes.saturating_add(size(&node));
            self.anchors.insert(anchor, node.clone());
        }
        node
    }
}

fn pairs(children: Vec<Node>) -> Vec<(Node, Node)> {
    let mut pairs = Vec::with_capacity(children.len() / 2);
    let mut children = children.into_iter();
    while let (Some(key), Some(value)) = (children.next(), children.next()) {
        pairs.push((key, value));
    }
    pairs
}

/// The number of nodes below a node, itself included.
fn size(node: &Node) -> usize {
    match &node.body {
        NodeBody::Scalar(..) => 1,
        NodeBody::Seq(items) => 1 + items.iter().map(size).sum::<usize>(),
        NodeBody::Map(entries) => {
            1 + entries
                .iter()
                .map(|(key, value)| size(key) + size(value))
                .sum::<usize>()
        }
    }
}

fn bytes(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::documents;

    fn node(text: &str) -> Node {
        read(&documents(text).last().unwrap()).unwrap().unwrap()
    }

    #[test]
    fn a_value_is_where_its_span_says_behind_other_documents_and_line_ends() {
        let text = "a: 1\r\n---\r\nb: {c: \"2.4.0\", d: [x, 'ü', 3]}\r\n";
        let node = node(text);
        let found = node.at(&["b", "c"]).unwrap();
        assert_eq!(
            (found.text(), &text[found.inner()]),
            (Some("2.4.0"), "2.4.0")
        );
        let last = &node.at(&["b", "d"]).unwrap().items()[2];
        assert_eq!(&text[last.span.clone()], "3");
    }

    #[test]
    fn an_alias_and_a_merge_lead_to_the_value_that_they_name() {
        let text = "x: &x {v: 1}\ny: *x\nz:\n  <<: *x\n";
        let node = node(text);
        assert_eq!(node.text_at(&["y", "v"]), Some("1"));
        assert_eq!(node.at(&["z", "v"]).unwrap().span, 10..11);
    }

    #[test]
    fn hostile_documents_are_refused() {
        let deep = "[".repeat(10_000);
        assert!(read(&Document::of(&deep)).is_err());
        let mut laughs = vec!["a: &a [x]\n".to_owned()];
        for (now, next) in ('a'..='y').zip('b'..='z') {
            laughs.push(format!("{next}: &{next} [*{now}, *{now}, *{now}]\n"));
        }
        assert!(read(&Document::of(&laughs.concat())).is_err());
    }
}
