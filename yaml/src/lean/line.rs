//! One line, and what it leaves open for the next ones.

use crate::scan::{is_item, spaces};

/// Whether nothing is ever read below a key, in whatever object it stands. Of a Secret and a ConfigMap
/// that is the content itself.
#[must_use]
pub fn is_unread(key: &str) -> bool {
    matches!(
        key,
        "additionalPrinterColumns"
            | "affinity"
            | "args"
            | "binaryData"
            | "command"
            | "conditions"
            | "data"
            | "egress"
            | "env"
            | "ingress"
            | "livenessProbe"
            | "managedFields"
            | "ports"
            | "readinessProbe"
            | "resources"
            | "rules"
            | "schema"
            | "securityContext"
            | "shortNames"
            | "stringData"
            | "subresources"
            | "volumeMounts"
            | "volumes"
    )
}

/// The key of a HelmRelease below which any path may be read.
const VALUES: &str = "values";

/// One line: where its content begins, and what that is.
pub(super) struct Line<'a> {
    /// With its line end.
    pub(super) whole: &'a str,
    /// Spaces before the content.
    pub(super) indent: usize,
    /// Without the spaces before and the blanks after.
    pub(super) content: &'a str,
}

/// What a line begins that the next ones belong to; the column is that of its key.
pub(super) enum Opening {
    Nothing,
    /// The text of a block scalar.
    Scalar(usize),
    /// A block that nobody reads.
    Unread(usize),
    /// Nothing, but from this byte on nobody reads the line itself.
    Inline(usize),
    /// A block of which anything may be read.
    Values(usize),
}

/// What a line inside a block leaves open.
pub(super) enum Rest {
    Nothing,
    /// A scalar in these quotes.
    Quote(u8),
    /// The text of a block scalar.
    Scalar(usize),
}

impl<'a> Line<'a> {
    /// That a text begins with; none at its end.
    pub(super) fn first(text: &'a str) -> Option<Self> {
        let end = memchr::memchr(b'\n', text.as_bytes()).map_or(text.len(), |at| at + 1);
        (!text.is_empty()).then(|| Self::new(text.get(..end).unwrap_or_default()))
    }

    fn new(whole: &'a str) -> Self {
        let (indent, content) = spaces(whole);
        Self {
            whole,
            indent,
            content: content.trim_ascii_end(),
        }
    }

    /// Blank, or nothing but a comment.
    fn is_idle(&self) -> bool {
        self.content.is_empty() || self.content.starts_with('#')
    }

    /// Whether it belongs to the block under a key at this column.
    pub(super) fn is_inside(&self, column: usize) -> bool {
        self.indent > column || self.indent == column && is_item(self.content) || self.is_idle()
    }

    /// None where the line may go on in the next one, or is not what it seems to be.
    pub(super) fn opens(&self) -> Option<Opening> {
        if self.is_idle() {
            return Some(Opening::Nothing);
        }
        if let Some(behind) = self
            .content
            .strip_prefix("---")
            .filter(|_| self.indent == 0)
        {
            let says_nothing = behind.is_empty()
                || behind.starts_with(' ') && behind.trim_start().starts_with('#');
            return says_nothing.then_some(Opening::Nothing);
        }
        let (column, content) = entry(self.indent, self.content);
        let value = behind_key(content)?;
        match value.bytes().next() {
            None | Some(b'#') => below(column, content, value),
            Some(b'|' | b'>') => self.parent(column, content, value).map(Opening::Scalar),
            Some(b'&' | b'*' | b'!' | b'?' | b'%' | b'@' | b'`' | b'\t') => None,
            Some(b'{' | b'[') if key(content, value).is_some_and(is_unread) => is_closed(value)
                .then_some(Opening::Inline(
                    self.indent + self.content.len() - value.len(),
                )),
            Some(b'"' | b'\'' | b'{' | b'[') => is_closed(value).then_some(Opening::Nothing),
            Some(_) => Some(Opening::Nothing),
        }
    }

    /// As [`Line::opens`], where only the end of a block is looked for. None for a flow collection that
    /// stays open, as its next lines may have any indentation, and for what is not what it seems to be.
    pub(super) fn rest(&self) -> Option<Rest> {
        if self.is_idle() {
            return Some(Rest::Nothing);
        }
        let (column, content) = entry(self.indent, self.content);
        let value = behind_key(content)?;
        if content.starts_with(['*', ':', '?']) || is_item(value) {
            return None;
        }
        match value.bytes().next() {
            Some(b'|' | b'>') => self.parent(column, content, value).map(Rest::Scalar),
            Some(b'{' | b'[') => is_closed(value).then_some(Rest::Nothing),
            Some(b'&' | b'*' | b'!' | b'?' | b'\t') => None,
            // Behind a dash alone it may as well stand in plain text that goes on.
            Some(quote @ (b'"' | b'\''))
                if closing(quote, value.as_bytes().get(1..)?).is_none() =>
            {
                (value.len() < content.len()).then_some(Rest::Quote(quote))
            }
            _ => Some(Rest::Nothing),
        }
    }

