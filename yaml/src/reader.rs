//! Reads a YAML document with the JSON value of sigs.k8s.io/yaml, or refuses the document.
//!
//! granit-parser reads YAML 1.2, go-yaml v2 reads 1.1. Texts with the same meaning in both pass.
//! The others are refused, each with a message that names the construct, such as `{?x`. So are keys
//! without an order in Go, such as `1` and `"1"` in one map. The test suite compares both over
//! mutated documents.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use granit_parser::{
    Event, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle, options,
};
use serde_json::{Map, Value};

use crate::budget::NodeBudget;
use crate::odd::OddPlaces;
use crate::paths::{Paths, project};
use crate::scalar::{Key, KeyKind, Refused, is_merge, resolve};

/// Deepest nesting of a field that is read. serde_json has the same limit for JSON.
const DEEPEST: usize = 127;
/// Deepest nesting of a skipped field: go-yaml's own limit.
const DEEPEST_UNREAD: usize = 10_000;

/// The reason for a refused document, with line and column from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) message: &'static str,
}

type Read<T> = Result<T, Broken>;
type Token<'a> = (Event<'a>, Span);

/// Reads the first document of a text, like Go. An empty document is null.
pub(crate) fn read(
    text: &str,
    odd: OddPlaces,
    paths: &'static Paths,
    budget: &mut NodeBudget,
) -> Read<Value> {
    let options = options! {
        bom_inside_document_as_content: true,
        disallow_directives: true,
        emit_anchor_events: true,
        emit_comments: false,
        flow_nesting_limit: DEEPEST_UNREAD,
        block_nesting_limit: DEEPEST_UNREAD,
    };
    let events = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader {
        text,
        events,
        budget,
        odd,
        anchors: BTreeMap::new(),
        flows: 0,
        depth: 0,
    };
    reader.document(paths)
}

struct Reader<'a, 'b> {
    text: &'a str,
    events: Parser<'a, StrInput<'a>>,
    budget: &'b mut NodeBudget,
    odd: OddPlaces,
    /// The node of each anchor.
    anchors: BTreeMap<usize, Node>,
    /// The number of open flow collections.
    flows: usize,
    /// The number of open collections that are read.
    depth: usize,
}

/// A value that was read.
#[derive(Debug, Clone)]
struct Node {
    value: Value,
    /// The number of nodes in the value.
    size: usize,
    /// True if a map in the value has a key that is not a string in Go.
    has_other_keys: bool,
}

impl Node {
    const fn of(value: Value) -> Self {
        Self {
            value,
            size: 1,
            has_other_keys: false,
        }
    }
}

