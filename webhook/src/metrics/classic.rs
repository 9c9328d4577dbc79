//! The classic Prometheus text format, made from OpenMetrics. Scrapers that accept no OpenMetrics
//! stop at its type `info` and at names without `_total`.

/// The media type of [`of`].
pub(crate) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The same samples with the headers of the classic format.
pub(crate) fn of(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut help = "";
    for line in open.lines() {
        if let Some(about) = line.strip_prefix("# HELP ") {
            help = about.split_once(' ').map_or("", |(_, words)| words);
        } else if let Some(about) = line.strip_prefix("# TYPE ") {
            let (name, kind) = about.split_once(' ').unwrap_or((about, "unknown"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            let headers = [
                "# HELP ",
                name,
                suffix,
                " ",
                help,
                "\n# TYPE ",
                name,
                suffix,
                " ",
                kind,
            ];
            text += &headers.concat();
            text.push('\n');
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_infos_are_named_as_their_samples_and_nothing_else_changes() {
        let open = "# HELP a Words of it.\n# TYPE a counter\na_total{b=\"c\"} 1\n# HELP d D.\n# TYPE d gauge\n\
                    # UNIT d seconds\nd 2\n# HELP e E.\n# TYPE e info\ne_info{v=\"1\"} 1\n# EOF\n";
        let classic = "# HELP a_total Words of it.\n# TYPE a_total counter\na_total{b=\"c\"} 1\n# HELP d D.\n\
                       # TYPE d gauge\nd 2\n# HELP e_info E.\n# TYPE e_info gauge\ne_info{v=\"1\"} 1\n";
        assert_eq!(of(open), classic);
    }
}
