//! Builds the tree of any document from a parser's events.

use std::collections::BTreeMap;
use std::ops::Range;

use granit_parser::{
    Event, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle, options,
};
use serde_json::Value;

use super::tree::{Body, Entry, Id, Node, Style, Tree, line_break, line_end, token};
use crate::{Document, Unread};

/// Longest key, above Kubernetes' own limits; the parser's default would refuse some JSON.
const LONGEST_KEY: usize = 64 << 10;

/// Reads a document. Without anchors, nodes outside the patch's keys are skipped.
pub(super) fn read<'a>(document: &Document<'a>, patch: &Value) -> Result<Tree<'a>, Unread> {
    let text = document.text;
    let options = options! { emit_anchor_events: true, emit_comments: false, simple_key_max_lookahead: LONGEST_KEY };
    let mut reader = Reader {
        tree: Tree {
            text,
            nodes: Vec::new(),
        },
        events: Parser::new_from_str_with_options(text, options),
        anchors: BTreeMap::new(),
        everything: text.contains('&'),
    };
    match reader.document(patch) {
        Ok(()) => Ok(reader.tree),
        Err(Broken::At(line, column)) => {
            Err(document.unread(line, column, "invalid YAML".to_owned()))
        }
        Err(Broken::Early) => {
            Err(document.unread(1, 1, "the document is empty or incomplete".to_owned()))
        }
    }
}

enum Broken {
    /// Line and column, from 1.
    At(u64, u64),
    Early,
}

impl From<ScanError> for Broken {
    fn from(error: ScanError) -> Self {
        Self::At(
            error.marker().line() as u64,
            error.marker().col() as u64 + 1,
        )
    }
}

type Read<T> = Result<T, Broken>;
type Token<'a> = (Event<'a>, Span);

struct Reader<'a> {
    tree: Tree<'a>,
    events: Parser<'a, StrInput<'a>>,
    /// The node of each anchor so far.
    anchors: BTreeMap<usize, Id>,
    /// True if every node is needed, because the document may have anchors.
    everything: bool,
}

