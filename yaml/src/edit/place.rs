//! Positions at which entries are written or removed.

use std::ops::Range;

use granit_parser::ScalarStyle;
use serde_json::{Map, Value};

use super::patch::{Patcher, Place};
use super::tree::{Body, Entry, Id, Style, line_break, line_end, line_start, token};
use super::{Doubt, Splice, write};

impl Patcher<'_, '_> {
    pub(super) fn splice(&mut self, range: Range<usize>, text: String) {
        self.splices.push(Splice { range, text });
    }

    /// The column at which the entries of a map begin.
    pub(super) fn column(&self, map: Id) -> usize {
        let start = self.tree.node(map).start;
        start - line_start(self.tree.text, start)
    }

    /// Overwrites a node, including its anchor and tag.
    pub(super) fn replace(&mut self, id: Id, value: &Value, place: Place) {
        let node = self.tree.node(id);
        if let (Body::Map(Style::Block, _) | Body::Seq(Style::Block, _), Some(open)) =
            (&node.body, place.open)
        {
            // A scalar may not stand at the column of a sequence's items.
            self.splice(open..node.end, format!(" {}", write::inline(value)));
            return self.gone.push(id);
        }
        let range = self.tree.start(id)..node.end;
        let text = if place.style == Style::Flow {
            write::flow(value)
        } else {
            write::inline(value)
        };
        let text = match &node.body {
            Body::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded) => {
                text + last_break(self.tree.slice(range.clone()))
            }
            _ if !range.is_empty() => text,
            // A bare key has no value, and possibly no colon.
            _ if place.open.is_some() || place.style == Style::Block => format!(" {text}"),
            _ => format!(": {text}"),
        };
        self.splice(range, text);
        self.gone.push(id);
    }

    /// Writes lines behind the line of an offset.
    pub(super) fn line_behind(&mut self, at: usize, lines: &[String]) {
        let text = self.tree.text;
        // The text of a block scalar ends at the start of the next line.
        let at = text
            .get(..at)
            .map_or(at, |before| before.trim_end_matches(['\n', '\r']).len());
        let end = line_end(text, at);
        let (found, usual) = (line_break(text, end), self.usual_break());
        if found.is_empty() {
            self.splice(end..end, usual.to_owned() + &lines.join(usual));
        } else {
            let at = end + found.len();
            self.splice(at..at, lines.join(found) + found);
        }
    }

    /// The line end of the document's first line.
    fn usual_break(&self) -> &'static str {
        match line_break(self.tree.text, line_end(self.tree.text, 0)) {
            "\r\n" => "\r\n",
            "\r" => "\r",
            _ => "\n",
        }
    }

    /// The end of a map's opening: colon or dash, anchor, tag. `None` if the first entry is on the
    /// same line.
    fn opening(&self, map: Id, place: Place) -> Option<usize> {
        let node = self.tree.node(map);
        let open = node
            .anchor
            .iter()
            .chain(&node.tag)
            .map(|range| range.end)
            .chain(place.open)
            .max()?;
        (open < line_start(self.tree.text, node.start)).then_some(open)
    }

    /// Writes new entries before the others.
    pub(super) fn insert(
        &mut self,
        id: Id,
        new: &Map<String, Value>,
        removed: &[usize],
        place: Place,
    ) -> Result<(), Doubt> {
        if new.is_empty() {
            return Ok(());
        }
        let Body::Map(style, entries) = &self.tree.node(id).body else {
            return Ok(());
        };
        match style {
            Style::Flow => self.insert_flow(id, new, entries.len() > removed.len()),
            Style::Block => self.insert_block(id, new, place)?,
        }
        Ok(())
    }

    fn insert_block(
        &mut self,
        id: Id,
        new: &Map<String, Value>,
        place: Place,
    ) -> Result<(), Doubt> {
        let (start, column) = (self.tree.node(id).start, self.column(id));
        if self
            .tree
            .slice(start - column..start)
            .contains(['\t', '\u{feff}'])
        {
            return Err(Doubt::new(
                start,
                "a tab or a byte order mark precedes the entry; indent it with spaces",
            ));
        }
        let lines = write::block(new, column);
        if let Some(open) = self.opening(id, place) {
            self.line_behind(open, &lines);
        } else {
            let end = self.usual_break();
            let lines = lines.join(end);
            // The first new entry takes the place of the old first entry.
            let text = format!(
                "{}{end}{}",
                lines.trim_start_matches(' '),
                " ".repeat(column)
            );
            self.splice(start..start, text);
        }
        Ok(())
    }

    /// Repeats the blanks between the brace and the first entry.
    fn insert_flow(&mut self, id: Id, new: &Map<String, Value>, others: bool) {
        let brace = self.tree.node(id).start + 1;
        let first = self
            .tree
            .entries(id)
            .first()
            .map_or(brace, |first| self.entry_start(*first));
        let blank = self.tree.slice(brace..first);
        let gap = if blank.is_empty() || !blank.trim().is_empty() {
            " "
        } else {
            blank
        };
        let entries: Vec<_> = new
            .iter()
            .map(|(key, value)| format!("{}: {}", write::quoted(key), write::flow(value)))
            .collect();
        let text = entries.join(&format!(",{gap}"));
        self.splice(
            first..first,
            if others {
                format!("{text},{gap}")
            } else {
                text
            },
        );
    }

    /// Writes an item behind the others of a sequence.
    pub(super) fn append(&mut self, id: Id, value: &Value) {
        let Body::Seq(style, items) = &self.tree.node(id).body else {
            return;
        };
        let end = items.last().map_or(self.tree.node(id).start + 1, |last| {
            self.tree.node(*last).end
        });
        match style {
            Style::Flow if items.is_empty() => self.splice(end..end, write::flow(value)),
            Style::Flow => self.splice(end..end, format!(", {}", write::flow(value))),
            Style::Block => self.line_behind(end, &write::item(value, self.column(id))),
        }
    }

    /// Removes entries; an emptied map becomes `{}`.
    pub(super) fn remove(&mut self, id: Id, removed: &[usize], alone: bool, place: Place) {
        let Body::Map(style, entries) = &self.tree.node(id).body else {
            return;
        };
        let is_emptied = alone && !removed.is_empty() && removed.len() == entries.len();
        let opening = self.opening(id, place);
        for (index, entry) in entries
            .iter()
            .enumerate()
            .filter(|(index, _)| removed.contains(index))
        {
            let range = self.entry_start(*entry)..self.entry_end(*entry);
            match style {
                Style::Flow => self.remove_flow(range, index, entries, removed),
                Style::Block if is_emptied && opening.is_none() && index == 0 => {
                    self.splice(range, "{}".to_owned());
                }
                Style::Block => self.remove_block(range),
            }
            self.gone.extend([entry.key, entry.value]);
        }
        if let (Style::Block, true, Some(open)) = (style, is_emptied, opening) {
            self.splice(open..open, " {}".to_owned());
        }
    }

    /// Removes the whole line with its comment, if the entry is alone on the line.
    fn remove_block(&mut self, range: Range<usize>) {
        let text = self.tree.text;
        let start = line_start(text, range.start);
        let is_own = self.tree.slice(start..range.start).trim().is_empty();
        let broken = last_break(self.tree.slice(range.clone())).len();
        let whole = if broken > 0 {
            range.end
        } else {
            line_end(text, range.end) + line_break(text, line_end(text, range.end)).len()
        };
        self.splice(
            if is_own {
                start..whole
            } else {
                range.start..range.end - broken
            },
            String::new(),
        );
    }

    /// Removes an entry with one comma: the comma behind at the front of the map, else the comma
    /// before. Blanks are removed, comments stay.
    fn remove_flow(
        &mut self,
        range: Range<usize>,
        index: usize,
        entries: &[Entry],
        removed: &[usize],
    ) {
        let is_leading = (0..index).all(|before| removed.contains(&before));
        let before = index.checked_sub(1).and_then(|before| entries.get(before));
        let from = before
            .filter(|_| !is_leading)
            .map_or(range.end, |before| self.entry_end(*before));
        let comma = token(self.tree.text, from);
        let is_comma = self.tree.slice(comma..comma + 1) == ",";
        let behind = token(self.tree.text, comma + 1);
        let is_blank = |range: Range<usize>| self.tree.slice(range).trim().is_empty();
        if is_comma && is_leading && is_blank(range.end..comma) && is_blank(comma + 1..behind) {
            return self.splice(range.start..behind, String::new());
        }
        if is_comma && !is_leading && is_blank(comma + 1..range.start) {
            return self.splice(comma..range.end, String::new());
        }
        if is_comma {
            self.splice(comma..comma + 1, String::new());
        }
        self.splice(range, String::new());
    }

    /// The start of an entry, including the question mark of an explicit key.
    fn entry_start(&self, entry: Entry) -> usize {
        let start = self.tree.start(entry.key);
        let before = self
            .tree
            .slice(line_start(self.tree.text, start)..start)
            .trim_end();
        match before.strip_suffix('?') {
            Some(rest) if rest.is_empty() || rest.ends_with([' ', '\t', '{', ',']) => {
                start - (start - line_start(self.tree.text, start)) + rest.len()
            }
            _ => start,
        }
    }

    fn entry_end(&self, entry: Entry) -> usize {
        let ends = [
            self.tree.node(entry.key).end,
            self.tree.node(entry.value).end,
        ];
        ends.into_iter().chain(entry.open).fold(0, usize::max)
    }
}

/// The line end at the end of a text; empty without one.
fn last_break(text: &str) -> &str {
    ["\r\n", "\n", "\r"]
        .into_iter()
        .find(|end| text.ends_with(end))
        .unwrap_or_default()
}
