//! The table of results.

use std::fmt::Write;
use std::time::Duration;

/// Rows of measurements.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<[String; 4]>,
}

impl Table {
    /// Adds a time, the time of a baseline, and their ratio.
    pub(crate) fn time(
        &mut self,
        what: &str,
        ours: Duration,
        baseline: &str,
        theirs: Duration,
        bar: &str,
    ) {
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        self.row(
            what,
            &format!("{} = {ratio:.2} ×", text(ours)),
            &format!("{baseline}: {}", text(theirs)),
            bar,
        );
    }

    /// Adds a time, the time of a baseline, and how many times faster fluxkeep is.
    pub(crate) fn faster(
        &mut self,
        what: &str,
        ours: Duration,
        baseline: &str,
        theirs: Duration,
        bar: &str,
    ) {
        let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
        self.row(
            what,
            &format!("{} = {ratio:.0} times faster", text(ours)),
            &format!("{baseline}: {}", text(theirs)),
            bar,
        );
    }

    /// Adds any other measurement.
    pub(crate) fn row(&mut self, what: &str, ours: &str, beside: &str, bar: &str) {
        self.rows.push([what, ours, beside, bar].map(str::to_owned));
    }

    /// Returns the table as Markdown.
    pub(crate) fn text(&self) -> String {
        let mut text = "| what | fluxkeep | beside | bar |\n|---|---|---|---|\n".to_owned();
        for row in &self.rows {
            // Writing to a `String` never fails.
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        text
    }
}

/// Formats a time in µs below 1 ms, otherwise in ms.
pub(crate) fn text(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    if micros < 1000.0 {
        format!("{micros:.0} µs")
    } else {
        format!("{:.2} ms", micros / 1000.0)
    }
}