impl<'a> Reader<'a> {
    fn document(&mut self, patch: &Value) -> Read<()> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd, _) => return Err(Broken::Early),
                token => {
                    self.node(token, 0, Some(patch))?;
                    break;
                }
            }
        }
        // The rest must be valid, too.
        while !matches!(self.next()?.0, Event::StreamEnd) {}
        Ok(())
    }

    fn next(&mut self) -> Read<Token<'a>> {
        Ok(self.events.next_event().ok_or(Broken::Early)??)
    }

    /// The node that begins with this event, behind `from`.
    fn node(&mut self, (event, span): Token<'a>, from: usize, patch: Option<&Value>) -> Read<Id> {
        let (id, range) = (self.tree.nodes.len(), bytes(&span));
        let (anchor, tag) = (
            self.anchor(&event, id)?,
            span.tag_span().as_ref().map(bytes),
        );
        let open = anchor
            .iter()
            .chain(&tag)
            .map(|range| range.end)
            .fold(from, usize::max);
        let (start, end) = (range.start, range.end);
        self.tree.nodes.push(Node {
            start,
            end,
            last: id,
            anchor,
            tag,
            body: Body::Passed,
        });
        let (range, body) = match event {
            Event::Alias(target) => (
                range,
                Body::Alias(self.anchors.get(&target).copied().unwrap_or(id)),
            ),
            Event::Scalar(text, style, ..) => {
                (self.scalar(range, open, style), Body::Scalar(text, style))
            }
            _ if patch.is_none() && !self.everything => (start..self.pass(end)?, Body::Passed),
            Event::MappingStart(style, ..) => self.map(range, style.into(), patch)?,
            // For a sequence without indentation, the parser's span begins behind its first dash.
            Event::SequenceStart(StructureStyle::Block, ..) if open > 0 => {
                self.seq(token(self.tree.text, open)..end, Style::Block, patch)?
            }
            Event::SequenceStart(style, ..) => self.seq(range, style.into(), patch)?,
            _ => return Err(Broken::Early),
        };
        let last = self.tree.nodes.len() - 1;
        if let Some(node) = self.tree.nodes.get_mut(id) {
            (node.start, node.end, node.last, node.body) = (range.start, range.end, last, body);
        }
        Ok(id)
    }

    /// The range of a node's anchor, which the parser reports after the node.
    fn anchor(&mut self, event: &Event<'a>, id: Id) -> Read<Option<Range<usize>>> {
        let Some(anchor) = event.anchor_id().filter(|anchor| *anchor > 0) else {
            return Ok(None);
        };
        self.anchors.insert(anchor, id);
        match self.next()? {
            (Event::Anchor(..), span) => Ok(Some(bytes(&span))),
            _ => Err(Broken::Early),
        }
    }

    /// The full range of a scalar. An empty scalar is behind its opening. A block scalar begins
    /// with its header and ends behind its last non-blank line.
    fn scalar(&self, range: Range<usize>, open: usize, style: ScalarStyle) -> Range<usize> {
        let text = self.tree.text;
        if !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            return if range.is_empty() { open..open } else { range };
        }
        let header = token(text, open);
        let held = self.tree.slice(range.clone()).trim_end();
        let end = if held.is_empty() {
            line_end(text, header)
        } else {
            range.start + held.len()
        };
        header..end + line_break(text, end).len()
    }

    /// Skips the content of a collection, and returns its end.
    fn pass(&mut self, mut end: usize) -> Read<usize> {
        let mut depth = 1_usize;
        while depth > 0 {
            let (event, span) = self.next()?;
            match event {
                Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => depth -= 1,
                _ => {}
            }
            if !matches!(event, Event::MappingEnd | Event::SequenceEnd) || !bytes(&span).is_empty()
            {
                end = bytes(&span).end;
            }
        }
        Ok(end)
    }

    fn map(
        &mut self,
        range: Range<usize>,
        style: Style,
        patch: Option<&Value>,
    ) -> Read<(Range<usize>, Body<'a>)> {
        let (mut entries, mut end) = (Vec::new(), range.end);
        loop {
            let first = self.next()?;
            if let (Event::MappingEnd, span) = first {
                let end = if style == Style::Flow {
                    bytes(&span).end
                } else {
                    end
                };
                return Ok((range.start..end, Body::Map(style, entries)));
            }
            let key = self.node(first, end, None)?;
            let behind = self.tree.node(key).end;
            let open = self.colon(behind, style);
            let below = patch.and_then(|patch| below(patch, self.tree.scalar(key)?));
            let second = self.next()?;
            let value = self.node(second, open.unwrap_or(behind), below)?;
            end = self.tree.node(value).end;
            entries.push(Entry { key, value, open });
        }
    }

    /// The offset behind the colon that follows a key, where a value may begin. In a block, a colon
    /// with text behind it begins another key.
    fn colon(&self, key_end: usize, style: Style) -> Option<usize> {
        let behind = token(self.tree.text, key_end) + 1;
        let is_colon = self.tree.slice(behind - 1..behind) == ":";
        let is_free = self
            .tree
            .text
            .get(behind..)?
            .bytes()
            .next()
            .is_none_or(|next| next.is_ascii_whitespace());
        (is_colon && (style == Style::Flow || is_free)).then_some(behind)
    }

    fn seq(
        &mut self,
        range: Range<usize>,
        style: Style,
        patch: Option<&Value>,
    ) -> Read<(Range<usize>, Body<'a>)> {
        let (mut items, mut end) = (Vec::new(), range.start);
        loop {
            let first = self.next()?;
            if let (Event::SequenceEnd, span) = first {
                let end = if style == Style::Flow {
                    bytes(&span).end
                } else {
                    end
                };
                return Ok((range.start..end, Body::Seq(style, items)));
            }
            let dash = token(self.tree.text, end);
            let from = if style == Style::Block { dash + 1 } else { end };
            let below = patch.and_then(|patch| below(patch, &items.len().to_string()));
            let item = self.node(first, from, below)?;
            end = self.tree.node(item).end;
            items.push(item);
        }
    }
}

/// The part of a patch for a child. A value other than a map is compared whole, and a merge may
/// contain any key.
fn below<'p>(patch: &'p Value, key: &str) -> Option<&'p Value> {
    match patch {
        Value::Object(_) if key == "<<" => Some(&Value::Null),
        Value::Object(wants) => wants.get(key),
        _ => Some(patch),
    }
}

fn bytes(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or_default()
}

impl From<StructureStyle> for Style {
    fn from(style: StructureStyle) -> Self {
        if style == StructureStyle::Flow {
            Self::Flow
        } else {
            Self::Block
        }
    }
}
