//! What goes to stdout.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Write, stdout};
use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, vmsplice};

/// What Linux lets anybody have.
const PIPE: i32 = 1 << 20;

/// Linux lends no more at a time.
const SEGMENTS: usize = 1024;

/// Writes pieces of text to stdout, one after another and as many at once as the system takes. A reader
/// that went away is no error.
///
/// Where stdout is a pipe nothing is copied: its reader is lent the pages themselves, until the process ends and beyond.
pub(crate) fn write(pieces: impl Iterator<Item = &'static [u8]>) -> io::Result<()> {
    // The less fits into the pipe, the more often whoever reads has to be waited for.
    let _ = fcntl(stdout(), FcntlArg::F_SETPIPE_SZ(PIPE));
    // Stdout itself would look for the last line end in each piece, and write up to there.
    let out = stdout().as_fd().try_clone_to_owned().map(File::from);
    let lend = |out: &mut File, pieces: &[IoSlice<'static>]| {
        Ok(vmsplice(out, pieces, SpliceFFlags::empty())?)
    };
    let written = out.and_then(|mut out| write_to(&mut out, lend, pieces));
    written.or_else(|error| {
        if error.kind() == ErrorKind::BrokenPipe {
            Ok(())
        } else {
            Err(error)
        }
    })
}

/// Where pages cannot be lent, as to a file, everything is copied.
fn write_to<W: Write>(
    out: &mut W,
    lend: impl Fn(&mut W, &[IoSlice<'static>]) -> io::Result<usize>,
    pieces: impl Iterator<Item = &'static [u8]>,
) -> io::Result<()> {
    let mut pieces: Vec<_> = pieces
        .filter(|piece| !piece.is_empty())
        .map(IoSlice::new)
        .collect();
    let (mut left, mut lends) = (pieces.as_mut_slice(), true);
    while !left.is_empty() {
        let next = left.get(..left.len().min(SEGMENTS)).unwrap_or_default();
        match if lends {
            lend(out, next)
        } else {
            out.write_vectored(next)
        } {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut left, count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if !lends || error.kind() == ErrorKind::BrokenPipe => return Err(error),
            Err(_) => lends = false,
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

    fn pieces() -> impl Iterator<Item = &'static [u8]> {
        ["one", "", "two and ", "three"]
            .into_iter()
            .map(str::as_bytes)
    }

    #[test]
    fn what_is_written_bit_by_bit_is_whole() {
        let mut slow = Slow::default();
        assert!(write_to(&mut slow, copies, pieces()).is_ok());
        assert_eq!(slow.text, b"onetwo and three");
        assert!(write_to(&mut [0; 3].as_mut_slice(), copies, pieces()).is_err());
    }

    #[test]
    fn what_cannot_be_lent_any_more_is_copied() {
        let lent = Cell::new(0);
        let five = |out: &mut Vec<u8>, pieces: &[IoSlice<'_>]| {
            if lent.replace(lent.get() + 5) > 5 {
                return Err(ErrorKind::Unsupported.into());
            }
            out.extend(pieces.iter().flat_map(|piece| piece.iter()).take(5));
            Ok(5)
        };
        let mut all = Vec::new();
        assert!(write_to(&mut all, five, pieces()).is_ok());
        assert_eq!(all, b"onetwo and three");
        assert_eq!(lent.get(), 15);
    }

    #[test]
    fn a_reader_that_went_away_ends_it() {
        let gone = |_: &mut Vec<u8>, _: &[IoSlice<'_>]| Err(ErrorKind::BrokenPipe.into());
        let written = write_to(&mut Vec::new(), gone, pieces());
        assert_eq!(
            written.map_err(|error| error.kind()),
            Err(ErrorKind::BrokenPipe)
        );
    }
}
