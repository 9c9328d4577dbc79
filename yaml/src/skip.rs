//! Leaves out blocks that are not read: the schemas of a CustomResourceDefinition.
//!
//! A block's path decides, if its lines have a single meaning: the column of every key and dash is
//! known, and the lines that continue a scalar. From the first uncertain line on (an anchor, a tag,
//! a flow collection over several lines, a tab), everything stays. `tests/tests/go_yaml` reads each
//! document with the skip and without.

mod line;

use self::line::{Entry, Line, Shape};
use crate::paths::Paths;

/// A text without the blocks that are not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) text: String,
    /// For each removed block: the line of `text` before it, from 1, and its number of lines.
    gaps: Vec<(usize, usize)>,
}

impl Skipped {
    /// Converts a line of the remaining text to a line of the whole text, both from 1.
    pub(crate) fn line(&self, line: usize) -> usize {
        let gaps = self.gaps.iter().filter(|(at, _)| *at < line);
        line + gaps.map(|(_, lines)| lines).sum::<usize>()
    }
}

/// Removes the blocks. The text has only LF and CRLF as line ends, and no byte order mark.
pub(crate) fn skip(text: &str, paths: &'static Paths) -> Skipped {
    let mut skip = Skip {
        text,
        at: 0,
        kept: String::new(),
        lines: 0,
        gaps: Vec::new(),
    };
    let is_whole = skip.document(paths).is_some();
    if !is_whole || skip.at < text.len() {
        skip.keep(text.len());
    }
    Skipped {
        text: skip.kept,
        gaps: skip.gaps,
    }
}

struct Skip<'a> {
    text: &'a str,
    /// The offset up to which text was kept or removed.
    at: usize,
    kept: String,
    /// The number of line ends in `kept`.
    lines: usize,
    gaps: Vec<(usize, usize)>,
}

/// `None`: from here on, a line may have another meaning.
type Sure<T> = Option<T>;

impl<'a> Skip<'a> {
    fn document(&mut self, paths: &'static Paths) -> Sure<()> {
        let first = self.peek()?;
        if first.indent == 0 && first.is_bare_marker() {
            self.keep(first.end);
        }
        let line = self.peek()?;
        self.map(line.indent, paths)
    }

