//! Where one document ends and the next begins.

use serde_json::value::RawValue;

use super::Document;

/// The documents of a stream, in their order. What holds only blanks, comments or directives is
/// left out.
///
/// A line that begins with `---` or `...` separates: inside a document such a line can only be
/// indented. JSON values may also follow each other without a separator.
#[must_use]
pub fn documents(text: &str) -> Vec<Document<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Vec::new();
    let (mut start, mut line) = (0, 1);
    for next in markers(text).chain([text.len()]) {
        let part = text.get(start..next).unwrap_or_default();
        add(&mut found, part, line);
        line += newlines(part);
        start = next;
    }
    found
}

/// Where the lines begin that are markers.
fn markers(text: &str) -> impl Iterator<Item = usize> {
    let first = is_marker(text).then_some(0);
    let candidates = memchr::memchr2_iter(b'-', b'.', text.as_bytes());
    let line = |at: &usize| *at > 0 && text.as_bytes().get(at - 1) == Some(&b'\n');
    first.into_iter().chain(candidates.filter(line).filter(|at| text.get(*at..).is_some_and(is_marker)))
}

/// Whether a text begins with a marker.
fn is_marker(line: &str) -> bool {
    let rest = line.strip_prefix("---").or_else(|| line.strip_prefix("..."));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn add<'a>(found: &mut Vec<Document<'a>>, text: &'a str, line: u32) {
    if text.lines().all(is_idle) {
        return;
    }
    let body = text.strip_prefix("---").unwrap_or(text);
    let trimmed = body.trim_start();
    if trimmed.starts_with('{') {
        let skipped = text.len() - trimmed.len();
        values(found, trimmed, line + newlines(text.get(..skipped).unwrap_or_default()));
    } else {
        let lead = text.lines().take_while(|line| is_idle(line)).count();
        let content = line.saturating_add(u32::try_from(lead).unwrap_or(u32::MAX));
        found.push(Document { text, line, content, is_json: false });
    }
}

/// A line that says nothing: blank, a comment, a directive or a bare marker.
fn is_idle(line: &str) -> bool {
    let text = line.trim();
    text.is_empty() || text.starts_with('#') || line.starts_with('%') || is_marker(line) && text.len() == 3
}

/// JSON values one after another; what is not JSON after all is one document of YAML.
fn values<'a>(found: &mut Vec<Document<'a>>, text: &'a str, mut line: u32) {
    let (mut rest, mut stream) = (text, serde_json::Deserializer::from_str(text).into_iter::<&RawValue>());
    while let Some(value) = stream.next() {
        let Ok(value) = value else {
            found.push(Document { text: rest, line, content: line, is_json: false });
            return;
        };
        let blank = rest.len() - rest.trim_start().len();
        line += newlines(rest.get(..blank).unwrap_or_default());
        found.push(Document { text: value.get(), line, content: line, is_json: true });
        line += newlines(value.get());
        rest = text.get(stream.byte_offset()..).unwrap_or_default();
    }
}

fn newlines(text: &str) -> u32 {
    u32::try_from(memchr::memchr_iter(b'\n', text.as_bytes()).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::documents;

    fn split(text: &str) -> Vec<(u32, &str)> {
        documents(text).into_iter().map(|one| (one.line, one.text)).collect()
    }

    #[test]
    fn markers_separate_and_empty_documents_are_left_out() {
        let text = "# head\n---\na: 1\n---\n# only a comment\n--- # named\nb: 2\n...\n---\n\n";
        assert_eq!(split(text), [(2, "---\na: 1\n"), (6, "--- # named\nb: 2\n")]);
    }

    #[test]
    fn a_marker_inside_a_block_scalar_is_indented_and_stays() {
        let text = "a: |\n  ---\n  b\n----\nc: --- \n";
        assert_eq!(split(text), [(1, text)]);
    }

    #[test]
    fn byte_order_marks_and_windows_line_ends_are_no_content() {
        assert_eq!(split("\u{feff}a: 1\r\n---\r\nb: 2\r\n"), [(1, "a: 1\r\n"), (2, "---\r\nb: 2\r\n")]);
    }

    #[test]
    fn directives_belong_to_no_document() {
        assert_eq!(split("%YAML 1.1\n---\na: 1\n"), [(2, "---\na: 1\n")]);
    }

    #[test]
    fn json_values_follow_each_other_with_and_without_markers() {
        let text = "{\"a\":\n1}\n{\"b\":2} {\"c\":3}\n---\n\n{\"d\":4}\n";
        let expected = [(1, "{\"a\":\n1}"), (3, "{\"b\":2}"), (3, "{\"c\":3}"), (6, "{\"d\":4}")];
        assert_eq!(split(text), expected);
        assert!(documents(text).iter().all(|document| document.is_json));
    }

    #[test]
    fn a_flow_mapping_that_is_no_json_is_yaml() {
        let found = documents("{a: 1}\n");
        assert_eq!(found.first().map(|one| (one.text, one.is_json)), Some(("{a: 1}\n", false)));
        assert_eq!(found.len(), 1);
    }
}
