//! A stream that comes in pieces, read by several threads.

#[cfg(test)]
mod tests;

use std::iter;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Found, MOST_DOCUMENTS, MOST_ITEMS, Reading, members, placed, too_many};
use crate::object::Object;
use crate::threads::Crew;
use crate::yaml::{self, Document, Unread};

/// A stream with more objects and documents without any is refused, wherever they stand: up to the last document
/// so many, and the items of that one.
const MOST: usize = 2 * MOST_DOCUMENTS + MOST_ITEMS;

/// How many bytes of text are at least read at a time. Hostile ones make a hundred times as many of objects, which
/// are counted in between.
pub const PIECE: usize = 128 << 10;

/// Why a stream is not readable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A document of it is not.
    #[error("document {number}, {unread}")]
    Document {
        /// Which one, counted as [`Found::number`].
        number: usize,
        /// Where in the stream, and why.
        unread: Unread,
    },
    /// It is binary, or another encoding.
    #[error("line {line} is not UTF-8")]
    NotText {
        /// Line, from 1.
        line: u32,
    },
}

/// As [`find`](super::find), of a stream that comes in pieces of whole documents (see [`yaml::whole`]). The crew reads the
/// documents of one while the next ones are still awaited.
///
/// # Errors
/// As [`read`](super::read); and the first error among the pieces.
pub fn gather<'a, E: From<Unfit> + Send>(
    pieces: impl Iterator<Item = Result<&'a [u8], E>> + Send,
    reading: Reading<'_>,
    crew: &Crew,
) -> Result<Vec<Found<'a>>, E> {
    let (count, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    // They are taken in their order, and each that was taken is read: so are all that stand before the one that ends it.
    let pieces = pieces.take_while(|_| !is_over.load(Ordering::Relaxed));
    let read = |bytes| {
        let piece = Piece::read(bytes);
        let so_far = count.fetch_add(piece.count(), Ordering::Relaxed) + piece.count();
        if piece.fails() || so_far > MOST {
            is_over.store(true, Ordering::Relaxed);
        }
        piece
    };
    let pieces = crew.stream(pieces, |piece| piece.map(read));
    let mut finder = Finder {
        reading,
        found: Vec::with_capacity(count.into_inner()),
        number: 0,
        bytes: 0,
        lines: 0,
    };
    for piece in pieces {
        finder.take(piece?)?;
    }
    Ok(finder.found)
}

/// A text in pieces of whole documents.
pub(super) fn pieces(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    iter::from_fn(move || {
        let mut seen = 0;
        let cut = loop {
            let from = seen;
            seen += PIECE;
            let Some(begin) = rest.get(..seen) else {
                break rest.len();
            };
            if let Some(cut) = yaml::whole(begin, from) {
                break cut;
            }
        };
        let (piece, behind) = rest.split_at_checked(cut)?;
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

/// What was read of a piece of a stream; places are those in the piece.
struct Piece<'a> {
    /// None behind the first one that is not readable.
    documents: Vec<(Document<'a>, Result<Vec<Object>, Unread>)>,
    bytes: usize,
    lines: u32,
    /// Whether what follows the lines is no text.
    is_cut: bool,
}

impl<'a> Piece<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let (good, is_cut) = match str::from_utf8(bytes) {
            Ok(text) => (text, false),
            Err(error) => {
                let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
                (str::from_utf8(good).unwrap_or_default(), true)
            }
        };
        let whole = if is_cut {
            yaml::whole(good.as_bytes(), 0).unwrap_or_default()
        } else {
            good.len()
        };
        let (text, rest) = good.split_at_checked(whole).unwrap_or_default();
        let (split, lines) = yaml::split(text);
        let mut documents = Vec::with_capacity(split.len().min(MOST_DOCUMENTS));
        // One more than there may be is as good as all of them.
        for document in split.into_iter().take(MOST_DOCUMENTS + 1) {
            documents.push((document, members(&document)));
            if documents
                .last()
                .is_some_and(|(_, objects)| objects.is_err())
            {
                break;
            }
        }
        Self {
            documents,
            bytes: good.len(),
            lines: lines + yaml::newlines(rest),
            is_cut,
        }
    }

    /// Its objects, and the documents without any.
    fn count(&self) -> usize {
        self.documents
            .iter()
            .map(|(_, objects)| objects.as_ref().map_or(1, |objects| objects.len().max(1)))
            .sum()
    }

    fn fails(&self) -> bool {
        self.is_cut
            || self
                .documents
                .last()
                .is_some_and(|(_, objects)| objects.is_err())
    }
}

/// What was found in the pieces so far.
struct Finder<'a, 'b> {
    reading: Reading<'b>,
    found: Vec<Found<'a>>,
    /// How many documents held anything.
    number: usize,
    bytes: usize,
    lines: u32,
}

impl<'a> Finder<'a, '_> {
    fn take(&mut self, piece: Piece<'a>) -> Result<(), Unfit> {
        for (document, objects) in piece.documents {
            let document = document.behind(self.bytes, self.lines);
            self.number += 1;
            let objects = objects.map_err(|unread| Unread {
                line: unread.line + self.lines,
                ..unread
            });
            self.add(document, objects)
                .map_err(|unread| Unfit::Document {
                    number: self.number,
                    unread,
                })?;
        }
        (self.bytes, self.lines) = (self.bytes + piece.bytes, self.lines + piece.lines);
        if piece.is_cut {
            Err(Unfit::NotText {
                line: self.lines + 1,
            })
        } else {
            Ok(())
        }
    }

    fn add(
        &mut self,
        document: Document<'a>,
        objects: Result<Vec<Object>, Unread>,
    ) -> Result<(), Unread> {
        if self.number > MOST_DOCUMENTS {
            return Err(too_many(&document, MOST_DOCUMENTS, "stream"));
        }
        let objects = objects?;
        if objects.len() > MOST_ITEMS {
            return Err(too_many(&document, MOST_ITEMS, "list"));
        }
        if self.found.len() >= MOST_DOCUMENTS {
            return Err(too_many(&document, MOST_DOCUMENTS, "stream"));
        }
        for (place, object) in objects.into_iter().enumerate() {
            let item = object.list.is_some().then_some(place);
            let object = placed(object, &document, self.reading);
            self.found.push(Found {
                document,
                number: self.number,
                item,
                object,
            });
        }
        Ok(())
    }
}
