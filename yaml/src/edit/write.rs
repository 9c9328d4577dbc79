//! Writes text that all readers of YAML 1.1 and 1.2 read alike.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::scan::is_text;

/// True if a text needs no quotes in any place.
fn is_plain(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    is_text(text)
        && text.bytes().all(allowed)
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
}

/// A text in double quotes, which JSON and YAML read alike.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for one in text.chars() {
        match one {
            '"' | '\\' => out.extend(['\\', one]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // Not printable in YAML, or a line break for some reader; each fits into 16 bits.
            '\0'..' '
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(one));
            }
            _ => out.push(one),
        }
    }
    out.push('"');
    out
}

/// A value inside braces or brackets: JSON on one line.
pub(super) fn flow(value: &Value) -> String {
    let joined = |items: Vec<String>| items.join(", ");
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", joined(items.iter().map(flow).collect())),
        Value::Object(map) => format!("{{{}}}", flow_entries(map)),
        other => other.to_string(),
    }
}

/// Entries without the braces around them.
pub(super) fn flow_entries(map: &Map<String, Value>) -> String {
    map.iter()
        .map(|(key, value)| format!("{}: {}", quoted(key), flow(value)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The lines of a block map, each at this column and without a line end.
pub(super) fn block(map: &Map<String, Value>, column: usize) -> Vec<String> {
    map.iter()
        .flat_map(|(key, value)| entry(&word(key), value, column))
        .collect()
}

/// A scalar as a value or as a key.
pub(super) fn word(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// A value behind a colon or dash on the same line.
pub(super) fn inline(value: &Value) -> String {
    if let Value::String(text) = value {
        word(text)
    } else {
        flow(value)
    }
}

fn entry(head: &str, value: &Value, column: usize) -> Vec<String> {
    let indent = " ".repeat(column);
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut lines = vec![format!("{indent}{head}:")];
            lines.extend(block(map, column + 2));
            lines
        }
        Value::Array(items) if !items.is_empty() => {
            let mut lines = vec![format!("{indent}{head}:")];
            lines.extend(items.iter().flat_map(|value| item(value, column + 2)));
            lines
        }
        Value::String(text) if is_literal(text) => {
            let mut lines = vec![format!("{indent}{head}: |")];
            lines.extend(text.lines().map(|line| {
                if line.is_empty() {
                    String::new()
                } else {
                    format!("{indent}  {line}")
                }
            }));
            lines
        }
        other => vec![format!("{indent}{head}: {}", inline(other))],
    }
}

/// The lines of an item. A map or sequence begins behind the dash.
pub(super) fn item(value: &Value, column: usize) -> Vec<String> {
    let indent = " ".repeat(column);
    let mut lines = match value {
        Value::Object(map) if !map.is_empty() => block(map, column + 2),
        Value::Array(items) if !items.is_empty() => items
            .iter()
            .flat_map(|value| item(value, column + 2))
            .collect(),
        other => return vec![format!("{indent}- {}", inline(other))],
    };
    if let Some(first) = lines.first_mut() {
        first.replace_range(column..=column, "-");
    }
    lines
}

/// True if a text can be a literal block scalar: several lines of printable ASCII, a single line
/// end at the end, and no space or empty line at the start.
fn is_literal(text: &str) -> bool {
    let Some(lines) = text.strip_suffix('\n') else {
        return false;
    };
    let is_fine = |line: &str| line.is_empty() || !line.trim().is_empty();
    lines.contains('\n')
        && !lines.starts_with([' ', '\n'])
        && !lines.ends_with('\n')
        && lines.split('\n').all(is_fine)
        && lines
            .chars()
            .all(|one| one == '\n' || (' '..='~').contains(&one))
}
