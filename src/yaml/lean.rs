//! A document without what is never judged: schemas first of all, 95 of 100 bytes of a CRD.

use std::borrow::Cow;
use std::iter::Peekable;

/// Keys below which nothing is ever read, in whatever object they stand. Of a Secret and a ConfigMap
/// that is the content itself.
const UNREAD: [&str; 24] = [
    "additionalPrinterColumns",
    "affinity",
    "args",
    "binaryData",
    "command",
    "conditions",
    "data",
    "egress",
    "env",
    "ingress",
    "livenessProbe",
    "managedFields",
    "ports",
    "readinessProbe",
    "resources",
    "rules",
    "schema",
    "securityContext",
    "shortNames",
    "stringData",
    "subjects",
    "subresources",
    "volumeMounts",
    "volumes",
];

/// The key of a HelmRelease below which any path may be read.
const VALUES: &str = "values";

/// Drops the blocks that stand under keys which are never read.
///
/// Whoever reads the result sees what he would see in `text`, but for what is below those keys.
/// Wherever a line could mean something else than it seems to (a scalar or a flow collection that
/// goes on in the next line, an anchor, a tag, a tab), `text` is returned as it is.
#[must_use]
pub fn lean(text: &str) -> Cow<'_, str> {
    prune(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The text without what is not read; none where anything is in doubt.
fn prune(text: &str) -> Option<String> {
    let mut kept = String::new();
    let mut lines = Lines { rest: text };
    while let Some(line) = lines.next() {
        kept.push_str(line.whole);
        match line.opens()? {
            Opening::Nothing => {}
            Opening::Scalar(column) => kept.push_str(lines.scalar(column)),
            Opening::Unread(column) => lines.block(column).map(drop)?,
            Opening::Values(column) => kept.push_str(lines.block(column)?),
        }
    }
    Some(kept)
}

/// One line: where its content begins, and what that is.
struct Line<'a> {
    /// With its line end.
    whole: &'a str,
    /// Spaces before the content.
    indent: usize,
    /// Without the spaces before and the blanks after.
    content: &'a str,
}

/// What a line begins that the next ones belong to; the column is that of its key.
enum Opening {
    Nothing,
    /// The text of a block scalar.
    Scalar(usize),
    /// A block that nobody reads.
    Unread(usize),
    /// A block of which anything may be read.
    Values(usize),
}

/// What a line inside a block leaves open.
enum Rest {
    Nothing,
    /// A scalar in these quotes.
    Quote(u8),
    /// The text of a block scalar.
    Scalar(usize),
}

impl<'a> Line<'a> {
    fn new(whole: &'a str) -> Self {
        let indent = whole.bytes().take_while(|byte| *byte == b' ').count();
        Self { whole, indent, content: whole.get(indent..).unwrap_or_default().trim_ascii_end() }
    }

    /// Blank, or nothing but a comment.
    fn is_idle(&self) -> bool {
        self.content.is_empty() || self.content.starts_with('#')
    }

    /// None where the line may go on in the next one, or is not what it seems to be.
    fn opens(&self) -> Option<Opening> {
        if self.is_idle() || self.whole.starts_with("---") {
            return Some(Opening::Nothing);
        }
        let (column, content) = entry(self.indent, self.content);
        let value = value(content);
        match value.bytes().next() {
            None => Some(block(column, content)),
            Some(b'|' | b'>') => Some(Opening::Scalar(column)),
            Some(b'&' | b'*' | b'!' | b'?' | b'%' | b'@' | b'`' | b'\t') => None,
            Some(b'"' | b'\'' | b'{' | b'[') => is_closed(value).then_some(Opening::Nothing),
            Some(_) => Some(Opening::Nothing),
        }
    }

    /// As [`Line::opens`], where only the end of a block is looked for. None for a flow collection
    /// that stays open: its next lines may have any indentation.
    fn rest(&self) -> Option<Rest> {
        let (column, content) = entry(self.indent, self.content);
        let value = value(content);
        match value.bytes().next() {
            Some(b'|' | b'>') => Some(Rest::Scalar(column)),
            Some(b'{' | b'[') => is_closed(value).then_some(Rest::Nothing),
            Some(quote @ (b'"' | b'\'')) if !closes(quote, &mut value.bytes().skip(1).peekable()) => {
                Some(Rest::Quote(quote))
            }
            _ => Some(Rest::Nothing),
        }
    }
}

