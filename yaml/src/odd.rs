//! Characters that mean something else to Go's reader than to a reader of YAML 1.2.

use std::ops::Range;

/// Places of the line ends of YAML 1.1 alone (NEL, LS, PS) and of byte order marks behind the start.
///
/// Go ends a line at the former, and keeps the latter as a part of a plain scalar. Both are text inside of quotes, and
/// a mark also in a block scalar, so a place there is no reason to refuse a document.
#[derive(Debug, Default)]
pub(crate) struct OddPlaces {
    /// Offsets, in the order of the text, of what was not found to be text yet.
    open: Vec<usize>,
}

/// Whether a carriage return stands alone: it ends a line, too.
pub(crate) fn has_other_ends(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'\r', bytes).any(|at| bytes.get(at + 1) != Some(&b'\n'))
}

/// Whether a text holds nothing but LF, tabs and printable ASCII.
fn is_simple(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t'))
}

/// A character that Go's reader refuses wherever it stands.
fn is_refused(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' => false,
        '\u{fffe}' | '\u{ffff}' => true,
        other => other < '\u{a0}',
    }
}

impl OddPlaces {
    /// Finds them. Errors: the offset of a character that Go refuses.
    pub(crate) fn of(text: &str) -> Result<Self, usize> {
        let mut open = Vec::new();
        if is_simple(text) {
            return Ok(Self { open });
        }
        for (at, character) in text.char_indices() {
            if is_refused(character) {
                return Err(at);
            }
            if matches!(character, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}') {
                open.push(at);
            }
        }
        Ok(Self { open })
    }

    /// Whether there are none left.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Where the first one stands that was not found to be text.
    pub(crate) fn first(&self) -> Option<usize> {
        self.open.first().copied()
    }

    /// Takes out those in a range, which is text. True if there were any.
    pub(crate) fn take(&mut self, range: &Range<usize>) -> bool {
        let before = self.open.len();
        self.open.retain(|at| !range.contains(at));
        self.open.len() < before
    }
}
