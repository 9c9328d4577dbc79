//! Where text goes: stdout for what was asked for, stderr for what went wrong.

use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};

/// The terminal, a pipe or a file.
#[derive(Debug)]
pub struct Output {
    quiet: bool,
    colour: bool,
}

impl Output {
    /// Colours only on a terminal, and not where `NO_COLOR` is set.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            quiet,
            colour: stdout().is_terminal() && !refused,
        }
    }

    /// Whether text may be coloured.
    #[must_use]
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Writes text to stdout, unless told to be quiet.
    ///
    /// # Errors
    /// When stdout cannot be written; a reader that went away is no error.
    pub fn text(&mut self, text: &str) -> std::io::Result<()> {
        if self.quiet { Ok(()) } else { self.data(text) }
    }

    /// Writes to stdout what another program is to read; being quiet does not leave it empty.
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

    /// Writes a note to stderr, unless told to be quiet.
    pub fn note(&mut self, text: &str) {
        if !self.quiet {
            self.error(text);
        }
    }

    /// Writes one line to stderr. There is nowhere to complain when that fails.
    pub fn error(&mut self, text: &str) {
        let _ = writeln!(stderr(), "fluxkeep: {text}");
    }
}