    /// The next line neither blank nor a comment; keeps the lines before. `None` at the end.
    fn peek(&mut self) -> Option<Line<'a>> {
        loop {
            let line = Line::at(self.text, self.at)?;
            if !line.is_idle() {
                return Some(line);
            }
            self.keep(line.end);
        }
    }

    fn keep(&mut self, end: usize) {
        let kept = self.text.get(self.at..end).unwrap_or_default();
        self.kept.push_str(kept);
        self.lines += lines(kept);
        self.at = end;
    }

    fn leave_out(&mut self, end: usize) {
        let left_out = lines(self.text.get(self.at..end).unwrap_or_default());
        if left_out > 0 {
            self.gaps.push((self.lines, left_out));
        }
        self.at = end;
    }

    /// The entries of a map with keys at this column.
    fn map(&mut self, column: usize, paths: &'static Paths) -> Sure<()> {
        while let Some(line) = self.peek() {
            if line.indent < column {
                return Some(());
            }
            let entry = line.entry()?;
            if line.indent > column || entry.dash.is_some() {
                return None;
            }
            self.entry(&line, &entry, paths)?;
        }
        Some(())
    }

    /// A key with its value, on its line and below.
    fn entry(&mut self, line: &Line<'a>, entry: &Entry<'a>, paths: &'static Paths) -> Sure<()> {
        let key = entry.key?;
        // A merge may contain any key.
        if key == "<<" {
            return None;
        }
        let part = paths.key(key).paths();
        if entry.shape != Shape::Empty {
            let end = entry.end(self.text, line)?;
            self.keep(end);
            return Some(());
        }
        let Some(paths) = part else {
            let end = block(self.text, line.end, Under::Key(entry.column))?;
            self.keep(line.end);
            self.leave_out(end);
            return Some(());
        };
        if !matches!(paths, Paths::Keys(_) | Paths::Items(_)) {
            let end = block(self.text, line.end, Under::Key(entry.column))?;
            self.keep(end);
            return Some(());
        }
        self.keep(line.end);
        self.below(entry.column, paths)
    }

    /// The value below a key at this column: a map, a list, or nothing.
    fn below(&mut self, column: usize, paths: &'static Paths) -> Sure<()> {
        let Some(next) = self.peek() else {
            return Some(());
        };
        let has_dash = next.has_dash();
        if next.indent < column || next.indent == column && !has_dash {
            return Some(());
        }
        match paths {
            Paths::Items(item) if has_dash => self.items(next.indent, item),
            Paths::Keys(_) if !has_dash => self.map(next.indent, paths),
            _ => {
                let end = block(self.text, self.at, Under::Key(column))?;
                self.keep(end);
                Some(())
            }
        }
    }

    /// The items of a list with dashes at this column.
    fn items(&mut self, column: usize, paths: &'static Paths) -> Sure<()> {
        while let Some(line) = self.peek() {
            if line.indent < column || line.indent == column && !line.has_dash() {
                return Some(());
            }
            let entry = line.entry()?;
            if line.indent > column {
                return None;
            }
            let is_one = entry.dash == Some(column);
            if is_one && entry.key.is_some() && matches!(paths, Paths::Keys(_)) {
                self.entry(&line, &entry, paths)?;
                self.map(entry.column, paths)?;
                continue;
            }
            // Any other item stays complete.
            let start = entry.end(self.text, &line)?;
            let awaits = (entry.shape == Shape::Empty).then_some(entry.column);
            let end = block(self.text, start, Under::Dash { column, awaits })?;
            self.keep(end);
        }
        Some(())
    }
}

fn lines(text: &str) -> usize {
    memchr::memchr_iter(b'\n', text.as_bytes()).count()
}

/// The owner of a block.
#[derive(Clone, Copy)]
enum Under {
    /// A key at this column without a value on its line. A list may be at the same column.
    Key(usize),
    /// The rest of an item with its dash at this column. `awaits`: the column of a key or dash on
    /// the first line without a value there.
    Dash {
        column: usize,
        awaits: Option<usize>,
    },
}

/// The end of the block at an offset. `None` if a line may have another meaning, or if a scalar
/// continues to the left of the column.
fn block(text: &str, start: usize, under: Under) -> Sure<usize> {
    let mut at = start;
    // The column of the key or dash that expects its value on the next line.
    let (column, mut awaiting, is_below_key) = match under {
        Under::Key(column) => (column, Some(column), true),
        Under::Dash { column, awaits } => (column, awaits, false),
    };
    while let Some(line) = Line::at(text, at) {
        if line.is_idle() {
            at = line.end;
            continue;
        }
        let is_item = is_below_key && line.indent == column && line.has_dash();
        if line.indent <= column && !is_item {
            break;
        }
        let mut entry = line.entry()?;
        if entry.key.is_none() && entry.dash.is_none() {
            // A value on its own line; any other text would continue a finished scalar.
            entry.column = awaiting.filter(|column| *column < line.indent)?;
        }
        awaiting = (entry.shape == Shape::Empty).then_some(entry.column);
        at = entry.end(text, &line)?;
        if matches!(entry.shape, Shape::Quote { .. }) && !is_deeper(text.get(line.end..at)?, column)
        {
            return None;
        }
    }
    Some(at)
}

/// True if each line of a text is blank or indented beyond a column.
fn is_deeper(text: &str, column: usize) -> bool {
    let is_inside = |line: &str| {
        let content = line.trim_start_matches(' ');
        content.trim_ascii().is_empty() || line.len() - content.len() > column
    };
    text.lines().all(is_inside)
}

#[cfg(test)]
mod tests;
