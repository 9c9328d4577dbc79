//! Splits a stream into documents, like Kubernetes' reader of streams.
//!
//! Source: `NewYAMLOrJSONDecoder` of k8s.io/apimachinery/pkg/util/yaml, used by kubectl and Helm.

use serde_json::value::RawValue;

use super::Document;

/// The documents of a stream, in order, without those of only blanks, comments or directives.
/// The iterator looks for a document when it is asked for the next.
///
/// A line that begins with `---` separates documents: inside a document, it is always indented.
/// Text behind a line `...` belongs to the document before and is never read. A stream that begins
/// with JSON may have more JSON objects without separators.
#[must_use]
pub fn documents(text: &str) -> Documents<'_> {
    let rest = Part {
        text,
        offset: 0,
        line: 1,
    };
    Documents {
        rest,
        is_json: true,
        has_nothing: true,
    }
}

/// The documents that are left of a stream: see [`documents`].
#[derive(Debug, Clone)]
pub struct Documents<'a> {
    rest: Part<'a>,
    /// True while the stream is read as JSON.
    is_json: bool,
    /// True at the start of a document: Go's reader keeps a marker there; a later marker ends the
    /// document.
    has_nothing: bool,
}

impl<'a> Iterator for Documents<'a> {
    type Item = Document<'a>;

    fn next(&mut self) -> Option<Document<'a>> {
        if self.is_json {
            if let Some((document, rest)) = self.rest.object() {
                self.rest = rest;
                return Some(document);
            }
            self.is_json = false;
            if self.rest.offset > 0 {
                self.rest = self.rest.behind_blanks();
            }
        }
        while !self.rest.text.is_empty() {
            let end = next_marker(self.rest.text).unwrap_or(self.rest.text.len());
            let (part, rest) = self.rest.cut(end);
            self.rest = rest;
            let body = if self.has_nothing {
                0
            } else {
                part.marker_line()
            };
            self.has_nothing = body == part.text.len();
            if let Some(document) = part.document_behind(body) {
                return Some(document);
            }
        }
        None
    }
}

/// The offset of the next marker line behind the first line.
fn next_marker(text: &str) -> Option<usize> {
    let mut lines = memchr::memmem::find_iter(text.as_bytes(), b"\n---").map(|end| end + 1);
    lines.find(|at| text.get(*at..).is_some_and(is_marker))
}

/// True if a text begins with a marker.
fn is_marker(text: &str) -> bool {
    let rest = text.strip_prefix("---");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// The number of line ends in a text.
pub(crate) fn newlines(text: &str) -> u32 {
    u32::try_from(memchr::memchr_iter(b'\n', text.as_bytes()).count()).unwrap_or(u32::MAX)
}

/// A part of the stream with its position.
#[derive(Debug, Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    offset: usize,
    line: u32,
}

impl<'a> Part<'a> {
    /// Splits after `length` bytes.
    fn cut(self, length: usize) -> (Self, Self) {
        let (text, rest) = self
            .text
            .split_at_checked(length)
            .unwrap_or((self.text, ""));
        let behind = Self {
            text: rest,
            offset: self.offset + text.len(),
            line: self.line.saturating_add(newlines(text)),
        };
        (Self { text, ..self }, behind)
    }

    /// The length of the marker's line. 0 if the line has other content.
    fn marker_line(self) -> usize {
        let line = self.text.split_inclusive('\n').next().unwrap_or_default();
        if is_marker(line) && is_idle(line) {
            line.len()
        } else {
            0
        }
    }

    /// The part's document, if it holds any. Go's reader begins behind `body`.
    fn document_behind(self, body: usize) -> Option<Document<'a>> {
        // At the start of a stream the mark belongs to no document.
        let is_marked = self.offset == 0 && self.text.starts_with(MARK);
        let part = if is_marked {
            self.cut(MARK.len_utf8()).1
        } else {
            self
        };
        if part.text.lines().all(is_idle) {
            return None;
        }
        let content = part
            .text
            .strip_prefix("---")
            .unwrap_or(part.text)
            .trim_start();
        if content.starts_with('{') && !content.contains(ENDS) {
            let json = part.cut(part.text.len() - content.len()).1;
            if let Some((document, rest)) = json.object()
                && rest.text.trim().is_empty()
            {
                return Some(document);
            }
        }
        let has_mark = !is_marked
            && part
                .text
                .get(body..)
                .is_some_and(|text| text.starts_with(MARK));
        let body = body + if has_mark { MARK.len_utf8() } else { 0 };
        Some(part.document(false, body))
    }

    /// The JSON object at the start, and the rest.
    fn object(self) -> Option<(Document<'a>, Self)> {
        let blanks = self.text.len() - self.text.trim_start().len();
        let (_, begin) = self.cut(blanks);
        if !begin.text.starts_with('{') {
            return None;
        }
        let mut values = serde_json::Deserializer::from_str(begin.text).into_iter::<&RawValue>();
        let Some(Ok(_)) = values.next() else {
            return None;
        };
        let (object, rest) = begin.cut(values.byte_offset());
        Some((object.document(true, 0), rest))
    }

    /// The part behind its leading blanks, up to the end of a line.
    fn behind_blanks(self) -> Self {
        let blanks = self.text.len() - self.text.trim_start().len();
        let line = self.text.find('\n').map_or(blanks, |end| end + 1);
        self.cut(blanks.min(line)).1
    }

    fn document(self, is_json: bool, body: usize) -> Document<'a> {
        let lead = self.text.lines().take_while(|line| is_idle(line)).count();
        let content = self
            .line
            .saturating_add(u32::try_from(lead).unwrap_or(u32::MAX));
        let Self { text, offset, line } = self;
        Document {
            text,
            offset,
            line,
            content,
            is_json,
            body,
        }
    }
}

