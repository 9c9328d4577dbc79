//! The manifest as Helm hands it over.

use std::io::Read;

use fluxkeep::helm::record::MOST_DECOMPRESSED;

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

/// Reads the manifest. Its end is looked for, so that what was cut off is not taken for the whole.
///
/// # Errors
/// When it is unreadable, too long or no text.
pub fn read(input: impl Read) -> Result<String, Unfit> {
    let most = u64::try_from(MOST_DECOMPRESSED).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    input.take(most + 1).read_to_end(&mut bytes).map_err(Unfit::Stdin)?;
    if bytes.len() > MOST_DECOMPRESSED {
        return Err(Unfit::TooLong);
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        Unfit::NotText { line: good.split(|byte| *byte == b'\n').count() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> String {
        read(bytes).map_or_else(|error| error.to_string(), |text| format!("read {} bytes", text.len()))
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
