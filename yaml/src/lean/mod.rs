//! A document without what is never judged: schemas first of all, 95 of 100 bytes of a CRD.

mod block;
mod line;

use std::borrow::Cow;

pub use self::line::is_unread;
use self::line::{Line, Opening};

/// Drops the blocks that stand under keys which are never read.
///
/// Of the text every reader has to see the same lines: see [`Document::lines_are_sure`](super::Document).
/// Whoever reads the result sees what he would see in `text`, but for what is below those keys.
/// Wherever a line could mean something else than it seems to (a scalar or a flow collection that
/// goes on in the next line, an anchor, a tag, a tab), `text` is returned as it is.
#[must_use]
pub fn lean(text: &str) -> Cow<'_, str> {
    prune(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// How many bytes are left of most definitions.
const USUAL: usize = 512;

/// The text without what is not read; none where anything is in doubt.
fn prune(text: &str) -> Option<String> {
    let mut kept = String::with_capacity(text.len().min(USUAL));
    let mut lines = Lines { rest: text };
    while let Some(line) = lines.next() {
        kept.push_str(line.whole);
        match line.opens()? {
            Opening::Nothing => {}
            Opening::Scalar(column) => kept.push_str(lines.scalar(column)),
            Opening::Inline(end) => {
                kept.truncate(kept.len() - line.whole.len() + end);
                kept.push('\n');
            }
            Opening::Unread(column) => lines.block(column).map(drop)?,
            Opening::Values(column) => kept.push_str(lines.block(column)?),
        }
    }
    Some(kept)
}

struct Lines<'a> {
    rest: &'a str,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<Line<'a>> {
        let line = Line::first(self.rest)?;
        self.take(line.whole.len());
        Some(line)
    }

    /// The lines of a block scalar: text, whatever they look like.
    fn scalar(&mut self, column: usize) -> &'a str {
        self.take(block::scalar(self.rest, column))
    }

    /// The lines of a block under a key at this column. None where something in it may go on beyond the
    /// indentation: its next lines would pass for keys.
    fn block(&mut self, column: usize) -> Option<&'a str> {
        Some(self.take(block::length(self.rest, column)?))
    }

    /// Takes that much off the front.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }
}
