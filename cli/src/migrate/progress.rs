//! Progress: a bar on a terminal, lines elsewhere.

use std::io::{Write, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::rewrite::Pass;

/// Interval between lines where no terminal shows a bar.
const EVERY: Duration = Duration::from_secs(5);

/// The progress of one CRD's objects.
pub(super) enum Progress {
    /// A bar on a terminal.
    Bar(ProgressBar),
    /// Lines on stderr; the time of the last line.
    Lines(Mutex<Instant>),
    /// Nothing is shown.
    Quiet,
}

impl Progress {
    /// Shows the progress on stderr, which is a terminal or not.
    pub(super) fn on(is_terminal: bool, is_quiet: bool) -> Self {
        if is_quiet {
            return Self::Quiet;
        }
        if !is_terminal {
            return Self::Lines(Mutex::new(Instant::now()));
        }
        let bar = ProgressBar::no_length();
        // The template is a constant; a wrong one would leave indicatif's own.
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {per_sec}") {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    /// Begins a pass over this many objects.
    pub(super) fn begin(&self, pass: Pass, objects: u64) {
        if let Self::Bar(bar) = self {
            bar.reset();
            bar.set_length(objects);
            bar.set_message(name(pass));
        }
    }

    /// Counts an object.
    pub(super) fn object(&self) {
        if let Self::Bar(bar) = self {
            bar.inc(1);
        }
    }

    /// Shows that a page is done, after this many objects of the pass.
    pub(super) fn page(&self, pass: Pass, objects: u64) {
        let Self::Lines(last) = self else {
            return;
        };
        let Ok(mut last) = last.lock() else {
            return;
        };
        if last.elapsed() >= EVERY {
            *last = Instant::now();
            // A failed write is ignored, since it could not be reported.
            let _ = writeln!(stderr(), "fluxkeep: {} {objects} objects", name(pass));
        }
    }

    /// Takes the bar off the terminal.
    pub(super) fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn name(pass: Pass) -> &'static str {
    match pass {
        Pass::Rewrite => "rewriting",
        Pass::Verify => "verifying",
    }
}
