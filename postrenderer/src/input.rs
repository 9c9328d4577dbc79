//! The manifest that Helm writes to stdin.

use std::io::Read;

use fluxkeep::helm::record::MOST_DECOMPRESSED;

/// The reason why the input is not a manifest.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Stdin cannot be read.
    #[error("reading the manifest from stdin: {0}")]
    Stdin(#[from] std::io::Error),
    /// Helm cannot store a release of that length.
    #[error(
        "the manifest is longer than {MOST_DECOMPRESSED} bytes, the limit for a Helm release; split the chart"
    )]
    TooLong,
    /// The input is binary, or in an encoding other than UTF-8.
    #[error("line {line} of the manifest is not UTF-8; check the program that writes to this pipe")]
    NotText {
        /// Line of the first invalid byte, from 1.
        line: usize,
    },
}

/// Reads the whole manifest, and never returns only its beginning.
///
/// # Errors
/// When the input cannot be read, is too long, or is not UTF-8.
pub fn read(input: impl Read) -> Result<String, InputError> {
    let mut bytes = Vec::new();
    let longest = MOST_DECOMPRESSED as u64;
    input.take(longest + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MOST_DECOMPRESSED {
        return Err(InputError::TooLong);
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error
            .as_bytes()
            .iter()
            .take(error.utf8_error().valid_up_to());
        let line = good.filter(|byte| **byte == b'\n').count() + 1;
        InputError::NotText { line }
    })
}

#[cfg(test)]
mod tests {
    use std::io::repeat;

    use super::*;

    fn length(bytes: usize) -> Result<usize, String> {
        let read = read(repeat(b'a').take(bytes as u64));
        read.map(|text| text.len())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_no_release_may_be_is_refused() {
        for bytes in [MOST_DECOMPRESSED + 1, 2 * MOST_DECOMPRESSED] {
            let refused = length(bytes);
            let is_told = |why: &String| why.contains("split the chart");
            assert!(refused.as_ref().is_err_and(is_told), "{bytes} bytes");
        }
        assert_eq!(length(MOST_DECOMPRESSED), Ok(MOST_DECOMPRESSED));
        assert_eq!(length(0), Ok(0));
    }

    #[test]
    fn what_is_no_text_is_told_by_its_line() {
        let unfit = read(b"kind: A\n---\nkind: \xff\n".as_slice());
        assert!(matches!(unfit, Err(InputError::NotText { line: 3 })));
    }
}
