//! The manifest as Helm hands it over.

use std::io::{ErrorKind, Read};

use fluxkeep::helm::record::MOST_DECOMPRESSED;
use memmap2::MmapMut;

/// Why the input is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It cannot be read.
    #[error("reading the manifest from stdin: {0}")]
    Stdin(std::io::Error),
    /// No release that long can be stored.
    #[error("the manifest is longer than {MOST_DECOMPRESSED} bytes, which no release may be; split the chart")]
    TooLong,
    /// It is binary, or another encoding.
    #[error("line {line} of the manifest is not UTF-8; a post-renderer is given text, so look at what comes before it")]
    NotText {
        /// Line, from 1.
        line: usize,
    },
}

/// A manifest that was read.
///
/// Its bytes lie in memory of their own that the system may give in huge pages: of small ones, a long manifest
/// takes longer to get room for than to be copied there.
#[derive(Debug)]
pub struct Manifest {
    room: MmapMut,
    length: usize,
}

impl Manifest {
    /// The manifest as text.
    ///
    /// # Errors
    /// When it is none.
    pub fn text(&self) -> Result<&str, Unfit> {
        let bytes = self.room.get(..self.length).unwrap_or_default();
        str::from_utf8(bytes).map_err(|error| {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            Unfit::NotText { line: good.split(|byte| *byte == b'\n').count() }
        })
    }
}

/// Reads the manifest. Its end is looked for, so that what was cut off is not taken for the whole.
///
/// # Errors
/// When it is unreadable or too long.
pub fn read(mut input: impl Read) -> Result<Manifest, Unfit> {
    let mut room = room().map_err(Unfit::Stdin)?;
    let mut length = 0;
    loop {
        match input.read(room.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Unfit::Stdin(error)),
        }
    }
    if length > MOST_DECOMPRESSED { Err(Unfit::TooLong) } else { Ok(Manifest { room, length }) }
}

/// For the longest manifest and one byte more: what is not written to takes no memory.
fn room() -> std::io::Result<MmapMut> {
    let room = MmapMut::map_anon(MOST_DECOMPRESSED + 1)?;
    // Where the system has no huge pages to give, small ones do.
    #[cfg(target_os = "linux")]
    let _ = room.advise(memmap2::Advice::HugePage);
    Ok(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> String {
        let length = read(bytes).and_then(|manifest| manifest.text().map(str::len));
        length.map_or_else(|error| error.to_string(), |length| format!("read {length} bytes"))
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_line() {
        assert!(refused(b"a: 1\nb: \xff\n").starts_with("line 2 of the manifest is not UTF-8"));
    }

    #[test]
    fn what_no_release_may_be_is_refused() {
        assert!(refused(&vec![b'a'; MOST_DECOMPRESSED + 1]).contains("split the chart"));
        assert_eq!(refused(b""), "read 0 bytes");
    }
}
