//! Characters with another meaning to Go's reader than to a YAML 1.2 reader.

use std::ops::Range;

/// Places of line breaks of YAML 1.1 alone (NEL, LS, PS), and of byte order marks after the start.
///
/// Go breaks a line at the former, and keeps the latter in a plain scalar. Both are text inside
/// quotes, and a mark also in a block scalar, so a place alone is no refusal.
#[derive(Debug, Default)]
pub(crate) struct OddPlaces {
    /// Offsets, in text order, of places that are not yet known to be text.
    open: Vec<usize>,
}

/// True if a carriage return stands alone, which also ends a line.
pub(crate) fn has_other_ends(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'\r', bytes).any(|at| bytes.get(at + 1) != Some(&b'\n'))
}

/// True for LF, tab and printable ASCII.
fn is_simple(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n' | b'\t')
}

/// The first byte that is not simple. Whole chunks are tested without a branch, which the compiler
/// turns into vector instructions.
fn first_not_simple(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    for chunk in bytes.chunks(64) {
        if !chunk.iter().fold(true, |all, byte| all & is_simple(*byte)) {
            let inside = chunk.iter().position(|byte| !is_simple(*byte))?;
            return Some(start + inside);
        }
        start += chunk.len();
    }
    None
}

/// True for a character that Go's reader refuses everywhere.
fn is_refused(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' => false,
        '\u{fffe}' | '\u{ffff}' => true,
        other => other < '\u{a0}',
    }
}

impl OddPlaces {
    /// Finds the places. As an error, returns the offset of a character that Go refuses.
    pub(crate) fn of(text: &str) -> Result<Self, usize> {
        let mut open = Vec::new();
        let mut at = 0;
        while let Some(next) = text.as_bytes().get(at..).and_then(first_not_simple) {
            at += next;
            let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) else {
                break;
            };
            if is_refused(character) {
                return Err(at);
            }
            if matches!(character, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}') {
                open.push(at);
            }
            at += character.len_utf8();
        }
        Ok(Self { open })
    }

    /// True if no place is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The first place that is not yet known to be text.
    pub(crate) fn first(&self) -> Option<usize> {
        self.open.first().copied()
    }

    /// Removes the places in a range of text. Returns true if there were any.
    pub(crate) fn take(&mut self, range: &Range<usize>) -> bool {
        let before = self.open.len();
        self.open.retain(|at| !range.contains(at));
        self.open.len() < before
    }
}
