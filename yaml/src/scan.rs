//! Lines with a single meaning for all readers of YAML.
//!
//! All other lines are left to a full YAML parser, which takes ten times as long.

use std::ops::Range;

use granit_parser::ScalarStyle;

/// A line could have another meaning.
pub(super) struct Unsure;

pub(super) type Sure<T> = Result<T, Unsure>;

/// A scalar: its range with quotes in the text that was read, its content, and its style.
pub(super) type Scalar<'a> = (Range<usize>, &'a str, ScalarStyle);

/// The lines of a text, in order.
pub(super) struct Scan<'a> {
    text: &'a str,
    /// The offset of the next line.
    pub(super) at: usize,
}

/// A line without its line end.
pub(super) struct Line<'a> {
    /// The offset of the content.
    pub(super) start: usize,
    pub(super) indent: usize,
    pub(super) content: &'a str,
    /// The offset of the next line.
    pub(super) next: usize,
}

/// The number of leading spaces of a text, and the rest.
pub(super) fn spaces(text: &str) -> (usize, &str) {
    // Three times as fast as `trim_start_matches`.
    let spaces = text.bytes().take_while(|byte| *byte == b' ').count();
    (spaces, text.get(spaces..).unwrap_or_default())
}

impl<'a> Scan<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Continues with the line at an offset.
    pub(super) const fn go(&mut self, at: usize) {
        self.at = at;
    }

    /// The next line that is neither blank nor a comment. The end of the text is an empty line.
    pub(super) fn peek(&mut self) -> Line<'a> {
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let length = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |end| end + 1);
            let line = rest.get(..length).unwrap_or_default();
            let (spaces, content) = spaces(line);
            let bare = content
                .strip_suffix('\n')
                .map_or(content, |bare| bare.strip_suffix('\r').unwrap_or(bare));
            if !line.is_empty() && (bare.is_empty() || bare.starts_with('#')) {
                self.go(self.at + length);
                continue;
            }
            return Line {
                start: self.at + spaces,
                indent: spaces,
                content: bare,
                next: self.at + length,
            };
        }
    }
}

/// A key of a line: its length with quotes, its content, its style, and the text behind its colon.
pub(super) struct Key<'a> {
    pub(super) length: usize,
    pub(super) name: &'a str,
    pub(super) style: ScalarStyle,
    pub(super) rest: &'a str,
}

/// A key with or without quotes. `None` for an escape, and for anything else that another reader may
/// understand otherwise.
pub(super) fn any_key(content: &str) -> Option<Key<'_>> {
    let (quote, style) = match content.bytes().next()? {
        b'"' => ('"', ScalarStyle::DoubleQuoted),
        b'\'' => ('\'', ScalarStyle::SingleQuoted),
        _ => {
            let (name, rest) = key(content)?;
            return Some(Key {
                length: name.len(),
                name,
                style: ScalarStyle::Plain,
                rest,
            });
        }
    };
    let (name, behind) = content.get(1..)?.split_once(quote)?;
    let rest = behind.strip_prefix(':')?;
    let is_sure = name.bytes().all(is_part) && (rest.is_empty() || rest.starts_with(' '));
    is_sure.then_some(Key {
        length: name.len() + 2,
        name,
        style,
        rest,
    })
}

/// A key without quotes, and the text behind its colon.
pub(super) fn key(content: &str) -> Option<(&str, &str)> {
    let end = content.bytes().position(|byte| !is_part(byte))?;
    let (key, rest) = content.split_at_checked(end)?;
    let behind = rest
        .strip_prefix(':')
        .filter(|behind| behind.is_empty() || behind.starts_with(' '))?;
    key.starts_with(|first: char| first.is_ascii_alphanumeric())
        .then_some((key, behind))
}

/// True if every reader accepts this byte within an unquoted key.
fn is_part(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'/' | b'_' | b'-')
}

/// The value behind a colon on its line: a scalar, or `None`.
pub(super) fn value(rest: &str) -> Sure<Option<Scalar<'_>>> {
    let (start, content) = spaces(rest);
    if content.bytes().any(|byte| !(b' '..=b'~').contains(&byte)) {
        return Err(Unsure);
    }
    match content.bytes().next() {
        None => Ok(None),
        Some(b'#') if start > 0 => Ok(None),
        Some(b'\'') => quoted(content, start, '\'', ScalarStyle::SingleQuoted)
            .map(Some)
            .ok_or(Unsure),
        Some(b'"') => quoted(content, start, '"', ScalarStyle::DoubleQuoted)
            .map(Some)
            .ok_or(Unsure),
        Some(first) if first.is_ascii_alphanumeric() || b"./_(".contains(&first) => {
            plain(content, start).map(Some).ok_or(Unsure)
        }
        Some(_) => Err(Unsure),
    }
}

fn plain(content: &str, start: usize) -> Option<Scalar<'_>> {
    let bytes = content.as_bytes();
    let comment = memchr::memchr_iter(b'#', bytes).find(|at| bytes.get(at - 1) == Some(&b' '));
    let text = content
        .get(..comment.unwrap_or(content.len()))?
        .trim_ascii_end();
    let mut colons = memchr::memchr_iter(b':', text.as_bytes());
    let is_sure =
        colons.all(|at| bytes.get(at + 1).is_some_and(|next| *next != b' ') && at + 1 < text.len());
    is_sure.then_some((start..start + text.len(), text, ScalarStyle::Plain))
}

/// A quoted scalar without escapes, followed by at most a comment.
fn quoted(content: &str, start: usize, quote: char, style: ScalarStyle) -> Option<Scalar<'_>> {
    let (text, behind) = content.get(1..)?.split_once(quote)?;
    let is_alone =
        behind.trim().is_empty() || behind.starts_with(' ') && behind.trim_start().starts_with('#');
    let is_sure = is_alone && (quote == '\'' || !text.contains('\\'));
    is_sure.then_some((start..start + text.len() + 2, text, style))
}

/// True if every reader takes a plain scalar for a string. Numbers, dates, merge keys and the like
/// all begin with one of these characters.
pub(super) fn is_text(plain: &str) -> bool {
    let special = |first: u8| first.is_ascii_digit() || b"+-.~=<".contains(&first);
    !plain.bytes().next().is_none_or(special)
        && !WORDS.iter().any(|word| plain.eq_ignore_ascii_case(word))
}

/// Words that some reader takes for a boolean or null.
const WORDS: [&str; 10] = [
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~",
];
