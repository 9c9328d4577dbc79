//! CEL expressions for admission conditions.
//!
//! A condition that fails to evaluate refuses the request if the webhook fails closed. So `has()`
//! guards each optional field, and `request.namespace` stands behind a namespaced resource. Names
//! come from the object: requests about a namespace's content carry none. The test suite evaluates
//! every condition over every rule's fixtures.

use std::fmt::Write;

/// The live object, on UPDATE and DELETE.
pub(super) const OLD: &str = "oldObject";
/// The written object, on CREATE and UPDATE.
pub(super) const NEW: &str = "object";

/// A CEL string literal. The apiserver refuses a literal that holds a line break.
pub(super) fn text(value: &str) -> String {
    let mut literal = "'".to_owned();
    for character in value.chars() {
        match character {
            '\\' => literal.push_str(r"\\"),
            '\'' => literal.push_str(r"\'"),
            '\n' => literal.push_str(r"\n"),
            control if control.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(literal, r"\u{:04x}", u32::from(control));
            }
            other => literal.push(other),
        }
    }
    literal.push('\'');
    literal
}

/// A CEL list literal of strings.
pub(super) fn list<T: AsRef<str>>(values: &[T]) -> String {
    let values: Vec<_> = values.iter().map(|value| text(value.as_ref())).collect();
    format!("[{}]", values.join(", "))
}

/// True if at least one condition holds.
pub(super) fn any(conditions: impl IntoIterator<Item = String>) -> String {
    joined(conditions, " || ")
}

/// True if all conditions hold.
pub(super) fn all(conditions: impl IntoIterator<Item = String>) -> String {
    joined(conditions, " && ")
}

/// True if the condition does not hold.
pub(super) fn not(condition: &str) -> String {
    format!("!({condition})")
}

/// Joins conditions in parentheses, so that the result can stand inside any expression.
fn joined(conditions: impl IntoIterator<Item = String>, word: &str) -> String {
    let conditions: Vec<_> = conditions.into_iter().collect();
    match conditions.as_slice() {
        [only] => only.clone(),
        many => format!("({})", many.join(word)),
    }
}

/// True if the request is for this resource.
pub(super) fn is_resource(resource: &str) -> String {
    format!("request.resource.resource == {}", text(resource))
}

/// True if the request is for one of these resources.
pub(super) fn is_resource_in(resources: &[&str]) -> String {
    format!("request.resource.resource in {}", list(resources))
}

/// True if the object's name is in the list.
pub(super) fn is_named<T: AsRef<str>>(object: &str, names: &[T]) -> String {
    format!("{object}.metadata.name in {}", list(names))
}

/// True if the object has this annotation, with any value.
pub(super) fn is_annotated(object: &str, key: &str) -> String {
    let marks = format!("{object}.metadata.annotations");
    all([format!("has({marks})"), format!("{} in {marks}", text(key))])
}

/// True if the object's name starts with `start`.
pub(super) fn starts_with(object: &str, start: &str) -> String {
    format!("{object}.metadata.name.startsWith({})", text(start))
}

/// True if an update changes this part, or if the part is missing in either object.
pub(super) fn differs(part: &str) -> String {
    format!("!has({NEW}.{part}) || !has({OLD}.{part}) || {NEW}.{part} != {OLD}.{part}")
}

/// A list; empty if it is absent or null.
pub(super) fn items(list: &str) -> String {
    format!("(has({list}) && {list} != null ? {list} : [])")
}

/// A string field below `spec`; empty if the field or one of its parents is missing.
pub(super) fn optional(object: &str, field: &str) -> String {
    let mut path = format!("{object}.spec");
    let mut has = vec![format!("has({path})")];
    for part in field.split('.') {
        path = format!("{path}.{part}");
        has.push(format!("has({path})"));
    }
    format!("({} ? {path} : '')", has.join(" && "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_holds_no_line_break_and_ends_where_it_should() {
        let literal = text("a\r\n\t\u{0}\u{85}'\\");
        assert_eq!(literal, r"'a\u000d\n\u0009\u0000\u0085\'\\'");
    }
}
