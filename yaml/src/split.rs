//! Where one document ends and the next begins.

use serde_json::value::RawValue;

use super::margin::{Margin, Seek};
use super::{Document, METADATA};

/// The documents of a stream, in their order. What holds only blanks, comments or directives is
/// left out.
///
/// A line that begins with `---` or `...` separates: inside a document such a line can only be
/// indented. JSON values may also follow each other without a separator.
#[must_use]
pub fn documents(text: &str) -> Vec<Document<'_>> {
    split(text).0
}

/// As [`documents`], and how many lines end in the text.
#[must_use]
pub fn split(text: &str) -> (Vec<Document<'_>>, u32) {
    let mut found = Vec::new();
    let mark = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let body = text.get(mark..).unwrap_or_default();
    let mut part = Part {
        text: body,
        offset: mark,
        line: 1,
    };
    let (mut begin, mut margin) = (0, Edge::default());
    for at in Margin::new(body, 0, Seek::Lines) {
        let line = body.get(at..).unwrap_or_default();
        if is_marker(line) {
            part = part.cut(at - begin, margin, &mut found);
            (begin, margin) = (at, Edge::default());
        }
        margin.add(line);
    }
    let end = part.cut(body.len() - begin, margin, &mut found);
    (found, end.line - 1)
}

/// What the lines of a document say that stand at its margin.
#[derive(Debug, Clone, Copy, Default)]
struct Edge {
    is_odd: bool,
    metadata: usize,
}

impl Edge {
    fn add(&mut self, line: &str) {
        self.is_odd |= line
            .bytes()
            .next()
            .is_some_and(|first| !first.is_ascii_alphabetic() && !b"#-\n\r".contains(&first));
        self.metadata += usize::from(line.starts_with(METADATA));
    }
}

/// How many bytes of a stream, of which this is the beginning, are whole documents: those before the last `---`
/// that is seen to be a marker, and stands behind the first `from` bytes.
#[must_use]
pub fn whole(text: &[u8], from: usize) -> Option<usize> {
    let is_cut = |at: &usize| {
        text.get(at + MARKER.len())
            .is_some_and(|next| b" \t\r\n".contains(next))
    };
    let (from, mut end) = (from.saturating_sub(MARKER.len()), text.len());
    // Forwards, but the last ones first: that is ten times faster than backwards.
    while end > from {
        let begin = end.saturating_sub(STEP).max(from);
        let step = text.get(begin..text.len().min(end + MARKER.len() - 1))?;
        let cuts = memchr::memmem::find_iter(step, MARKER)
            .map(|at| begin + at)
            .filter(is_cut);
        if let Some(at) = cuts.last() {
            return Some(at + 1);
        }
        end = begin;
    }
    None
}

const MARKER: &[u8] = b"\n---";
/// How many bytes are searched at a time.
const STEP: usize = 8 << 10;

/// Whether a text begins with a marker.
fn is_marker(line: &str) -> bool {
    let rest = line
        .strip_prefix("---")
        .or_else(|| line.strip_prefix("..."));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// A part of the stream, and where in it.
#[derive(Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    offset: usize,
    line: u32,
}

impl<'a> Part<'a> {
    /// What follows this many bytes.
    fn behind(self, length: usize) -> Self {
        let (before, text) = self
            .text
            .split_at_checked(length)
            .unwrap_or((self.text, ""));
        Self {
            text,
            offset: self.offset + before.len(),
            line: self.line + newlines(before),
        }
    }

    /// Adds the documents of the first so many bytes; what follows is left.
    fn cut(self, length: usize, edge: Edge, found: &mut Vec<Document<'a>>) -> Self {
        let behind = self.behind(length);
        Self {
            text: self.text.get(..length).unwrap_or_default(),
            ..self
        }
        .add(edge, found);
        behind
    }