impl<'a> Reader<'a, '_> {
    fn document(&mut self, paths: &'static Paths) -> Read<Value> {
        if begins_with_an_end(self.text) {
            return Err(broken_at(self.text, 0, "a document end without a document"));
        }
        let mut has_marker = false;
        let root = loop {
            match self.next()? {
                (Event::StreamStart, _) => {}
                (Event::DocumentStart(is_explicit, _), _) => has_marker = is_explicit,
                (Event::StreamEnd, _) => return self.end(Value::Null),
                (Event::Scalar(_, style, ..), span) if is_odd_root(style, has_marker, &span) => {
                    return Err(broken(&span, "neither a map nor a list"));
                }
                token => break self.node(token, paths)?,
            }
        };
        match self.next()? {
            (Event::DocumentEnd, _) => self.end(root.value),
            (_, span) => Err(broken(&span, "more text after the end of the document")),
        }
    }

    /// Ends the document. Fails if a special character lies outside all scalars, read or skipped.
    fn end(&self, value: Value) -> Read<Value> {
        match self.odd.first() {
            None => Ok(value),
            Some(at) => Err(broken_at(
                self.text,
                at,
                "a line break of YAML 1.1 or a byte order mark; write it as an escape sequence",
            )),
        }
    }

    fn next(&mut self) -> Read<Token<'a>> {
        match self.events.next_event() {
            Some(Ok((_, span))) if self.has_odd_tag(&span) => {
                Err(broken(&span, "a tag without a space after it"))
            }
            Some(Ok((event, span))) if self.budget.take(1) => Ok((event, span)),
            Some(Ok((_, span))) => Err(broken(&span, TOO_MUCH)),
            Some(Err(error)) => Err(not_yaml(&error)),
            None => Err(Broken {
                line: 1,
                column: 1,
                message: "unexpected end of the text",
            }),
        }
    }

    /// True if a tag continues for Go where it ends for the parser.
    fn has_odd_tag(&self, span: &Span) -> bool {
        let behind = span
            .tag_span()
            .map(|tag| self.text.get(bytes(&tag).end..).unwrap_or_default());
        behind.is_some_and(|behind| behind.starts_with([',', '[', ']', '{', '}']))
    }

    /// The node that begins with this event. An anchored node is read whole,
    /// since an alias may need other fields.
    fn node(&mut self, (event, span): Token<'a>, paths: &'static Paths) -> Read<Node> {
        let anchor = event.anchor_id().filter(|anchor| *anchor > 0);
        let Some(anchor) = anchor else {
            return self.body((event, span), paths);
        };
        self.anchor()?;
        let node = self.body((event, span), &Paths::Whole)?;
        let value = project(node.value.clone(), paths);
        let part = Node { value, ..node };
        self.anchors.insert(anchor, node);
        Ok(part)
    }

    fn body(&mut self, (event, span): Token<'a>, paths: &'static Paths) -> Read<Node> {
        match event {
            Event::Scalar(text, style, _, tag) => {
                if self.scalar(&text, style, &span)? {
                    return Err(broken(
                        &span,
                        "a line break of YAML 1.1; write it as an escape sequence",
                    ));
                }
                let text = written(text, style, &span);
                let value =
                    resolve(text, style, tag.as_deref()).and_then(super::scalar::Scalar::value);
                value
                    .map(Node::of)
                    .map_err(|Refused| broken(&span, "a value that JSON cannot represent"))
            }
            Event::Alias(anchor) => {
                let node = self.alias(anchor, &span)?;
                Ok(Node {
                    value: project(node.value, paths),
                    ..node
                })
            }
            Event::SequenceStart(style, ..) => {
                self.open(style, &span)?;
                let node = self.items(paths)?;
                self.close(style);
                Ok(node)
            }
            Event::MappingStart(style, ..) => {
                self.open(style, &span)?;
                let node = self.map(paths)?;
                self.close(style);
                Ok(node)
            }
            _ => Err(broken(&span, "unexpected end of the text")),
        }
    }

    /// Reads an anchor's name, which follows its node.
    fn anchor(&mut self) -> Read<()> {
        match self.next()? {
            (Event::Anchor(_, name), _) if is_name(&name) => Ok(()),
            (_, span) => Err(broken(
                &span,
                "an anchor with characters other than letters, digits, `_` and `-`",
            )),
        }
    }

    fn open(&mut self, style: StructureStyle, span: &Span) -> Read<()> {
        self.depth += 1;
        self.flows += usize::from(style == StructureStyle::Flow);
        if self.depth > DEEPEST {
            return Err(broken(span, "nested deeper than 127 levels"));
        }
        Ok(())
    }

    fn close(&mut self, style: StructureStyle) {
        self.depth -= 1;
        self.flows -= usize::from(style == StructureStyle::Flow);
    }

    /// A copy of an anchor's node.
    fn alias(&mut self, anchor: usize, span: &Span) -> Read<Node> {
        let name = self
            .text
            .get(bytes(span))
            .and_then(|text| text.strip_prefix('*'));
        let Some(node) = self
            .anchors
            .get(&anchor)
            .filter(|_| name.is_some_and(is_name))
        else {
            return Err(broken(
                span,
                "an alias inside the value that it refers to, or with characters other than letters, digits, `_` and `-`",
            ));
        };
        if !self.budget.take(node.size) {
            return Err(broken(span, TOO_MUCH));
        }
        Ok(node.clone())
    }

    fn items(&mut self, paths: &'static Paths) -> Read<Node> {
        let mut node = Node::of(Value::Null);
        let mut items = Vec::new();
        loop {
            let token = self.next()?;
            if matches!(token.0, Event::SequenceEnd) {
                node.value = Value::Array(items);
                return Ok(node);
            }
            let Some(paths) = paths.item() else {
                self.pass(token)?;
                continue;
            };
            let item = self.node(token, paths)?;
            node.size += item.size;
            node.has_other_keys |= item.has_other_keys;
            items.push(if item.value.is_null() {
                paths.empty()
            } else {
                item.value
            });
        }
    }

    fn map(&mut self, paths: &'static Paths) -> Read<Node> {
        let mut node = Node::of(Value::Null);
        let (mut map, mut others) = (Map::new(), Vec::new());
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                node.has_other_keys |= !others.is_empty();
                node.value = Value::Object(map);
                return Ok(node);
            }
            let Some(key) = self.key(event, &span)? else {
                node.size += self.merge(&mut map, paths)?;
                continue;
            };
            let part = paths.key(&key.name);
            let value = self.next()?;
            let Some(paths) = part.paths() else {
                self.pass(value)?;
                continue;
            };
            let value = self.node(value, paths)?;
            node.size += value.size + 1;
            node.has_other_keys |= value.has_other_keys;
            let name = key.name.into_owned();
            let known = others
                .iter()
                .find(|(other, _)| *other == name)
                .map(|(_, kind)| *kind);
            let is_one = match known {
                Some(kind) => kind == key.kind && kind != KeyKind::Float,
                None => key.kind == KeyKind::Text || !map.contains_key(&name),
            };
            if !is_one {
                return Err(broken(
                    &span,
                    "a duplicate key, once as a string and once as another type",
                ));
            }
            if known.is_none() && key.kind != KeyKind::Text {
                others.push((name.clone(), key.kind));
            }
            part.put(&mut map, name, value.value);
        }
    }

    /// A key. `None` for a merge key.
    fn key(&mut self, event: Event<'a>, span: &Span) -> Read<Option<Key<'a>>> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if self.scalar(&text, style, span)? {
                    return Err(broken(
                        span,
                        "a line break of YAML 1.1 in a key; write it as an escape sequence",
                    ));
                }
                let is_long = self
                    .text
                    .get(bytes(span))
                    .is_some_and(|text| text.contains(['\n', '\r']));
                if is_long && !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    return Err(broken(span, "a key that spans several lines"));
                }
                let text = written(text, style, span);
                if is_merge(&text, style, tag.as_deref()) {
                    return Ok(None);
                }
                let scalar =
                    resolve(text, style, tag.as_deref()).map_err(|Refused| no_key(span))?;
                if anchor > 0 {
                    self.anchor()?;
                    let value = scalar.clone().value().map_err(|Refused| no_key(span))?;
                    self.anchors.insert(anchor, Node::of(value));
                }
                scalar.key().map(Some).map_err(|Refused| no_key(span))
            }
            Event::Alias(anchor) => match self.alias(anchor, span)?.value {
                Value::String(name) => Ok(Some(Key {
                    name: Cow::Owned(name),
                    kind: KeyKind::Text,
                })),
                _ => Err(no_key(span)),
            },
            _ => Err(no_key(span)),
        }
    }

    /// Merges the maps of a merge key into the map so far: in Go, a later value wins. Returns the
    /// number of nodes that were read.
    fn merge(&mut self, map: &mut Map<String, Value>, paths: &'static Paths) -> Read<usize> {
        let (event, span) = self.next()?;
        let mut maps = Vec::new();
        if let Event::SequenceStart(style, anchor, _) = event {
            if anchor > 0 {
                return Err(broken(&span, "an anchor on merged maps"));
            }
            self.open(style, &span)?;
            loop {
                let token = self.next()?;
                if matches!(token.0, Event::SequenceEnd) {
                    break;
                }
                maps.push(self.merged(token)?);
            }
            self.close(style);
            // In a list of maps, the first map wins.
            maps.reverse();
        } else {
            maps.push(self.merged((event, span))?);
        }
        let mut size = 0;
        for (merged, count) in maps {
            size += count;
            for (key, value) in merged {
                let part = paths.key(&key);
                if let Some(paths) = part.paths() {
                    part.put(map, key, project(value, paths));
                }
            }
        }
        Ok(size)
    }

    /// A map to merge, and the number of its nodes.
    fn merged(&mut self, token: Token<'a>) -> Read<(Map<String, Value>, usize)> {
        let span = token.1;
        let node = self.node(token, &Paths::Whole)?;
        match node.value {
            Value::Object(map) if !node.has_other_keys => Ok((map, node.size)),
            _ => Err(broken(
                &span,
                "the merged value is not a map with string keys",
            )),
        }
    }

    /// Skips a node. Nodes with an anchor are read, since an alias may need them.
    fn pass(&mut self, (event, span): Token<'a>) -> Read<()> {
        let (flows, mut token) = (self.flows, (event, span));
        let mut open = Vec::new();
        loop {
            let (event, span) = token;
            match &event {
                _ if event.anchor_id().is_some_and(|anchor| anchor > 0) => {
                    self.node((event, span), &Paths::Whole)?;
                }
                Event::Scalar(text, style, ..) => {
                    self.scalar(text, *style, &span)?;
                }
                Event::MappingStart(style, ..) | Event::SequenceStart(style, ..) => {
                    self.flows += usize::from(*style == StructureStyle::Flow);
                    open.push(*style);
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    let style = open.pop();
                    self.flows -= usize::from(style == Some(StructureStyle::Flow));
                }
                _ => {}
            }
            if open.is_empty() {
                self.flows = flows;
                return Ok(());
            }
            token = self.next()?;
        }
    }

    /// Refuses a scalar with another meaning to Go. True if only Go sees a line break in it.
    fn scalar(&mut self, text: &str, style: ScalarStyle, span: &Span) -> Read<bool> {
        if style == ScalarStyle::Plain && self.flows > 0 {
            let behind = self.text.get(bytes(span).end..).unwrap_or_default();
            let is_cut = behind
                .strip_prefix(':')
                .is_some_and(|rest| rest.starts_with([',', '[', ']', '{', '}']));
            if is_cut || text.contains('?') || text.starts_with(':') {
                return Err(broken(
                    span,
                    "`?` or `:` in flow, without a space or quotes",
                ));
            }
        }
        if style == ScalarStyle::DoubleQuoted
            && self.text.get(bytes(span)).is_some_and(has_other_escapes)
        {
            return Err(broken(span, "an escape sequence that only JSON has"));
        }
        if self.odd.is_empty() || style == ScalarStyle::Plain {
            return Ok(false);
        }
        let is_odd = self.odd.take(&bytes(span));
        let is_end = |character| matches!(character, '\u{85}' | '\u{2028}' | '\u{2029}');
        let has_ends = is_odd
            && self
                .text
                .get(bytes(span))
                .is_some_and(|text| text.contains(is_end));
        if has_ends && matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            return Err(broken(span, "a line break of YAML 1.1 in a block scalar"));
        }
        Ok(has_ends)
    }
}

