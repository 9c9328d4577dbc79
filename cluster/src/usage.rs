//! Errors in a program's arguments. All three programs report them alike.

/// clap's error as one line: the error and its tips, or else the way to the help.
#[must_use]
pub fn one_line(error: &str) -> String {
    let mut parts = Vec::new();
    for line in error.lines().map(str::trim) {
        if line.starts_with("Usage:") || line.starts_with("For more information") {
            break;
        }
        let is_new = parts.is_empty() || line.starts_with("tip:");
        match parts.last_mut() {
            Some(part) if !is_new && !line.is_empty() => *part = format!("{part} {line}"),
            _ if is_new && !line.is_empty() => parts.push(line.to_owned()),
            _ => {}
        }
    }
    if parts.len() == 1 {
        parts.push("try --help".to_owned());
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_tip_stays_in_the_line_and_usage_does_not() {
        let error = "error: unexpected argument '--snaphot' found\n\n  tip: a similar argument exists: '--snapshot'\n  \
                     tip: another\n\nUsage: fluxkeep preflight [OPTIONS]\n\nFor more information, try '--help'.\n";
        assert_eq!(
            one_line(error),
            "error: unexpected argument '--snaphot' found; tip: a similar argument exists: '--snapshot'; tip: another"
        );
    }

    #[test]
    fn values_that_are_possible_stay_in_the_line_and_without_a_tip_help_is_named() {
        let error = "error: invalid value 'xml' for '--output <FORMAT>'\n  [possible values: text, json]\n\n\
                     For more information, try '--help'.\n";
        assert_eq!(
            one_line(error),
            "error: invalid value 'xml' for '--output <FORMAT>' [possible values: text, json]; try --help"
        );
    }
}
