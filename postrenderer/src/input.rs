//! The manifest as Helm hands it over.

use std::io::{ErrorKind, Read};
use std::mem::take;

use fluxkeep::helm::record::MOST_DECOMPRESSED;
use fluxkeep::manifest::PIECE;
use fluxkeep::yaml::whole;
use memmap2::MmapMut;

/// Why the input is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It cannot be read.
    #[error("reading the manifest from stdin: {0}")]
    Stdin(#[from] std::io::Error),
    /// No release that long can be stored.
    #[error(
        "the manifest is longer than {MOST_DECOMPRESSED} bytes, which no release may be; split the chart"
    )]
    TooLong,
}

/// Room for the longest manifest and more: what is not written to takes no memory.
///
/// It is memory of its own that the system may give in huge pages: of small ones, a long manifest takes longer
/// to get room for than to be copied there.
#[derive(Debug)]
pub struct Room {
    bytes: MmapMut,
    length: usize,
}

/// What most systems have.
const HUGE_PAGE: usize = 2 << 20;
/// Linux lets only what is a multiple of huge pages begin where one can.
const ROOM: usize = (MOST_DECOMPRESSED + 1).next_multiple_of(HUGE_PAGE);

impl Room {
    /// With nothing in it. Where it is known how many bytes will come, no huge page is asked for that they would
    /// not fill by half.
    ///
    /// # Errors
    /// When the system has no more.
    pub fn new(expected: Option<u64>) -> Result<Self, Unfit> {
        let bytes = MmapMut::map_anon(ROOM)?;
        let expected = expected
            .and_then(|expected| usize::try_from(expected).ok())
            .unwrap_or(ROOM)
            .min(ROOM);
        let filled = (expected + HUGE_PAGE / 2) / HUGE_PAGE * HUGE_PAGE;
        // Where the system has no huge pages to give, small ones do.
        #[cfg(target_os = "linux")]
        let _ = bytes.advise_range(memmap2::Advice::HugePage, 0, filled);
        Ok(Self { bytes, length: 0 })
    }

    /// Reads a manifest in pieces of whole documents, as soon as there is one. Its end is looked for, so that
    /// what was cut off is not taken for the whole. What fails is the last piece.
    pub fn pieces<I: Read>(&mut self, input: I) -> Pieces<'_, I> {
        let Self { bytes, length } = self;
        *length = 0;
        Pieces {
            input,
            room: bytes,
            filled: 0,
            length,
            is_over: false,
        }
    }

    /// What was read.
    #[must_use]
    pub fn read(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Pieces of a manifest: see [`Room::pieces`].
#[derive(Debug)]
pub struct Pieces<'a, I> {
    input: I,
    room: &'a mut [u8],
    /// How much of the room holds the beginning of the next piece.
    filled: usize,
    length: &'a mut usize,
    is_over: bool,
}

impl<'a, I: Read> Pieces<'a, I> {
    fn piece(&mut self) -> Result<Option<&'a [u8]>, Unfit> {
        let end = loop {
            let from = self.filled;
            if !self.fill(from + PIECE)? {
                self.is_over = true;
                break self.filled;
            }
            let begin = self.room.get(..self.filled).unwrap_or_default();
            if let Some(end) = whole(begin, from) {
                break end;
            }
        };
        let (piece, room) = take(&mut self.room)
            .split_at_mut_checked(end)
            .unwrap_or_default();
        (self.room, self.filled) = (room, self.filled - end);
        Ok(Some(&*piece).filter(|piece| !piece.is_empty()))
    }

    /// Reads until so much of the room is filled. False where the input ends before.
    fn fill(&mut self, end: usize) -> Result<bool, Unfit> {
        while self.filled < end {
            let end = end.min(self.room.len());
            match self
                .input
                .read(self.room.get_mut(self.filled..end).unwrap_or_default())
            {
                Ok(0) if *self.length > MOST_DECOMPRESSED => return Err(Unfit::TooLong),
                Ok(0) => return Ok(false),
                Ok(count) => {
                    (self.filled, *self.length) = (self.filled + count, *self.length + count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}

impl<'a, I: Read> Iterator for Pieces<'a, I> {
    type Item = Result<&'a [u8], Unfit>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let piece = self.piece();
        self.is_over |= piece.is_err();
        piece.transpose()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{Cursor, repeat};

    use super::*;

    fn pieces(input: impl Read) -> Result<Vec<Vec<u8>>, String> {
        let mut room = Room::new(None).unwrap();
        let pieces = room
            .pieces(input)
            .map(|piece| piece.map(<[u8]>::to_vec))
            .collect::<Result<Vec<_>, _>>();
        let pieces = pieces.map_err(|error| error.to_string())?;
        assert_eq!(room.read(), pieces.concat());
        Ok(pieces)
    }

    /// Gives seven bytes at a time.
    struct Slow<'a>(Cursor<&'a [u8]>);

    impl Read for Slow<'_> {
        fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
            let count = room.len().min(7);
            self.0.read(room.get_mut(..count).unwrap())
        }
    }

    #[test]
    fn a_long_manifest_comes_in_pieces_of_whole_documents() {
        let document = format!("---\na: |\n{}", "  --- \n".repeat(PIECE / 10));
        let text = document.repeat(5);
        for read in [
            pieces(text.as_bytes()),
            pieces(Slow(Cursor::new(text.as_bytes()))),
        ] {
            let read = read.unwrap();
            assert_eq!(read.concat(), text.as_bytes());
            assert!(read.len() > 2, "{} pieces", read.len());
            assert!(read.iter().all(|piece| piece.starts_with(b"---\na")));
        }
        assert_eq!(
            pieces(document.as_bytes()),
            Ok(vec![document.as_bytes().to_vec()])
        );
    }

    #[test]
    fn what_no_release_may_be_is_refused() {
        for bytes in [MOST_DECOMPRESSED + 1, ROOM, ROOM + 1] {
            assert!(
                pieces(repeat(b'a').take(bytes as u64))
                    .unwrap_err()
                    .contains("split the chart"),
                "{bytes} bytes"
            );
        }
        assert_eq!(
            pieces(repeat(b'a').take(MOST_DECOMPRESSED as u64))
                .unwrap()
                .concat()
                .len(),
            MOST_DECOMPRESSED
        );
        assert_eq!(pieces(b"".as_slice()), Ok(Vec::new()));
    }
}
