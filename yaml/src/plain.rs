//! What most documents hold, from their lines alone: ten times faster than from a parser's events.

use granit_parser::ScalarStyle;
use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::scan::{Line, Scan, Sure, Unsure, is_text, key, spaces, value};

/// Beyond every real document: the pods of a CronJob are at twelve.
const DEEPEST: usize = 40;
/// More is for the parser to refuse, which knows its measure.
const MOST: usize = 200_000;

/// What a document holds whose line ends are the same to every reader: a map in a block. None wherever a line
/// could mean something else than it seems to, or a reader of YAML 1.1 could take a value for another than
/// one of 1.2.
pub(super) fn read(text: &str) -> Option<Node<'_>> {
    let mut lines = Lines {
        scan: Scan::new(text),
        depth: 0,
        left: MOST,
    };
    lines.document().ok()
}

/// A value that every reader takes for the same, to be deserialized from a reference.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Number(u32),
    Text(&'a str),
    Items(Vec<Self>),
    /// Of two equal keys the later one counts.
    Map(Vec<(&'a str, Self)>),
}

impl<'de> Deserializer<'de> for &'de Node<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Number(value) => visitor.visit_u32(*value),
            Node::Text(text) => visitor.visit_borrowed_str(text),
            Node::Items(items) => {
                let mut items = SeqDeserializer::new(items.iter());
                let value = visitor.visit_seq(&mut items)?;
                items.end().map(|()| value)
            }
            Node::Map(entries) => {
                let mut entries =
                    MapDeserializer::new(entries.iter().map(|(key, value)| (*key, value)));
                let value = visitor.visit_map(&mut entries)?;
                entries.end().map(|()| value)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if *self == Node::Null {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

impl<'de> IntoDeserializer<'de> for &'de Node<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

struct Lines<'a> {
    scan: Scan<'a>,
    depth: usize,
    /// How many entries and items there may still be.
    left: usize,
}

impl<'a> Lines<'a> {
    fn document(&mut self) -> Sure<Node<'a>> {
        let line = self.scan.peek();
        if line.indent == 0
            && line
                .content
                .strip_prefix("---")
                .is_some_and(|rest| matches!(value(rest), Ok(None)))
        {
            self.scan.go(line.next);
        }
        let map = self.map(0)?;
        if self.scan.peek().content.is_empty() && !map.is_empty() {
            Ok(Node::Map(map))
        } else {
            Err(Unsure)
        }
    }

    /// The entries at this column.
    fn map(&mut self, column: usize) -> Sure<Vec<(&'a str, Node<'a>)>> {
        self.depth += 1;
        let mut map = Vec::new();
        while let Some(line) = self.at(column)? {
            let Some((name, rest)) = named(line.content) else {
                break;
            };
            self.scan.go(line.next);
            let value = match Self::inline(rest)? {
                Some(value) => value,
                None => self.below(column)?,
            };
            map.push((name, value));
        }
        self.depth -= 1;
        Ok(map)
    }

    /// The items at this column.
    fn items(&mut self, column: usize) -> Sure<Vec<Node<'a>>> {
        self.depth += 1;
        let mut items = Vec::new();
        while let Some(line) = self.at(column)?.filter(Line::is_item) {
            items.push(self.item(&line)?);
        }
        self.depth -= 1;
        Ok(items)
    }

    fn item(&mut self, item: &Line<'a>) -> Sure<Node<'a>> {
        self.scan.enter(item);
        let line = self.scan.peek();
        if line.next > item.next {
            return self.below(item.indent + 1);
        }
        if named(line.content).is_some() {
            return self.map(line.indent).map(Node::Map);
        }
        self.scan.go(line.next);
        Self::inline(item.content.get(1..).unwrap_or_default())?.ok_or(Unsure)
    }

    /// The next line, if it is at this column. None where it is to the left.
    fn at(&mut self, column: usize) -> Sure<Option<Line<'a>>> {
        let line = self.scan.peek();
        if line.content.is_empty() || line.indent < column {
            return Ok(None);
        }
        self.left = self.left.checked_sub(1).ok_or(Unsure)?;
        if line.indent == column && self.depth < DEEPEST {
            Ok(Some(line))
        } else {
            Err(Unsure)
        }
    }

    /// What stands below a key at this column.
    fn below(&mut self, column: usize) -> Sure<Node<'a>> {
        let line = self.scan.peek();
        match line.indent {
            _ if line.content.is_empty() => Ok(Node::Null),
            indent if indent >= column && line.is_item() => self.items(indent).map(Node::Items),
            indent if indent > column => self.map(indent).map(Node::Map),
            _ => Ok(Node::Null),
        }
    }

    /// What stands on a line behind a colon or a dash, if anything does.
    fn inline(rest: &'a str) -> Sure<Option<Node<'a>>> {
        let (_, content) = spaces(rest);
        if content.starts_with(['{', '[']) {
            return match content.trim_end_matches(' ') {
                "{}" => Ok(Some(Node::Map(Vec::new()))),
                "[]" => Ok(Some(Node::Items(Vec::new()))),
                _ => Err(Unsure),
            };
        }
        let Some((_, text, style)) = value(rest)? else {
            return Ok(None);
        };
        match text {
            _ if style != ScalarStyle::Plain || is_text(text) => Ok(Some(Node::Text(text))),
            "true" => Ok(Some(Node::Bool(true))),
            "false" => Ok(Some(Node::Bool(false))),
            _ => number(text)
                .map(|number| Some(Node::Number(number)))
                .ok_or(Unsure),
        }
    }
}

/// A key that is a text to every reader, and what stands behind its colon.
fn named(content: &str) -> Option<(&str, &str)> {
    let Some(quote @ (b'"' | b'\'')) = content.bytes().next() else {
        return key(content).filter(|(name, _)| is_text(name));
    };
    let (name, behind) = content.get(1..)?.split_once(char::from(quote))?;
    let rest = behind
        .strip_prefix(':')
        .filter(|rest| rest.is_empty() || rest.starts_with(' '))?;
    name.bytes()
        .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'\\')
        .then_some((name, rest))
}

/// A number that is one to every reader: `010` is eight to some.
fn number(text: &str) -> Option<u32> {
    let is_decimal =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_decimal)
}
