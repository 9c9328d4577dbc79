//! Output: results on stdout, errors and notes on stderr.

use std::ffi::OsStr;
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
    /// Uses colours only on a terminal, and not if `NO_COLOR` is set or the terminal is dumb.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let (no_color, term) = (std::env::var_os("NO_COLOR"), std::env::var_os("TERM"));
        Self {
            quiet,
            colour: stdout().is_terminal() && takes_colour(no_color.as_deref(), term.as_deref()),
        }
    }

    /// True if text may be coloured.
    #[must_use]
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// True if only errors are written.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.quiet
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

/// True if neither the person nor the terminal refuses colours.
fn takes_colour(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    let is_refused = no_color.is_some_and(|value| !value.is_empty());
    let is_dumb = term.is_some_and(|term| term == "dumb");
    !is_refused && !is_dumb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dumb_terminal_and_no_color_take_no_colour() {
        let takes = |no_color: Option<&str>, term: Option<&str>| {
            takes_colour(no_color.map(OsStr::new), term.map(OsStr::new))
        };
        assert!(takes(None, Some("xterm")) && takes(Some(""), None));
        assert!(!takes(None, Some("dumb")) && !takes(Some("1"), Some("xterm")));
    }
}