    /// The column of the key or the dash that a value stands behind. None where there is neither: it may
    /// as well be plain text that goes on.
    fn parent(&self, column: usize, content: &str, value: &str) -> Option<usize> {
        let dash = || {
            self.content
                .get(..self.content.len() - content.len())
                .and_then(|dashes| dashes.rfind('-'))
        };
        if value.len() < content.len() {
            Some(column)
        } else {
            dash().map(|dash| self.indent + dash)
        }
    }
}

/// The entry behind any `- `, and the column at which it begins.
fn entry(mut column: usize, mut content: &str) -> (usize, &str) {
    while let Some(rest) = content.strip_prefix("- ") {
        let (_, body) = spaces(rest);
        column += content.len() - body.len();
        content = body;
    }
    (column, content)
}

/// What begins under a key without a value on its line. None where it takes more to tell the key.
fn below(column: usize, content: &str, value: &str) -> Option<Opening> {
    match key(content, value) {
        Some(quoted) if quoted.starts_with(['"', '\'']) => None,
        Some(VALUES) => Some(Opening::Values(column)),
        Some(key) if is_unread(key) => Some(Opening::Unread(column)),
        _ => Some(Opening::Nothing),
    }
}

/// The key that a value stands behind, as it is written.
fn key<'a>(content: &'a str, value: &str) -> Option<&'a str> {
    let key = content
        .get(..content.len() - value.len())?
        .trim_end_matches(' ')
        .strip_suffix(':')?;
    Some(key.trim_end_matches(' '))
}

/// What stands behind `key: `; the whole where there is no such key, nothing behind a bare `key:`. In a comment
/// there is none.
fn value(content: &str) -> &str {
    let opens = content.bytes().next();
    if matches!(
        opens,
        None | Some(
            b'"' | b'\''
                | b'{'
                | b'['
                | b'&'
                | b'*'
                | b'!'
                | b'?'
                | b'|'
                | b'>'
                | b'%'
                | b'@'
                | b'`'
                | b'#'
                | b'\t'
        )
    ) {
        return content;
    }
    let bytes = content.as_bytes();
    let begins_comment = |at: &usize| bytes.get(at - 1).is_some_and(u8::is_ascii_whitespace);
    let comment = memchr::memchr_iter(b'#', bytes)
        .find(begins_comment)
        .unwrap_or(bytes.len());
    for colon in memchr::memchr_iter(b':', bytes.get(..comment).unwrap_or_default()) {
        match bytes.get(colon + 1) {
            None => return "",
            Some(b' ') => return spaces(content.get(colon + 2..).unwrap_or_default()).1,
            Some(_) => {}
        }
    }
    content
}

/// As [`value`], where the key may stand in quotes. None where a tab stands behind a colon or a dash.
fn behind_key(content: &str) -> Option<&str> {
    if memchr::memchr_iter(b'\t', content.as_bytes())
        .any(|tab| content.get(..tab).is_some_and(opens_value))
    {
        return None;
    }
    let Some(quote @ (b'"' | b'\'')) = content.bytes().next() else {
        return Some(value(content));
    };
    let end = closing(quote, content.as_bytes().get(1..)?);
    let behind = end
        .and_then(|end| content.get(end + 2..))
        .map(str::trim_start);
    Some(
        behind
            .and_then(|behind| behind.strip_prefix(": "))
            .map_or(content, |value| value.trim_start_matches(' ')),
    )
}

fn opens_value(before: &str) -> bool {
    before.ends_with([':', '-'])
}

/// Whether every quote and bracket of a value closes on its own line. Not where that is in doubt: at an
/// anchor, an alias, a tag or a comment inside brackets, and at a quote in the middle of a word.
fn is_closed(value: &str) -> bool {
    let mut depth = 0_usize;
    let (mut rest, mut before) = (value.as_bytes(), b' ');
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' | b'\'' => match closing(*byte, rest).filter(|_| b" ,:[{".contains(&before)) {
                Some(end) => rest = rest.get(end + 1..).unwrap_or_default(),
                None => return false,
            },
            b'#' | b'&' | b'*' | b'!' => return false,
            _ => {}
        }
        before = *byte;
        if depth == 0 && matches!(byte, b'"' | b'\'' | b'}' | b']') {
            let rest = rest.trim_ascii();
            return rest.is_empty() || rest.starts_with(b"#");
        }
    }
    false
}

/// Where the quote stands that closes a scalar, whose text this begins with.
pub(super) fn closing(quote: u8, text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(quote, b'\\', text.get(from..)?)?;
        let is_pair = text.get(at + 1) == Some(&quote);
        match text.get(at)? {
            b'\\' => from = at + if quote == b'"' { 2 } else { 1 },
            _ if quote == b'\'' && is_pair => from = at + 2,
            _ => return Some(at),
        }
    }
}