    fn add(self, edge: Edge, found: &mut Vec<Document<'a>>) {
        if self.text.lines().all(is_idle) {
            return;
        }
        let body = self.text.strip_prefix("---").unwrap_or(self.text);
        let trimmed = body.trim_start();
        if trimmed.starts_with('{') {
            self.behind(self.text.len() - trimmed.len())
                .values(self, found);
        } else {
            let lead = self.text.lines().take_while(|line| is_idle(line)).count();
            let content = self
                .line
                .saturating_add(u32::try_from(lead).unwrap_or(u32::MAX));
            let margin_is_plain = !edge.is_odd && edge.metadata == 1;
            found.push(Document {
                margin_is_plain,
                ..self.document(self.text, content, false)
            });
        }
    }

    /// JSON objects one after another. Where anything else stands among them, all of it is one document
    /// of YAML, its marker included: a document cannot begin in the middle of a line.
    fn values(self, whole: Self, found: &mut Vec<Document<'a>>) {
        let mut stream = serde_json::Deserializer::from_str(self.text).into_iter::<&RawValue>();
        let (mut rest, before) = (self, found.len());
        while let Some(value) = stream.next() {
            let Some(object) = value
                .ok()
                .map(RawValue::get)
                .filter(|text| text.starts_with('{'))
            else {
                found.truncate(before);
                found.push(whole.document(whole.text, self.line, false));
                return;
            };
            rest = rest.behind(rest.text.len() - rest.text.trim_start().len());
            found.push(rest.document(object, rest.line, true));
            rest = rest.behind(self.offset + stream.byte_offset() - rest.offset);
        }
    }