/// A byte order mark.
const MARK: char = '\u{feff}';

/// Characters at which Go's YAML reader breaks a line, but a JSON reader does not.
const ENDS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// True for a line without content: blank, a comment, a directive or a bare marker.
fn is_idle(line: &str) -> bool {
    let text = line
        .get(3..)
        .filter(|_| is_marker(line))
        .unwrap_or(line)
        .trim();
    text.is_empty() || text.starts_with('#') || line.starts_with('%')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::documents;
    use crate::Paths;

    fn split(text: &str) -> Vec<(u32, &str)> {
        documents(text).map(|one| (one.line, one.text)).collect()
    }

    #[test]
    fn markers_separate_and_empty_documents_are_left_out() {
        let text = "# head\n---\na: 1\n---\n# only a comment\n--- # named\nb: 2\n... # end\n--- # nothing\n\n";
        assert_eq!(
            split(text),
            [(2, "---\na: 1\n"), (6, "--- # named\nb: 2\n... # end\n")]
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
    fn what_follows_the_end_of_a_document_belongs_to_nothing() {
        let text = "kind: A\n...\nkind: B\n---\nkind: C\n";
        assert_eq!(
            split(text),
            [(1, "kind: A\n...\nkind: B\n"), (4, "---\nkind: C\n")]
        );
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_where_go_begins_to_read() {
        let read = |text: &str| {
            documents(text)
                .map(|one| one.read_paths(&Paths::Whole).ok())
                .collect::<Vec<_>>()
        };
        let (a, b) = (Some(json!({"a": 1})), Some(json!({"b": 2})));
        assert_eq!(read("\u{feff}a: 1\n---\n\u{feff}b: 2\n"), [a, b.clone()]);
        // These parts begin with the marker, so the mark is in front of a key.
        assert_eq!(read("---\n\u{feff}b: 2\n"), [None]);
        assert_eq!(read("a: 1\n---\n---\n\u{feff}b: 2\n").last(), Some(&None));
        assert_eq!(read("a: 1\n---\nb: 2\n").last(), Some(&b));
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
        assert!(documents(text).all(|document| document.is_json));
    }

    /// Elsewhere a YAML reader reads, which ends with the first object.
    #[test]
    fn only_a_stream_that_begins_with_json_holds_several_objects_in_a_row() {
        for text in [
            "---\n{\"a\":1}\n{\"b\":2}\n",
            "a: 1\n---\n{\"a\":1} {\"b\":2}\n",
        ] {
            assert!(documents(text).all(|document| !document.is_json), "{text}");
        }
    }

    #[test]
    fn each_document_knows_where_its_text_stands() {
        let text = "\u{feff}# é\n--- {\"a\":1}\n---\nc: 3\n---\n{\"d\": 4}\n---\n{d: 4}\n";
        for document in documents(text) {
            assert!(
                text.get(document.offset..)
                    .is_some_and(|rest| rest.starts_with(document.text)),
                "{document:?}"
            );
        }
        assert_eq!(documents(text).count(), 4);
    }

    #[test]
    fn a_flow_mapping_that_is_no_json_is_yaml() {
        let found: Vec<_> = documents("{a: 1}\n")
            .map(|one| (one.text, one.is_json))
            .collect();
        assert_eq!(found, [("{a: 1}\n", false)]);
        assert_eq!(split("--- {a: 1}: b\n"), [(1, "--- {a: 1}: b\n")]);
        assert_eq!(
            split("{\"a\": 1}\n  3: b\n"),
            [(1, "{\"a\": 1}"), (2, "  3: b\n")]
        );
    }
}
