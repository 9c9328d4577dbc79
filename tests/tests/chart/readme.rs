//! The chart's README: a text and a table made from the comments in values.yaml.

use crate::root;

const ABOUT: &str = include_str!("readme.md");

/// A documented value.
struct Documented {
    path: String,
    default: String,
    text: String,
}

pub(crate) fn page() -> String {
    let text = std::fs::read_to_string(root().join("charts/fluxkeep/values.yaml")).unwrap();
    let mut page = format!(
        "<!-- Written by `make docs` from values.yaml and tests/tests/chart/readme.md. -->\n{ABOUT}\n## Values\n\n\
         | value | default | meaning |\n|---|---|---|\n"
    );
    for value in documented(&text) {
        let meaning = value.text.replace('|', "\\|");
        page += &[
            "| `",
            &value.path,
            "` | `",
            &value.default,
            "` | ",
            &meaning,
            " |\n",
        ]
        .concat();
    }
    page
}

/// Each key below a comment that starts with `# --`. Its default stands on the key's line.
fn documented(text: &str) -> Vec<Documented> {
    let mut found = Vec::new();
    let mut parents: Vec<&str> = Vec::new();
    let mut comment = String::new();
    for line in text.lines() {
        let trimmed = line.trim_start();
        let depth = (line.len() - trimmed.len()) / 2;
        if let Some(start) = trimmed.strip_prefix("# -- ") {
            start.clone_into(&mut comment);
        } else if let Some(more) = trimmed.strip_prefix("# ") {
            comment = [&comment, " ", more].concat();
        } else if let Some((key, default)) = trimmed.split_once(':') {
            parents.truncate(depth);
            parents.push(key);
            let default = default.trim().to_owned();
            if !default.is_empty() {
                assert!(!comment.is_empty(), "values.yaml: {key} has no comment");
                let text = std::mem::take(&mut comment);
                let path = parents.join(".");
                found.push(Documented {
                    path,
                    default,
                    text,
                });
            }
        }
        if trimmed.is_empty() {
            comment.clear();
        }
    }
    found
}
