//! Lines by their indentation, and values that may go on beyond it: what else stands deeper than a column is
//! passed 64 bytes at a time.

// See `blocks`.
#![allow(clippy::inline_always)]

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch};

use crate::blocks::{mask, padded, words};

/// What the bytes of a text are looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seek {
    /// Where lines' contents begin, up to a column; a blank line's is its end.
    Lines,
    /// Also where values' contents begin, up to that column; and both beyond it, but for those that begin with
    /// a letter, a digit or a dash: all others may go on in the next line at whatever indentation. And each tab in
    /// front of one.
    Values,
}

/// Where the contents begin that are looked for: offsets in the order of the text. Those of columns beyond 62
/// are told as if they were in front of it.
#[derive(Debug, Clone)]
pub(super) struct Margin<'a> {
    level: Level,
    sweep: Sweep<'a>,
    /// What was found in the blocks that were looked at last.
    window: [u64; WINDOW],
    /// How many they are; the more, the longer the text goes on.
    length: usize,
    /// Which of them is told.
    index: usize,
    /// Where the first of them begins.
    base: usize,
    /// What was found in the one that is told, and not told yet.
    hits: u64,
}

/// A loop over so many blocks takes less than one for each.
const WINDOW: usize = 64;
/// For the first ones.
const SHORT: usize = 4;

/// Goes over a text.
#[derive(Debug, Clone, Copy)]
struct Sweep<'a> {
    text: &'a [u8],
    /// How many bytes of each line are up to the column.
    width: u32,
    steps: [u32; 6],
    seek: Seek,
    /// Where the block begins that comes next.
    next: usize,
    before: Before,
}

/// What goes on from one block to the next, in the lowest bits.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    /// Whether the last byte ends a line.
    end: u64,
    /// Whether contents may begin behind the last byte and blanks.
    open: u64,
    /// Whether the last byte is one of these blanks.
    blank: u64,
    /// The bytes of the last line up to the column.
    near: u64,
}

impl<'a> Margin<'a> {
    /// Of a text that begins with a line.
    pub(super) fn new(text: &'a str, column: usize, seek: Seek) -> Self {
        Self::at_level(Level::new(), text, column, seek)
    }

    fn at_level(level: Level, text: &'a str, column: usize, seek: Seek) -> Self {
        let width = u32::try_from(column + 1).unwrap_or(u32::MAX);
        let (text, steps, before) = (text.as_bytes(), steps(width), Before::default());
        let sweep = Sweep {
            text,
            width,
            steps,
            seek,
            next: 0,
            before,
        };
        let mut margin = Self {
            level,
            sweep,
            window: [0; WINDOW],
            length: 0,
            index: 0,
            base: 0,
            hits: 0,
        };
        margin.begin(0);
        margin
    }

    /// Goes on at an offset at which a line begins.
    pub(super) fn go(&mut self, at: usize) {
        let place = at
            .checked_sub(self.base)
            .map(|ahead| (ahead / 64, ahead % 64));
        let seen = place.filter(|(index, _)| *index < self.length);
        match seen.and_then(|(index, bit)| Some((index, self.window.get(index)? & u64::MAX << bit)))
        {
            Some((index, hits)) => (self.index, self.hits) = (index, hits),
            None => self.begin(at),
        }
    }

    fn begin(&mut self, at: usize) {
        self.sweep.next = at;
        self.sweep.before = Before {
            end: 1,
            open: 1,
            ..Before::default()
        };
        self.length = SHORT / 2;
        self.more();
    }

    /// Looks at the next blocks.
    fn more(&mut self) {
        self.length = WINDOW.min(self.length * 2);
        self.base = self.sweep.next;
        let window = self.window.get_mut(..self.length).unwrap_or_default();
        dispatch!(self.level, simd => self.sweep.fill(simd, window));
        (self.index, self.hits) = (0, self.window.first().copied().unwrap_or_default());
    }
}

/// How far bits are to be shifted, and kept, one time after another, so that each becomes a run of this length, up
/// to 63. Every run is made of two of the one before, which overlap in the end.
fn steps(width: u32) -> [u32; 6] {
    let mut length = 1;
    [(); 6].map(|()| {
        let step = length.min(width.saturating_sub(length));
        length += step;
        step
    })
}

