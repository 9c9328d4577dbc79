//! What a program says when it is called wrongly.

/// The first paragraph of clap's error in one line: the second is about how to ask for help.
#[must_use]
pub fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    lines.join(" ")
}
