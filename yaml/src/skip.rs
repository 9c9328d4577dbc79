//! Leaves out the blocks that nobody reads: of a CustomResourceDefinition, the schemas.
//!
//! A block is left out by its path in the tree of what is read, and only where its lines can mean one thing: this
//! knows the column of every key and dash, and which lines continue a scalar. At the first line of which it does not
//! (an anchor, a tag, a flow collection that goes on, a tab), everything from there on stays.

mod line;

use self::line::{Entry, Line, Shape};
use crate::paths::Paths;

/// A text without the blocks that nobody reads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) text: String,
    /// For each block that was left out: the line of `text`, from 1, behind which it stood, and how many lines it has.
    gaps: Vec<(usize, usize)>,
}

impl Skipped {
    /// The line of the whole text that a line of what is left was, both from 1.
    pub(crate) fn line(&self, line: usize) -> usize {
        let gaps = self.gaps.iter().filter(|(at, _)| *at < line);
        line + gaps.map(|(_, lines)| lines).sum::<usize>()
    }
}

/// Leaves the blocks out. The text holds no line end but LF and CRLF, and no byte order mark.
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
    /// Everything in front was kept or left out.
    at: usize,
    kept: String,
    /// How many lines of `kept` end.
    lines: usize,
    gaps: Vec<(usize, usize)>,
}

/// `None`: from here on, a line may mean something else than it seems to.
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

    /// The next line that is neither blank nor a comment; what stands in front of it is kept. `None` at the end.
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

    /// The entries of a map whose keys stand at this column.
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

    /// A key, and what stands behind and below it.
    fn entry(&mut self, line: &Line<'a>, entry: &Entry<'a>, paths: &'static Paths) -> Sure<()> {
        let key = entry.key?;
        // What it merges may hold any key.
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

    /// What stands below a key at this column: a map, a list, or nothing.
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

    /// The items of a list whose dashes stand at this column.
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
            // Whatever else the item is, all of it stays.
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

/// What a block belongs to.
#[derive(Clone, Copy)]
enum Under {
    /// A key at this column, without a value on its line. A list may stand at the same column.
    Key(usize),
    /// The rest of an item, whose dash stands at this column. `awaits`: the column of the key or dash on its first line
    /// that has no value there.
    Dash {
        column: usize,
        awaits: Option<usize>,
    },
}

/// Where the block ends that begins at an offset. `None` if a line of it may mean something else than it seems to, or if
/// a scalar goes on to the left of the column.
fn block(text: &str, start: usize, under: Under) -> Sure<usize> {
    let mut at = start;
    // The column of the key or dash whose value may stand on the next line.
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
            // A value on a line of its own; anything else would continue a scalar that is over.
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

/// Whether each line of a text is blank, or begins behind a column.
fn is_deeper(text: &str, column: usize) -> bool {
    let is_inside = |line: &str| {
        let content = line.trim_start_matches(' ');
        content.trim_ascii().is_empty() || line.len() - content.len() > column
    };
    text.lines().all(is_inside)
}

#[cfg(test)]
mod tests;
