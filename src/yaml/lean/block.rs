//! Where a block ends that nobody reads: found without reading it.

use super::super::margin::{Margin, Seek};
use super::super::scan::is_part;
use super::line::{Line, Rest, closing};

/// How long a block is, at the beginning of a text, under a key at this column; the items of a sequence may
/// stand at the column itself. None where something in it may go on beyond the indentation.
pub(super) fn length(text: &str, column: usize) -> Option<usize> {
    let block = Block { text, column };
    let mut margin = Margin::new(text, column, Seek::Values);
    while let Some(at) = margin.next() {
        match block.behind(at)? {
            Behind::Here => {}
            Behind::Line(next) => margin.pass(next),
            Behind::Block(end) => return Some(end),
        }
    }
    Some(text.len())
}

/// How long the text of a block scalar is whose key stands at this column.
pub(super) fn scalar(text: &str, column: usize) -> usize {
    let mut end = 0;
    while let Some(rest) = text.get(end..).filter(|rest| is_deeper(rest, column) || is_blank(rest)) {
        end += memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |at| at + 1);
    }
    end
}

/// Whether nothing stands on the first line of a text.
fn is_blank(text: &str) -> bool {
    let content = text.trim_start_matches(' ');
    match content.bytes().next() {
        Some(first) => first.is_ascii_whitespace() && Line::first(content).is_some_and(|line| line.content.is_empty()),
        None => !text.is_empty(),
    }
}

/// Whether a text begins with more spaces than so many.
fn is_deeper(text: &str, column: usize) -> bool {
    const SPACES: [u8; 64] = [b' '; 64];
    match SPACES.get(..=column) {
        Some(spaces) => text.as_bytes().starts_with(spaces),
        None => text.bytes().take(column + 1).all(|byte| byte == b' ') && text.len() > column,
    }
}

struct Block<'a> {
    text: &'a str,
    column: usize,
}

/// Where a block goes on behind a place in it.
enum Behind {
    /// Right there.
    Here,
    /// With the line that begins there.
    Line(usize),
    /// Nowhere: it ended there.
    Block(usize),
}

impl Block<'_> {
    fn behind(&self, at: usize) -> Option<Behind> {
        let (before, content) = self.text.as_bytes().split_at_checked(at)?;
        if let Some(indent) = indentation(before).filter(|indent| *indent <= self.column) {
            let line = Line::first(self.text.get(at - indent..)?)?;
            return Some(if line.is_inside(self.column) { Behind::Here } else { Behind::Block(at - indent) });
        }
        match content.first()? {
            b'"' | b'\'' if is_closed(content) => Some(Behind::Here),
            b'|' | b'>' => key(before).map_or_else(|| self.unclosed(at), |key| self.scalar(at, key)),
            b'"' | b'\'' | b'{' | b'[' | b'&' | b'*' | b'!' | b'?' | b':' | b'\t' => self.unclosed(at),
            _ => Some(Behind::Here),
        }
    }

    /// Where the block goes on behind a block scalar whose key stands at this column.
    fn scalar(&self, at: usize, column: usize) -> Option<Behind> {
        let rest = self.text.get(at..)?;
        let text = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |end| end + 1);
        Some(Behind::Line(at + text + scalar(rest.get(text..)?, column)))
    }

    /// Where the block goes on behind a line that leaves something open, or looks like it.
    fn unclosed(&self, at: usize) -> Option<Behind> {
        let (start, line) = around(self.text, at)?;
        let next = start + line.whole.len();
        let next = match line.rest()? {
            Rest::Nothing => next,
            Rest::Scalar(key) => next + scalar(self.text.get(next..)?, key),
            Rest::Quote(quote) => {
                let end = next + closing(quote, self.text.get(next..)?.as_bytes())?;
                let mut lines = Margin::new(self.text.get(next..=end)?, self.column, Seek::Lines);
                let is_inside = |at| around(self.text, next + at).is_some_and(|(_, line)| line.is_inside(self.column));
                lines.all(is_inside).then_some(())?;
                let behind = Line::first(self.text.get(end + 1..)?).map_or("", |line| line.whole);
                let says_nothing = behind.trim_ascii().is_empty() || behind.trim_start_matches(' ').starts_with('#');
                says_nothing.then_some(end + 1 + behind.len())?
            }
        };
        Some(Behind::Line(next))
    }
}

/// How many bytes of a kind end a text.
fn trailing(text: &[u8], is_kind: impl Fn(u8) -> bool) -> usize {
    text.iter().rev().take_while(|byte| is_kind(**byte)).count()
}

/// The spaces that end a text, where nothing else stands in front of its end on its line.
fn indentation(text: &[u8]) -> Option<usize> {
    let spaces = trailing(text, |byte| byte == b' ');
    text.split_at_checked(text.len() - spaces)
        .filter(|(lead, _)| matches!(lead.last(), None | Some(b'\n')))
        .map(|_| spaces)
}

/// The column of a key that ends a text with its colon, where it is alone on its line. None where it takes more
/// to tell.
fn key(text: &[u8]) -> Option<usize> {
    let (text, _) = text.split_at_checked(text.len() - trailing(text, |byte| byte == b' '))?;
    let text = text.strip_suffix(b":")?;
    let (lead, key) = text.split_at_checked(text.len() - trailing(text, is_part))?;
    indentation(lead).filter(|_| key.first().is_some_and(u8::is_ascii_alphanumeric))
}

/// Whether a scalar in quotes, which a text begins with, ends on its line. Not where it takes more to tell.
fn is_closed(text: &[u8]) -> bool {
    let Some((quote, text)) = text.split_first() else { return false };
    let end = memchr::memchr3(*quote, b'\\', b'\n', text).unwrap_or(text.len());
    text.get(end) == Some(quote) && text.get(end + 1) != Some(quote)
}

/// The line around an offset, and where it begins.
fn around(text: &str, at: usize) -> Option<(usize, Line<'_>)> {
    let before = text.as_bytes().get(..at)?;
    let start = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
    Some((start, Line::first(text.get(start..)?)?))
}