/// The entry behind any `- `, and the column at which it begins.
fn entry(mut column: usize, mut content: &str) -> (usize, &str) {
    while let Some(rest) = content.strip_prefix("- ") {
        let body = rest.trim_start_matches(' ');
        column += content.len() - body.len();
        content = body;
    }
    (column, content)
}

/// What begins under a key without a value on its line.
fn block(column: usize, content: &str) -> Opening {
    match content.strip_suffix(':') {
        Some(VALUES) => Opening::Values(column),
        Some(key) if UNREAD.contains(&key) => Opening::Unread(column),
        _ => Opening::Nothing,
    }
}

/// What stands behind `key: `; the whole where there is no such key, nothing behind a bare `key:`.
fn value(content: &str) -> &str {
    let opens = content.bytes().next();
    if matches!(
        opens,
        None | Some(b'"' | b'\'' | b'{' | b'[' | b'&' | b'*' | b'!' | b'?' | b'|' | b'>' | b'%' | b'@' | b'`' | b'\t')
    ) {
        return content;
    }
    for colon in memchr::memchr_iter(b':', content.as_bytes()) {
        match content.as_bytes().get(colon + 1) {
            None => return "",
            Some(b' ') => {
                return content.get(colon + 2..).unwrap_or_default().trim_start_matches(' ');
            }
            Some(_) => {}
        }
    }
    content
}

/// Whether every quote and bracket of a value closes on its own line.
fn is_closed(value: &str) -> bool {
    let mut depth = 0_usize;
    let mut bytes = value.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' | b'\'' if !closes(byte, &mut bytes) => return false,
            b'#' if depth == 0 => return true,
            _ => {}
        }
        if depth == 0 && matches!(byte, b'"' | b'\'' | b'}' | b']') {
            let rest: Vec<u8> = bytes.collect();
            let rest = rest.trim_ascii();
            return rest.is_empty() || rest.starts_with(b"#");
        }
    }
    depth == 0
}

/// Reads to the quote that closes; false where the line ends before.
fn closes(quote: u8, bytes: &mut Peekable<impl Iterator<Item = u8>>) -> bool {
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && quote == b'"' {
            bytes.next();
        } else if byte == quote {
            if quote == b'\'' && bytes.peek() == Some(&b'\'') {
                bytes.next();
            } else {
                return true;
            }
        }
    }
    false
}

struct Lines<'a> {
    rest: &'a str,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<Line<'a>> {
        let (whole, rest) = cut(self.rest)?;
        self.rest = rest;
        Some(Line::new(whole))
    }

    /// The lines of a block scalar: text, whatever they look like.
    fn scalar(&mut self, column: usize) -> &'a str {
        let start = self.rest;
        while let Some((whole, rest)) = cut(self.rest) {
            let line = Line::new(whole);
            if !line.content.is_empty() && line.indent <= column {
                break;
            }
            self.rest = rest;
        }
        taken(start, self.rest)
    }

    /// The lines of a block under a key at this column; the items of a sequence may stand at the
    /// column itself. None where something in it may go on beyond the indentation: its next lines
    /// would pass for keys.
    fn block(&mut self, column: usize) -> Option<&'a str> {
        let start = self.rest;
        let mut open = None;
        while let Some((whole, rest)) = cut(self.rest) {
            let line = Line::new(whole);
            let inside = line.indent > column || line.indent == column && is_item(line.content);
            if !inside && !line.is_idle() {
                break;
            }
            self.rest = rest;
            match open {
                Some(quote) if closes(quote, &mut line.content.bytes().peekable()) => open = None,
                Some(_) => {}
                None => match line.rest()? {
                    Rest::Quote(quote) => open = Some(quote),
                    Rest::Scalar(column) => {
                        self.scalar(column);
                    }
                    Rest::Nothing => {}
                },
            }
        }
        open.is_none().then_some(taken(start, self.rest))
    }
}

fn is_item(content: &str) -> bool {
    content == "-" || content.starts_with("- ")
}

/// What was taken off the front of `start`, so that `rest` is left.
fn taken<'a>(start: &'a str, rest: &str) -> &'a str {
    start.get(..start.len() - rest.len()).unwrap_or_default()
}

/// The first line with its end, and the rest.
fn cut(text: &str) -> Option<(&str, &str)> {
    if text.is_empty() {
        return None;
    }
    let end = memchr::memchr(b'\n', text.as_bytes()).map_or(text.len(), |at| at + 1);
    text.split_at_checked(end)
}
