//! Lines by their indentation: what stands deeper than a column is passed 64 bytes at a time.

// See `blocks`.
#![allow(clippy::inline_always)]

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch};

use crate::blocks::{mask, padded};

/// What the bytes of a text are looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seek {
    /// Beginnings of lines.
    Lines,
    /// Also what may open a value that goes on in the next line: a quote, a bracket or the sign of a block
    /// scalar behind a blank; and each tab.
    Values,
}

/// Where the lines begin that have at most so many spaces in front, blank ones included, and what else is
/// looked for: offsets in the order of the text. Of columns beyond 62 every line is told; spaces that end the
/// text are no line.
#[derive(Debug, Clone)]
pub(super) struct Margin<'a> {
    text: &'a [u8],
    column: usize,
    seek: Seek,
    level: Level,
    /// The block that is looked at, and where the next one begins.
    base: usize,
    next: usize,
    hits: u64,
    ahead: Masks,
    before: Before,
}

/// A bit for each byte of a block.
#[derive(Debug, Clone, Copy, Default)]
struct Masks {
    spaces: u64,
    ends: u64,
    values: u64,
}

/// What the last byte before a block was, in the lowest bit.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    end: u64,
    blank: u64,
}

impl<'a> Margin<'a> {
    /// Of a text that begins with a line.
    pub(super) fn new(text: &'a str, column: usize, seek: Seek) -> Self {
        let mut margin = Self {
            text: text.as_bytes(),
            column,
            seek,
            level: Level::new(),
            base: 0,
            next: 0,
            hits: 0,
            ahead: Masks::default(),
            before: Before::default(),
        };
        margin.aim(0, column, seek);
        margin
    }

    /// Goes on at an offset at which a line begins.
    pub(super) fn aim(&mut self, at: usize, column: usize, seek: Seek) {
        (self.column, self.seek) = (column, seek);
        (self.base, self.next, self.hits) = (at, at, 0);
        dispatch!(self.level, simd => self.begin(simd));
    }

    #[inline(always)]
    fn begin<S: Simd>(&mut self, simd: S) {
        self.before = Before::default();
        self.ahead = self.masks(simd, self.next);
        self.before.end = 1;
    }

    /// To the next block that holds a hit, or the end.
    #[inline(always)]
    fn advance<S: Simd>(&mut self, simd: S) {
        while self.hits == 0 && self.next < self.text.len() {
            let block = self.ahead;
            (self.base, self.next) = (self.next, self.next + 64);
            self.ahead = self.masks(simd, self.next);
            let starts = block.ends << 1 | self.before.end;
            self.before.end = block.ends >> 63;
            self.hits = starts & !deep(block.spaces, self.ahead.spaces, self.column + 1) | block.values;
        }
    }

    #[inline(always)]
    fn masks<S: Simd>(&mut self, simd: S, at: usize) -> Masks {
        let rest = self.text.get(at..).unwrap_or_default();
        match rest.first_chunk::<64>() {
            Some(block) => self.masks_of(simd, block),
            None => self.masks_of(simd, &padded(rest)),
        }
    }

    #[inline(always)]
    fn masks_of<S: Simd>(&mut self, simd: S, block: &[u8; 64]) -> Masks {
        let (spaces, ends) = (mask(simd, block, b' '), mask(simd, block, b'\n'));
        if self.seek == Seek::Lines {
            return Masks { spaces, ends, values: 0 };
        }
        // Written out: a closure would be compiled for the oldest processor.
        let quotes = mask(simd, block, b'"') | mask(simd, block, b'\'');
        let brackets = mask(simd, block, b'{') | mask(simd, block, b'[');
        let scalars = mask(simd, block, b'|') | mask(simd, block, b'>');
        let tabs = mask(simd, block, b'\t');
        let blanks = spaces | tabs;
        let opening = (quotes | brackets | scalars) & (blanks << 1 | self.before.blank);
        self.before.blank = blanks >> 63;
        Masks { spaces, ends, values: opening | tabs }
    }
}

/// The bytes at which so many spaces begin, in a block with the next one behind; none where that is not to be
/// told from two blocks.
#[inline(always)]
const fn deep(spaces: u64, behind: u64, count: usize) -> u64 {
    if count > 63 {
        return 0;
    }
    let (mut near, mut far, mut length) = (spaces, behind, 1);
    while length < count {
        // Each run is made of two, which overlap in the end.
        let shift = if length * 2 > count { count - length } else { length };
        near &= near >> shift | far << (64 - shift);
        far &= far >> shift;
        length += shift;
    }
    near
}

impl Iterator for Margin<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.hits == 0 {
            dispatch!(self.level, simd => self.advance(simd));
        }
        let at = self.base + self.hits.trailing_zeros() as usize;
        self.hits &= self.hits.wrapping_sub(1);
        // Behind the last line there is none.
        (at < self.text.len()).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As [`Margin`] finds them, one byte after another. Behind the text it sees spaces.
    fn simply(text: &str, column: usize, seek: Seek) -> Vec<usize> {
        let byte = |at: usize| text.as_bytes().get(at).copied();
        let before = |at: usize| at.checked_sub(1).and_then(byte);
        let is_hit = |at: &usize| {
            let rest = text.bytes().skip(*at).chain([b' '; 80]);
            let spaces = rest.take_while(|byte| *byte == b' ').count();
            let is_line = matches!(before(*at), None | Some(b'\n')) && (spaces <= column || column > 62);
            let is_open =
                matches!(before(*at), Some(b' ' | b'\t')) && byte(*at).is_some_and(|byte| b"\"'{[|>".contains(&byte));
            is_line || seek == Seek::Values && (is_open || byte(*at) == Some(b'\t'))
        };
        (0..text.len()).filter(is_hit).collect()
    }

    proptest! {
        #[test]
        fn lines_and_values_are_found(text in "( {1,70}|[a\"'|>{\\[\t -]|\n){0,120}", column in 0_usize..70, values in any::<bool>()) {
            let seek = if values { Seek::Values } else { Seek::Lines };
            let expected = simply(&text, column, seek);
            prop_assert_eq!(Margin::new(&text, column, seek).collect::<Vec<_>>(), expected.clone());
            let mut oldest = Margin { level: Level::baseline(), ..Margin::new(&text, column, seek) };
            oldest.aim(0, column, seek);
            prop_assert_eq!(oldest.collect::<Vec<_>>(), expected);
        }

        #[test]
        fn it_goes_on_where_a_line_begins(text in "[a '\n]{0,200}", column in 0_usize..4) {
            for (start, _) in text.match_indices('\n') {
                let mut margin = Margin::new(&text, column, Seek::Values);
                margin.aim(start + 1, column, Seek::Lines);
                let expected = simply(text.get(start + 1..).unwrap_or_default(), column, Seek::Lines);
                let found: Vec<_> = margin.map(|at| at - start - 1).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
