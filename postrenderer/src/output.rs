//! What goes to stdout.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Write, stdout};
use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, vmsplice};

/// What Linux lets anybody have.
const PIPE: i32 = 1 << 20;

/// Linux lends no more at a time.
const SEGMENTS: usize = 1024;

/// Less is copied sooner than its pages are lent.
const LEAST: usize = 16 << 10;

/// Writes pieces of text to stdout, one after another and as many at once as the system takes. A reader
/// that went away is no error.
///
/// Of what lies in `fixed` nothing is copied where stdout is a pipe: its reader is lent the pages themselves.
/// Nobody may write to them any more, until the process ends and beyond.
pub(crate) fn write<'a>(pieces: impl Iterator<Item = &'a [u8]>, fixed: &[u8]) -> io::Result<()> {
    // The less fits into the pipe, the more often whoever reads has to be waited for.
    let _ = fcntl(stdout(), FcntlArg::F_SETPIPE_SZ(PIPE));
    // Stdout itself would look for the last line end in each piece, and write up to there.
    let out = stdout().as_fd().try_clone_to_owned().map(File::from);
    let lend = |out: &mut File, pieces: &[IoSlice<'_>]| Ok(vmsplice(out, pieces, SpliceFFlags::empty())?);
    let written = out.and_then(|mut out| write_to(&mut out, lend, pieces, fixed));
    written.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// Where pages cannot be lent, as to a file, everything is copied.
fn write_to<'a, W: Write>(
    out: &mut W,
    lend: impl Fn(&mut W, &[IoSlice<'_>]) -> io::Result<usize>,
    pieces: impl Iterator<Item = &'a [u8]>,
    fixed: &[u8],
) -> io::Result<()> {
    let mut fixed = fixed.as_ptr_range();
    let pieces = pieces.filter(|piece| !piece.is_empty());
    let mut pieces: Vec<_> = pieces.map(IoSlice::new).collect();
    let mut left = pieces.as_mut_slice();
    while let Some(first) = left.first() {
        let is_fixed = |piece: &IoSlice<'_>| piece.len() >= LEAST && fixed.contains(&piece.as_ptr());
        let lends = is_fixed(first);
        let alike = left.iter().take(SEGMENTS).take_while(|piece| is_fixed(piece) == lends).count();
        let alike = left.get(..alike).unwrap_or_default();
        match if lends { lend(out, alike) } else { out.write_vectored(alike) } {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut left, count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if !lends || error.kind() == ErrorKind::BrokenPipe => return Err(error),
            Err(_) => fixed = fixed.start..fixed.start,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Takes three bytes at a time, and is interrupted each second time.
    #[derive(Default)]
    struct Slow {
        text: Vec<u8>,
        calls: usize,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            if self.calls.is_multiple_of(2) {
                return Err(ErrorKind::Interrupted.into());
            }
            let taken = bytes.get(..3).unwrap_or(bytes);
            self.text.extend(taken);
            Ok(taken.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn copies<W: Write>(_: &mut W, _: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(ErrorKind::Unsupported.into())
    }

    #[test]
    fn what_is_written_bit_by_bit_is_whole() {
        let mut slow = Slow::default();
        let pieces = ["one", "", "two and ", "three"].into_iter().map(str::as_bytes);
        assert!(write_to(&mut slow, copies, pieces, &[]).is_ok());
        assert_eq!(slow.text, b"onetwo and three");
        assert!(write_to(&mut [0; 3].as_mut_slice(), copies, [b"long".as_slice()].into_iter(), &[]).is_err());
    }

    #[test]
    fn long_pieces_of_what_stays_as_it_is_are_lent() {
        let (text, other) = (vec![b'a'; 3 * LEAST], vec![b'b'; LEAST]);
        let (short, _) = text.split_at(LEAST - 1);
        let pieces = || [text.as_slice(), &other, short].into_iter();
        let lent = Cell::new(0);
        let some = |out: &mut Vec<u8>, pieces: &[IoSlice<'_>]| {
            let count = pieces.iter().map(|piece| piece.len()).sum::<usize>().min(LEAST + 1);
            lent.set(lent.get() + count);
            out.extend(pieces.iter().flat_map(|piece| piece.iter()).take(count));
            Ok(count)
        };
        let mut all = Vec::new();
        assert!(write_to(&mut all, some, pieces(), &text).is_ok());
        assert_eq!(all, pieces().collect::<Vec<_>>().concat());
        assert_eq!(lent.get(), 2 * (LEAST + 1), "what is left is too short, and the other is not fixed");
        all.clear();
        assert!(write_to(&mut all, copies, pieces(), &text).is_ok());
        assert_eq!(all, pieces().collect::<Vec<_>>().concat());
    }

    #[test]
    fn a_reader_that_went_away_ends_it() {
        let gone = |_: &mut Vec<u8>, _: &[IoSlice<'_>]| Err(ErrorKind::BrokenPipe.into());
        let text = vec![b'a'; LEAST];
        let written = write_to(&mut Vec::new(), gone, [text.as_slice()].into_iter(), &text);
        assert_eq!(written.map_err(|error| error.kind()), Err(ErrorKind::BrokenPipe));
    }
}
