//! Output: results on stdout, errors and notes on stderr.

use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use fluxkeep::render::Format;

/// Reads the format of findings, and lists the formats in the help.
pub(crate) fn formats() -> impl TypedValueParser<Value = Format> {
    let named = |name: String| {
        let mut known = Format::ALL.into_iter();
        let format = known.find(|format| format.name() == name);
        // The parser lets only known names through.
        format.unwrap_or(Format::Text)
    };
    PossibleValuesParser::new(Format::ALL.map(Format::name)).map(named)
}

/// Writes to a terminal, a pipe or a file.
#[derive(Debug)]
pub struct Output {
    quiet: bool,
    colour: bool,
}

impl Output {
    /// Uses colours only on a terminal, and not if `NO_COLOR` is set.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            quiet,
            colour: stdout().is_terminal() && !refused,
        }
    }

    /// True if text may be coloured.
    #[must_use]
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Writes text to stdout, unless quiet.
    ///
    /// # Errors
    /// If stdout cannot be written; a closed pipe is no error.
    pub fn text(&mut self, text: &str) -> std::io::Result<()> {
        if self.quiet { Ok(()) } else { self.data(text) }
    }

    /// Writes data for another program to stdout, even if quiet.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub fn data(&mut self, text: &str) -> std::io::Result<()> {
        let written = stdout()
            .write_all(text.as_bytes())
            .and_then(|()| stdout().flush());
        written.or_else(|error| {
            if error.kind() == ErrorKind::BrokenPipe {
                Ok(())
            } else {
                Err(error)
            }
        })
    }

    /// Writes a note to stderr, unless quiet.
    pub fn note(&mut self, text: &str) {
        if !self.quiet {
            self.error(text);
        }
    }

    /// Writes a line to stderr. A failed write is ignored, since it could not be reported.
    pub fn error(&mut self, text: &str) {
        let _ = writeln!(stderr(), "fluxkeep: {text}");
    }
}