impl Sweep<'_> {
    #[inline(always)]
    fn fill<S: Simd>(&mut self, simd: S, window: &mut [u64]) {
        // In registers.
        let mut sweep = *self;
        let (blocks, last) = sweep.text.get(sweep.next..).unwrap_or_default().as_chunks();
        sweep.next += window.len() * 64;
        let mut window = window.iter_mut();
        for (block, found) in blocks.iter().zip(window.by_ref()) {
            *found = sweep.found(simd, block);
        }
        if let Some(found) = window.next() {
            *found = sweep.found(simd, &padded(last));
        }
        window.for_each(|found| *found = 0);
        *self = sweep;
    }

    #[inline(always)]
    fn found<S: Simd>(&mut self, simd: S, block: &[u8; 64]) -> u64 {
        let (spaces, ends) = (mask(simd, block, b' '), mask(simd, block, b'\n'));
        let starts = ends << 1 | self.before.end;
        self.before.end = ends >> 63;
        if self.seek == Seek::Lines && self.width == 1 {
            return starts & !spaces;
        }
        let near = self.near(starts);
        if self.seek == Seek::Lines {
            return self.contents(ends, spaces, starts).0 & near;
        }
        let (dashes, tabs) = (mask(simd, block, b'-'), mask(simd, block, b'\t'));
        let opens = ends | dashes | mask(simd, block, b':') | mask(simd, block, b'?');
        let (contents, passed) = self.contents(opens, spaces | tabs, starts);
        contents & (near | !(dashes | words(simd, block))) | passed & tabs
    }

    /// Where contents begin behind what opens them and blanks, and these blanks.
    #[inline(always)]
    fn contents(&mut self, opens: u64, blanks: u64, starts: u64) -> (u64, u64) {
        let first = (opens << 1 | self.before.open) & blanks;
        // The sum carries each first blank to what stands behind the last one of its run.
        let (sum, leaves) = blanks.overflowing_add(first);
        let (sum, goes_on) = sum.overflowing_add(self.before.blank);
        (self.before.open, self.before.blank) = (opens >> 63, u64::from(leaves | goes_on));
        ((sum | starts) & !blanks, blanks & !sum)
    }

    /// The bytes of each line up to the column.
    #[inline(always)]
    fn near(&mut self, starts: u64) -> u64 {
        if self.width > 63 {
            return u64::MAX;
        }
        let mut near = starts;
        for step in self.steps {
            near |= near << step;
        }
        // How many bytes of the last line are in the next block.
        let last = 64 - starts.leading_zeros();
        let behind = (1 << (last + self.width - 1).saturating_sub(64)) - 1;
        near | std::mem::replace(&mut self.before.near, behind)
    }
}

impl Iterator for Margin<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.hits == 0 {
            self.index += 1;
            match self
                .window
                .get(self.index)
                .filter(|_| self.index < self.length)
            {
                Some(hits) => self.hits = *hits,
                None if self.sweep.next < self.sweep.text.len() => self.more(),
                None => return None,
            }
        }
        let at = self.base + self.index * 64 + self.hits.trailing_zeros() as usize;
        self.hits &= self.hits.wrapping_sub(1);
        // Behind the text there is none.
        (at < self.sweep.text.len()).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As [`Margin`] finds them, one byte after another.
    fn simply(text: &str, column: usize, seek: Seek) -> Vec<usize> {
        let byte = |at: usize| text.as_bytes().get(at).copied();
        let blanks: &[char] = if seek == Seek::Values {
            &[' ', '\t']
        } else {
            &[' ']
        };
        let is_hit = |at: &usize| {
            let before = text
                .as_bytes()
                .get(..*at)
                .map(String::from_utf8_lossy)
                .unwrap_or_default();
            let in_line = at - before.rfind('\n').map_or(0, |end| end + 1);
            let lead = before.trim_end_matches(blanks);
            let begins_line = lead.is_empty() || lead.ends_with('\n');
            let may_begin = begins_line || seek == Seek::Values && lead.ends_with([':', '-', '?']);
            let is_near = in_line <= column || column > 62;
            let is_odd =
                byte(*at).is_some_and(|byte| !byte.is_ascii_alphanumeric() && byte != b'-');
            match byte(*at) {
                Some(b'\t') if seek == Seek::Values => may_begin,
                Some(b' ') => false,
                _ if begins_line || lead.len() < *at => {
                    may_begin && (is_near || seek == Seek::Values && is_odd)
                }
                _ => false,
            }
        };
        (0..text.len()).filter(is_hit).collect()
    }

    proptest! {
        #[test]
        fn lines_and_values_are_found(text in "( {1,70}|[a:?é\"'|>{\\[\t -]|: |- |\n){0,120}", column in 0_usize..70, values in any::<bool>()) {
            let seek = if values { Seek::Values } else { Seek::Lines };
            let expected: Vec<_> = simply(&text, column, seek);
            prop_assert_eq!(Margin::new(&text, column, seek).collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(Margin::at_level(Level::baseline(), &text, column, seek).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn it_goes_on_where_a_line_begins(text in "([a '\n]| {70}){0,100}|(: '\n){200,210}", column in 0_usize..4, told in 1_usize..900) {
            for (start, _) in text.match_indices('\n') {
                let mut margin = Margin::new(&text, column, Seek::Values);
                // From wherever it has come to by then.
                while margin.clone().next().is_some_and(|at| at < told) {
                    margin.next();
                }
                margin.go(start + 1);
                let expected = simply(text.get(start + 1..).unwrap_or_default(), column, Seek::Values);
                let found: Vec<_> = margin.map(|at| at - start - 1).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
