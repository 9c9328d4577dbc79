//! Where a block ends that nobody reads: found without reading it.

use super::line::{Line, Rest, closing};
use crate::margin::{Margin, Seek};

/// How long a block is, at the beginning of a text, under a key at this column; the items of a sequence may
/// stand at the column itself. None where something in it may go on beyond the indentation.
pub(super) fn length(text: &str, column: usize) -> Option<usize> {
    let block = Block { text, column };
    let mut margin = Margin::new(text, column, Seek::Values);
    // The text of a block scalar stands too deep to end the block, so most of it is looked at as if it were none.
    // Where it seems to leave something open, what was so far is gone through again, and each scalar is passed.
    let (mut unpassed, mut doubt) = (None, 0);
    while let Some(at) = margin.next() {
        match block.meets(at)? {
            Meets::Nothing => {}
            Meets::End(end) => return Some(end),
            Meets::Scalar if at >= doubt => unpassed = unpassed.or(Some(at)),
            Meets::Scalar | Meets::Open => match unpassed.take() {
                Some(scalar) => {
                    doubt = at + 1;
                    margin.go(around(text, scalar)?.0);
                }
                None => margin.go(block.behind(at)?),
            },
        }
    }
    Some(text.len())
}

/// How long the text of a block scalar is whose key stands at this column.
pub(super) fn scalar(text: &str, column: usize) -> usize {
    let mut end = 0;
    while let Some(rest) = text
        .get(end..)
        .filter(|rest| is_deeper(rest, column) || is_blank(rest))
    {
        end += memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |at| at + 1);
    }
    end
}

/// Whether nothing stands on the first line of a text.
fn is_blank(text: &str) -> bool {
    let content = text.trim_start_matches(' ');
    match content.bytes().next() {
        Some(first) => {
            first.is_ascii_whitespace()
                && Line::first(content).is_some_and(|line| line.content.is_empty())
        }
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

/// What a block holds at a place.
enum Meets {
    /// Nothing that has to be passed.
    Nothing,
    /// What looks like a block scalar.
    Scalar,
    /// What leaves something else open, or looks like it.
    Open,
    /// It ended there.
    End(usize),
}

impl Block<'_> {
    fn meets(&self, at: usize) -> Option<Meets> {
        let (before, content) = self.text.as_bytes().split_at_checked(at)?;
        if let Some(indent) = indentation(before).filter(|indent| *indent <= self.column) {
            let line = Line::first(self.text.get(at - indent..)?)?;
            return Some(if line.is_inside(self.column) {
                Meets::Nothing
            } else {
                Meets::End(at - indent)
            });
        }
        Some(match content.first()? {
            b'|' | b'>' => Meets::Scalar,
            b'"' | b'\'' if is_closed(content) => Meets::Nothing,
            b'"' | b'\'' | b'{' | b'[' | b'&' | b'*' | b'!' | b'?' | b':' | b'\t' => Meets::Open,
            _ => Meets::Nothing,
        })
    }

    /// Where the block goes on behind a line that leaves something open, or looks like it.
    fn behind(&self, at: usize) -> Option<usize> {
        let (start, line) = around(self.text, at)?;
        let next = start + line.whole.len();
        match line.rest()? {
            Rest::Nothing => Some(next),
            Rest::Scalar(key) => Some(next + scalar(self.text.get(next..)?, key)),
            Rest::Quote(quote) => {
                let end = next + closing(quote, self.text.get(next..)?.as_bytes())?;
                let mut lines = Margin::new(self.text.get(next..=end)?, self.column, Seek::Lines);
                let is_inside = |at| {
                    around(self.text, next + at)
                        .is_some_and(|(_, line)| line.is_inside(self.column))
                };
                lines.all(is_inside).then_some(())?;
                let behind = Line::first(self.text.get(end + 1..)?).map_or("", |line| line.whole);
                let says_nothing = behind.trim_ascii().is_empty()
                    || behind.trim_start_matches(' ').starts_with('#');
                says_nothing.then_some(end + 1 + behind.len())
            }
        }
    }
}

/// The spaces that end a text, where nothing else stands in front of its end on its line.
fn indentation(text: &[u8]) -> Option<usize> {
    // Most values stand behind a key.
    if text.ends_with(b": ") {
        return None;
    }
    let spaces = text.iter().rev().take_while(|byte| **byte == b' ').count();
    let (lead, _) = text.split_at_checked(text.len() - spaces)?;
    matches!(lead.last(), None | Some(b'\n')).then_some(spaces)
}

/// Whether a scalar in quotes, which a text begins with, ends on its line. Not where it takes more to tell.
fn is_closed(text: &[u8]) -> bool {
    let Some((quote, text)) = text.split_first() else {
        return false;
    };
    let end = memchr::memchr3(*quote, b'\\', b'\n', text).unwrap_or(text.len());
    text.get(end) == Some(quote) && text.get(end + 1) != Some(quote)
}

/// The line around an offset, and where it begins.
fn around(text: &str, at: usize) -> Option<(usize, Line<'_>)> {
    let before = text.as_bytes().get(..at)?;
    let start = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
    Some((start, Line::first(text.get(start..)?)?))
}
