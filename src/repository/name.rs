//! Follows a reference from the place that uses a version to the place that defines it.
//!
//! One rule serves all languages: `${X}`, `$(X)`, `$X`, `{{ x }}`, `${{ x }}`, `var.x`, `local.x`. The definition is looked for in
//! the same file, then the same folder, then the repository, where all definitions must agree. A
//! default in the reference counts last.

use super::hcl::blocks;
use super::text::{Text, Value};

/// Most references from one to the next.
const MOST_HOPS: usize = 4;

/// The end of a chain of references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// The value, and the index of the file that defines it.
    Value(usize, Value),
    /// The value is computed by a program, or is no version: no pin.
    Computed,
    /// Nothing defines the reference, or its definitions differ. The text says so.
    Unknown(String),
}

/// Follows the references of a value.
#[must_use]
pub fn resolve(texts: &[Text], file: usize, value: &Value) -> Resolved {
    follow(texts, file, value, &mut Vec::new())
}

fn follow(texts: &[Text], file: usize, value: &Value, seen: &mut Vec<String>) -> Resolved {
    let Some(reference) = Reference::read(value) else {
        return Resolved::Value(file, value.clone());
    };
    if reference
        .name
        .contains(|letter: char| letter.is_whitespace())
    {
        return Resolved::Computed;
    }
    let is_open = seen.len() < MOST_HOPS && !seen.contains(&reference.name);
    let name = reference.name.clone();
    seen.push(name.clone());
    let found = if is_open {
        definition(texts, file, &name)
    } else {
        Ok(None)
    };
    let found = match found {
        Ok(None) if is_open => Ok(variable(texts, &name)),
        found => found,
    };
    match (found, reference.default) {
        (Err(why), _) => Resolved::Unknown(why),
        (Ok(Some((file, value))), _) => follow(texts, file, &value, seen),
        (Ok(None), Some(default)) => follow(texts, file, &default, seen),
        (Ok(None), None) => Resolved::Unknown(format!("nothing in the repository defines {name}")),
    }
}

struct Reference {
    name: String,
    default: Option<Value>,
}

impl Reference {
    /// The reference in a value, if there is one. A `v` may stand in front.
    fn read(value: &Value) -> Option<Self> {
        let text = value.text.as_str();
        if let Some(name) = text
            .strip_prefix("var.")
            .or_else(|| text.strip_prefix("local."))
        {
            return Some(Self {
                name: name.to_owned(),
                default: None,
            });
        }
        let start = text.find(['$', '{'])?;
        let rest = text.get(start..)?;
        let opens = [
            ("${{", "}}"),
            ("{{", "}}"),
            ("${", "}"),
            ("$(", ")"),
            ("$", ""),
        ];
        let (open, close) = opens.into_iter().find(|(open, _)| rest.starts_with(open))?;
        let inner = rest.get(open.len()..)?;
        let end = if close.is_empty() {
            inner
                .find(|letter: char| !is_word(letter))
                .unwrap_or(inner.len())
        } else {
            inner.rfind(close)?
        };
        let inner = inner.get(..end)?;
        let offset = value.span.start + start + open.len();
        let (name, default) = split(inner);
        let default = default.map(|at| {
            let text = inner.get(at..).unwrap_or_default();
            let trimmed = text.trim_matches([' ', '"', '\'', ')']);
            let from = offset + at + text.find(trimmed).unwrap_or_default();
            Value {
                text: trimmed.to_owned(),
                span: from..from + trimmed.len(),
            }
        });
        Some(Self {
            name: unscoped(name.trim()).to_owned(),
            default,
        })
    }
}

/// The name in a reference, and the offset of its default.
fn split(inner: &str) -> (&str, Option<usize>) {
    for mark in [":-", ":=", "default(", "default "] {
        if let Some(at) = inner.find(mark) {
            let name = inner.get(..at).unwrap_or_default();
            return (name.trim_end_matches([' ', '|']), Some(at + mark.len()));
        }
    }
    (inner, None)
}