    fn document(self, text: &'a str, content: u32, is_json: bool) -> Document<'a> {
        let lines_are_sure = lines_are_sure(text);
        let Self { offset, line, .. } = self;
        Document {
            text,
            offset,
            line,
            content,
            is_json,
            lines_are_sure,
            margin_is_plain: false,
        }
    }
}

/// A line that says nothing: blank, a comment, a directive or a bare marker.
fn is_idle(line: &str) -> bool {
    let text = line
        .get(3..)
        .filter(|_| is_marker(line))
        .unwrap_or(line)
        .trim();
    text.is_empty() || text.starts_with('#') || line.starts_with('%')
}

/// Line ends of YAML 1.1, which Go's reader knows: next line, line separator, paragraph separator.
const NEXT_LINE: [&str; 3] = ["\u{85}", "\u{2028}", "\u{2029}"];

fn lines_are_sure(text: &str) -> bool {
    let is_whole = |at: usize| {
        let rest = text.as_bytes().get(at..).unwrap_or_default();
        match rest.first() {
            Some(b'\r') => rest.get(1) == Some(&b'\n'),
            _ => !NEXT_LINE.iter().any(|end| rest.starts_with(end.as_bytes())),
        }
    };
    memchr::memchr3_iter(b'\r', 0xc2, 0xe2, text.as_bytes()).all(is_whole)
}

/// How many lines end in a text.
#[must_use]
pub fn newlines(text: &str) -> u32 {
    u32::try_from(memchr::memchr_iter(b'\n', text.as_bytes()).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{STEP, documents, whole};

    fn split(text: &str) -> Vec<(u32, &str)> {
        documents(text)
            .into_iter()
            .map(|one| (one.line, one.text))
            .collect()
    }

    #[test]
    fn markers_separate_and_empty_documents_are_left_out() {
        let text = "# head\n---\na: 1\n---\n# only a comment\n--- # named\nb: 2\n... # end\n--- # nothing\n\n";
        assert_eq!(
            split(text),
            [(2, "---\na: 1\n"), (6, "--- # named\nb: 2\n")]
        );
    }

    #[test]
    fn a_marker_inside_a_block_scalar_is_indented_and_stays() {
        let text = "a: |\n  ---\n  b\n----\nc: --- \n";
        assert_eq!(split(text), [(1, text)]);
    }

    #[test]
    fn byte_order_marks_and_windows_line_ends_are_no_content() {
        assert_eq!(
            split("\u{feff}a: 1\r\n---\r\nb: 2\r\n"),
            [(1, "a: 1\r\n"), (2, "---\r\nb: 2\r\n")]
        );
    }

    #[test]
    fn directives_belong_to_no_document() {
        assert_eq!(split("%YAML 1.1\n---\na: 1\n"), [(2, "---\na: 1\n")]);
    }

    #[test]
    fn json_values_follow_each_other_with_and_without_markers() {
        let text = "{\"a\":\n1}\n{\"b\":2} {\"c\":3}\n---\n\n{\"d\":4}\n";
        let expected = [
            (1, "{\"a\":\n1}"),
            (3, "{\"b\":2}"),
            (3, "{\"c\":3}"),
            (6, "{\"d\":4}"),
        ];
        assert_eq!(split(text), expected);
        assert!(documents(text).iter().all(|document| document.is_json));
    }

    #[test]
    fn a_margin_is_plain_where_it_holds_one_metadata_and_nothing_odd() {
        let is_plain = |text: &str| {
            documents(text)
                .first()
                .map(|document| document.margin_is_plain)
        };
        assert_eq!(
            is_plain("---\n# c\na: b\nmetadata:\n  x: y\n\nc:\n- d\n"),
            Some(true)
        );
        for line in [
            "metadata: {}",
            "metadata2: x",
            "\"metadata\": {}",
            "'a': b",
            "<<: *a",
            "? metadata",
            "!a b: c",
            "é: f",
            "\ta",
        ] {
            assert_eq!(
                is_plain(&format!("a: b\nmetadata:\n  x: y\n{line}\n")),
                Some(false),
                "{line}"
            );
        }
        assert_eq!(is_plain("a: b\n"), Some(false));
    }

    #[test]
    fn a_stream_is_cut_before_its_last_marker() {
        let long = "a: b\n".repeat(STEP / 3);
        for (text, from, cut) in [
            ("a\n---\nb\n---\nc", 0, Some(8)),
            ("a\n---\nb\n----\nc\n ---\n", 0, Some(2)),
            ("a\n---\nb\n---", 0, Some(2)),
            ("a\n---\nb\n---", 9, None),
            ("---\na\n--- b", 0, Some(6)),
            ("---\na", 0, None),
            (&format!("a\n---\n{long}"), 0, Some(2)),
            (
                &format!("{long}---\n{}", &long[..STEP - 2]),
                0,
                Some(long.len()),
            ),
            (
                &format!("{long}---\n{}", &long[..STEP - 2]),
                long.len(),
                Some(long.len()),
            ),
            (
                &format!("{long}---\n{}", &long[..STEP - 2]),
                long.len() + 4,
                None,
            ),
        ] {
            assert_eq!(
                whole(text.as_bytes(), from),
                cut,
                "{} bytes from {from}",
                text.len()
            );
        }
    }

    #[test]
    fn each_document_knows_where_its_text_stands() {
        let text = "\u{feff}# é\n--- {\"a\":1} {\"b\": 2}\n---\nc: 3\n...\n{d: 4}\n";
        for document in documents(text) {
            assert!(
                text.get(document.offset..)
                    .is_some_and(|rest| rest.starts_with(document.text)),
                "{document:?}"
            );
        }
        assert_eq!(documents(text).len(), 4);
    }

    #[test]
    fn a_flow_mapping_that_is_no_json_is_yaml() {
        let found = documents("{a: 1}\n");
        assert_eq!(
            found.first().map(|one| (one.text, one.is_json)),
            Some(("{a: 1}\n", false))
        );
        assert_eq!(found.len(), 1);
        assert_eq!(split("--- {a: 1}: b\n"), [(1, "--- {a: 1}: b\n")]);
        assert_eq!(split("{\"a\": 1}\n  3: b\n"), [(1, "{\"a\": 1}\n  3: b\n")]);
    }
}
