//! Blocks of HCL, found by their heads. A template around them does no harm: nothing is parsed as
//! a whole.

use std::ops::Range;

use super::text::{Text, Value};

/// A block, and the text that it is in.
#[derive(Debug)]
pub struct Block<'a> {
    /// The bytes of the head, such as `resource "helm_release" "flux"`.
    pub head: Range<usize>,
    /// The bytes between the braces.
    pub body: Range<usize>,
    text: &'a Text,
}

/// The blocks with this head, in text order.
#[must_use]
pub fn blocks<'a>(text: &'a Text, head: &str) -> Vec<Block<'a>> {
    let mut blocks = Vec::new();
    for at in text.find(head) {
        let line = text.line(at);
        let is_head = text.slice(line.start..at).trim().is_empty();
        let open = text.slice(at..line.end).find('{').map(|open| at + open);
        let Some(block) = open
            .filter(|_| is_head)
            .and_then(|open| Block::at(text, open))
        else {
            continue;
        };
        blocks.push(Block {
            head: at..block.body.start - 1,
            ..block
        });
    }
    blocks
}

impl<'a> Block<'a> {
    /// The block or object whose brace opens at a byte.
    #[must_use]
    pub fn at(text: &'a Text, open: usize) -> Option<Self> {
        let rest = text.text.get(open..)?;
        let (mut depth, mut is_quoted, mut is_escaped) = (0_usize, false, false);
        for (place, letter) in rest.char_indices() {
            match letter {
                _ if is_escaped => is_escaped = false,
                '\\' if is_quoted => is_escaped = true,
                '"' => is_quoted = !is_quoted,
                '\n' => is_quoted = false,
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return Some(Self {
                    head: open..open,
                    body: open + 1..open + place,
                    text,
                });
            }
        }
        None
    }

    /// The value of an attribute: a text without its quotes, or an expression as `${…}`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Value> {
        let at = self.attribute(name)?;
        let rest = self.text.slice(at..self.text.line(at).end);
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"')?;
            let text = quoted.get(..end)?.to_owned();
            return Some(Value {
                text,
                span: at + 1..at + 1 + end,
            });
        }
        let value = self.text.token(at, &[',', '}', '#']);
        let is_reference = value.text.starts_with("var.") || value.text.starts_with("local.");
        let text = if is_reference {
            format!("${{{}}}", value.text)
        } else {
            return None;
        };
        Some(Value {
            text,
            span: value.span,
        })
    }

    /// The text of an attribute without references.
    #[must_use]
    pub fn literal(&self, name: &str) -> Option<Value> {
        self.value(name).filter(|value| !value.text.contains('$'))
    }

    /// The first byte of an attribute's value, at the block's own depth.
    fn attribute(&self, name: &str) -> Option<usize> {
        let body = self.text.slice(self.body.clone());
        let (mut depth, mut at) = (0_i32, self.body.start);
        for line in body.split_inclusive(['\n', ',']) {
            let trimmed = line.trim_start();
            let rest = trimmed.strip_prefix(name).map(str::trim_start);
            let value = rest
                .and_then(|rest| rest.strip_prefix('='))
                .filter(|rest| !rest.starts_with('='));
            if let Some(value) = value.filter(|_| depth == 0) {
                let value = value.trim_start();
                return Some(at + line.len() - value.len());
            }
            let count = |letter| line.matches(letter).count();
            let opened = i32::try_from(count('{')).unwrap_or_default();
            depth += opened - i32::try_from(count('}')).unwrap_or_default();
            at += line.len();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::repository::zone::Zone;

    #[test]
    fn an_attribute_is_found_at_its_own_depth() {
        let source = "resource \"a\" \"b\" {\n  set { version = \"no\" }\n  x = { version = \"no\" }\n  version = \"1.2.3\" # told\n  other   = var.y\n}\n";
        let text = Text::read("a.tf".to_owned(), source.to_owned(), Zone::Cluster);
        let blocks = blocks(&text, "resource \"a\"");
        let block = blocks.first().unwrap();
        let value = block.value("version").unwrap();
        assert_eq!(
            (value.text.as_str(), text.slice(value.span.clone())),
            ("1.2.3", "1.2.3")
        );
        assert_eq!(block.value("other").unwrap().text, "${var.y}");
        assert!(block.value("set").is_none());
    }
}
