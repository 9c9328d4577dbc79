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
    /// Whether values are looked for, now or after another aim: so it is from the start or never.
    values: bool,
    level: Level,
    column: usize,
    seek: Seek,
    /// Where the block begins that is looked at.
    base: usize,
    /// What was found in it and not told yet.
    hits: u64,
    here: Masks,
    ahead: Masks,
    before: Before,
}

/// A bit for each byte of a block.
#[derive(Debug, Clone, Copy, Default)]
struct Masks {
    spaces: u64,
    starts: u64,
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
            values: seek == Seek::Values,
            level: Level::new(),
            column,
            seek,
            base: 0,
            hits: 0,
            here: Masks::default(),
            ahead: Masks::default(),
            before: Before::default(),
        };
        dispatch!(margin.level, simd => margin.begin(simd, 0));
        margin
    }

    /// Goes on at an offset at which a line begins, not before the last one that was told. Values are
    /// only found where they were looked for from the start.
    pub(super) fn aim(&mut self, at: usize, column: usize, seek: Seek) {
        (self.column, self.seek) = (column, seek);
        dispatch!(self.level, simd => self.to(simd, at));
    }

    #[inline(always)]
    fn to<S: Simd>(&mut self, simd: S, at: usize) {
        match at.checked_sub(self.base) {
            Some(0..64) => {}
            Some(64..128) => self.step(simd),
            _ => self.begin(simd, at),
        }
        self.hits = self.found() & u64::MAX << (at - self.base);
    }

    #[inline(always)]
    fn begin<S: Simd>(&mut self, simd: S, at: usize) {
        (self.base, self.before) = (at, Before { end: 1, blank: 0 });
        self.here = self.masks(simd, at);
        self.ahead = self.masks(simd, at + 64);
        self.hits = self.found();
    }

    /// To the next block.
    #[inline(always)]
    fn step<S: Simd>(&mut self, simd: S) {
        (self.base, self.here) = (self.base + 64, self.ahead);
        self.ahead = self.masks(simd, self.base + 64);
        self.hits = self.found();
    }

    /// To the next block that holds a hit, or the end.
    #[inline(always)]
    fn advance<S: Simd>(&mut self, simd: S) {
        while self.hits == 0 && self.base + 64 < self.text.len() {
            self.step(simd);
        }
    }

    /// What is to be told of the block.
    #[inline(always)]
    fn found(&self) -> u64 {
        let values = if self.seek == Seek::Values { self.here.values } else { 0 };
        self.here.starts & !deep(self.here.spaces, self.ahead.spaces, self.column + 1) | values
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
        let starts = ends << 1 | self.before.end;
        self.before.end = ends >> 63;
        let values = if self.values { self.openings(simd, block, spaces) } else { 0 };
        Masks { spaces, starts, values }
    }

    #[inline(always)]
    fn openings<S: Simd>(&mut self, simd: S, block: &[u8; 64], spaces: u64) -> u64 {
        // Written out: a closure would be compiled for the oldest processor.
        let quotes = mask(simd, block, b'"') | mask(simd, block, b'\'');
        let brackets = mask(simd, block, b'{') | mask(simd, block, b'[');
        let scalars = mask(simd, block, b'|') | mask(simd, block, b'>');
        let tabs = mask(simd, block, b'\t');
        let blanks = spaces | tabs;
        let opening = (quotes | brackets | scalars) & (blanks << 1 | self.before.blank);
        self.before.blank = blanks >> 63;
        opening | tabs
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
            let mut oldest = Margin { level: Level::baseline(), base: usize::MAX, ..Margin::new(&text, column, seek) };
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