const TOO_MUCH: &str = "too long, or too many aliases";

/// True if Go refuses a document of this scalar alone: a block scalar, whose text needs no indentation
/// in YAML 1.2, or an empty scalar without `---`.
fn is_odd_root(style: ScalarStyle, has_marker: bool, span: &Span) -> bool {
    matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
        || !has_marker && bytes(span).is_empty()
}

/// True if the first line with content is `...`.
fn begins_with_an_end(text: &str) -> bool {
    let is_idle = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let behind = text
        .lines()
        .find(|line| !is_idle(line))
        .and_then(|line| line.strip_prefix("..."));
    behind.is_some_and(|behind| behind.is_empty() || behind.starts_with([' ', '\t', '\r']))
}

/// True if Go accepts the name of an anchor.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// True if a quoted text has an escape unknown to go-yaml: `\/`, or half of a surrogate pair.
fn has_other_escapes(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('\\') {
        let is_half = behind.strip_prefix('u').is_some_and(|digits| {
            let mut digits = digits.chars();
            matches!(digits.next(), Some('d' | 'D'))
                && matches!(digits.next(), Some('8' | '9' | 'a'..='f' | 'A'..='F'))
        });
        if is_half || behind.starts_with('/') {
            return true;
        }
        let mut characters = behind.chars();
        characters.next();
        rest = characters.as_str();
    }
    false
}

fn no_key(span: &Span) -> Broken {
    broken(span, "a key that JSON cannot represent")
}

/// The text of a scalar. The parser reports an empty scalar as `~`.
fn written<'a>(text: Cow<'a, str>, style: ScalarStyle, span: &Span) -> Cow<'a, str> {
    if style == ScalarStyle::Plain && bytes(span).is_empty() {
        Cow::Borrowed("")
    } else {
        text
    }
}

fn bytes(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or_default()
}

fn broken(span: &Span, message: &'static str) -> Broken {
    Broken {
        line: span.start.line(),
        column: span.start.col() + 1,
        message,
    }
}

fn not_yaml(error: &ScanError) -> Broken {
    let at = error.marker();
    Broken {
        line: at.line(),
        column: at.col() + 1,
        message: "invalid YAML",
    }
}

/// The error for a character that Go refuses everywhere.
pub(crate) fn refused_character(text: &str, at: usize) -> Broken {
    broken_at(text, at, "a character that YAML does not allow")
}

fn broken_at(text: &str, at: usize, message: &'static str) -> Broken {
    let before = text.get(..at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    Broken {
        line: before.matches('\n').count() + 1,
        column: line.chars().count() + 1,
        message,
    }
}
