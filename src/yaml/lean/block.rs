//! Where a block ends that nobody reads: found without reading it.

use super::super::margin::{Margin, Seek};
use super::line::{Line, Rest, closing};

/// How long a block is, at the beginning of a text, under a key at this column; the items of a sequence may
/// stand at the column itself. None where something in it may go on beyond the indentation.
pub(super) fn length(text: &str, column: usize) -> Option<usize> {
    let mut block = Block { text, column, margin: Margin::new(text, column, Seek::Values) };
    while let Some(at) = block.margin.next() {
        let (start, line) = around(text, at)?;
        if start < at {
            let next = block.behind(start + line.whole.len(), &line)?;
            block.margin.aim(next, column, Seek::Values);
        } else if !line.is_inside(column) {
            return Some(at);
        }
    }
    Some(text.len())
}

/// How long the text of a block scalar is whose key stands at this column.
pub(super) fn scalar(text: &str, column: usize) -> usize {
    scalar_end(text, column, &mut Margin::new(text, column, Seek::Lines))
}

struct Block<'a> {
    text: &'a str,
    column: usize,
    margin: Margin<'a>,
}

impl Block<'_> {
    /// Where the block goes on behind a line that ends at `next`, and what that line leaves open.
    fn behind(&mut self, next: usize, line: &Line<'_>) -> Option<usize> {
        match line.rest()? {
            Rest::Nothing => Some(next),
            Rest::Scalar(key) => {
                self.margin.aim(next, key, Seek::Lines);
                Some(scalar_end(self.text, key, &mut self.margin))
            }
            Rest::Quote(quote) => {
                let end = next + closing(quote, self.text.get(next..)?.as_bytes())?;
                let mut lines = Margin::new(self.text.get(next..=end)?, self.column, Seek::Lines);
                let is_inside = |at| around(self.text, next + at).is_some_and(|(_, line)| line.is_inside(self.column));
                lines.all(is_inside).then_some(())?;
                let (start, last) = around(self.text, end)?;
                Some(start + last.whole.len())
            }
        }
    }
}

fn scalar_end(text: &str, column: usize, lines: &mut Margin<'_>) -> usize {
    let line = |at: usize| Line::first(text.get(at..).unwrap_or_default());
    let is_end = |at: &usize| line(*at).is_some_and(|line| line.indent <= column && !line.content.is_empty());
    lines.find(is_end).unwrap_or(text.len())
}

/// The line around an offset, and where it begins.
fn around(text: &str, at: usize) -> Option<(usize, Line<'_>)> {
    let before = text.as_bytes().get(..at)?;
    let start = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
    Some((start, Line::first(text.get(start..)?)?))
}