/// The name without the scope that a language puts in front.
fn unscoped(name: &str) -> &str {
    let scopes = ["env.", "vars.", "inputs.", "var.", "local.", "global."];
    let found = scopes.iter().find_map(|scope| name.strip_prefix(scope));
    found.unwrap_or(name)
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

type Found = Result<Option<(usize, Value)>, String>;

/// The definition of a name, nearest first.
fn definition(texts: &[Text], file: usize, name: &str) -> Found {
    let Some(own) = texts.get(file) else {
        return Ok(None);
    };
    let near = |text: &Text| text.path == own.path;
    let beside = |text: &Text| text.folder() == own.folder();
    let anywhere = |_: &Text| true;
    let scopes: [&dyn Fn(&Text) -> bool; 3] = [&near, &beside, &anywhere];
    for scope in scopes {
        let mut found: Option<(usize, Value)> = None;
        for (number, text) in texts.iter().enumerate().filter(|(_, text)| scope(text)) {
            for value in definitions(text, name) {
                // A module's argument that passes the name on defines nothing.
                if value.text == format!("var.{name}") || value.text == format!("${{var.{name}}}") {
                    continue;
                }
                match &found {
                    Some((_, first)) if first.text != value.text => {
                        return Err(format!("the definitions of {name} differ"));
                    }
                    Some(_) => {}
                    None => found = Some((number, value)),
                }
            }
        }
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The default of a Terraform variable, if all variables of the name agree.
fn variable(texts: &[Text], name: &str) -> Option<(usize, Value)> {
    let mut found: Option<(usize, Value)> = None;
    for (number, text) in texts.iter().enumerate() {
        let head = format!("variable \"{name}\"");
        for block in blocks(text, &head) {
            let Some(value) = block.value("default") else {
                continue;
            };
            if found
                .as_ref()
                .is_some_and(|(_, first)| first.text != value.text)
            {
                return None;
            }
            found = found.or(Some((number, value)));
        }
    }
    found
}

/// The values that a text gives to a name: `X=1`, `X ?= 1`, `x: 1`, `name: X` before `value: 1`.
fn definitions(text: &Text, name: &str) -> Vec<Value> {
    let mut values = Vec::new();
    for at in text.find(name) {
        let line = text.line(at);
        let before = text.slice(line.start..at);
        let last = before.chars().last();
        if last.is_some_and(|last| is_word(last) || "{$(.-/".contains(last)) {
            continue;
        }
        let end = at + name.len();
        let rest = text.slice(end..line.end);
        if rest.chars().next().is_some_and(is_word) {
            continue;
        }
        let assigned = assigned(text, end, line.end);
        let listed = before
            .trim_end()
            .trim_end_matches(['"', '\''])
            .trim_end()
            .ends_with("name:");
        values.extend(assigned.or_else(|| {
            if listed {
                next_value(text, line.end)
            } else {
                None
            }
        }));
    }
    values
}

/// The value behind an assignment that begins at a byte.
fn assigned(text: &Text, at: usize, end: usize) -> Option<Value> {
    let rest = text.slice(at..end);
    let rest = rest.trim_start_matches(['"', '\'']).trim_start();
    let operators = ["?=", "::=", ":=", "=", ":"];
    let operator = operators.into_iter().find(|one| rest.starts_with(one))?;
    let behind = rest.get(operator.len()..)?;
    let value = behind.trim_start().trim_start_matches(['"', '\'']);
    if value.is_empty() || behind.starts_with(['=', '-']) {
        return None;
    }
    let value = text.token(end - value.len(), &['"', '\'', ',', ';', '}', ')']);
    (!value.text.is_empty()).then_some(value)
}

/// The value of `value:` on the next line.
fn next_value(text: &Text, end: usize) -> Option<Value> {
    let line = text.line(text.text.get(end..)?.find('\n')? + end + 1);
    let content = text.slice(line.clone()).trim_start();
    let rest = content.strip_prefix("value:")?;
    assigned(text, line.end - rest.len() - 1, line.end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::repository::zone::Zone;

    fn texts(files: &[(&str, &str)]) -> Vec<Text> {
        let read = |(path, text): &(&str, &str)| {
            Text::read((*path).to_owned(), (*text).to_owned(), Zone::Cluster)
        };
        files.iter().map(read).collect()
    }

    fn resolved(files: &[(&str, &str)], used: &str) -> Result<String, String> {
        let texts = texts(files);
        let value = texts
            .first()
            .unwrap()
            .token(texts.first().unwrap().text.find(used).unwrap(), &['/', '"']);
        match resolve(&texts, 0, &value) {
            Resolved::Value(file, value) => {
                let text = texts.get(file).unwrap();
                assert_eq!(text.slice(value.span.clone()), value.text);
                Ok(format!("{} {}", text.path, value.text))
            }
            Resolved::Computed => Err("computed".to_owned()),
            Resolved::Unknown(why) => Err(why),
        }
    }

    #[test]
    fn a_reference_leads_to_the_nearest_definition() {
        let make = [("Makefile", "X ?= 2.7.5\nboot:\n\tget v$(X)/install.yaml\n")];
        assert_eq!(resolved(&make, "v$(X)").unwrap(), "Makefile 2.7.5");
        let far = [
            ("a/boot.sh", "get ${X}/i\n"),
            ("a/.env", "X=v1\n"),
            ("b/.env", "X=v2\n"),
        ];
        assert_eq!(resolved(&far, "${X}").unwrap(), "a/.env v1");
        let yaml = [(
            "ci.yaml",
            "- name: X\n  value: \"v3\"\nrun: get ${{ env.X }}/i\n",
        )];
        assert_eq!(resolved(&yaml, "${{").unwrap(), "ci.yaml v3");
    }

    #[test]
    fn a_default_counts_last_and_a_program_is_no_pin() {
        let own = [("boot.sh", "X=${X:-v4}\nget $X/i\n")];
        assert_eq!(resolved(&own, "$X/").unwrap(), "boot.sh v4");
        let program = [("boot.sh", "get $(curl -s u)/i\n")];
        assert_eq!(resolved(&program, "$(curl").unwrap_err(), "computed");
        let differs = [
            ("c/boot.sh", "get $X/i\n"),
            ("a/.env", "X=v1\n"),
            ("b/.env", "X=v2\n"),
        ];
        assert!(resolved(&differs, "$X").unwrap_err().contains("differ"));
    }
}
