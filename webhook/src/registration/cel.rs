//! CEL in the dialect of admission.
//!
//! A condition that fails to evaluate refuses the request where the webhook fails closed. So
//! everything that may be absent is asked for by `has()` first, `request.namespace` only behind a
//! namespaced resource, and names are the object's: the request of a namespace's content has none.

/// The object as it lives, on UPDATE and DELETE.
pub(super) const OLD: &str = "oldObject";
/// The object as it is written, on CREATE and UPDATE.
pub(super) const NEW: &str = "object";

/// A string literal.
pub(super) fn text(value: &str) -> String {
    format!(
        "'{}'",
        value
            .replace('\\', r"\\")
            .replace('\'', r"\'")
            .replace('\n', r"\n")
    )
}

/// A list literal.
pub(super) fn list<T: AsRef<str>>(values: &[T]) -> String {
    let values: Vec<_> = values.iter().map(|value| text(value.as_ref())).collect();
    format!("[{}]", values.join(", "))
}

/// True where one is.
pub(super) fn any(conditions: impl IntoIterator<Item = String>) -> String {
    joined(conditions, " || ")
}

/// True where each is.
pub(super) fn all(conditions: impl IntoIterator<Item = String>) -> String {
    joined(conditions, " && ")
}

/// True where the condition is not.
pub(super) fn not(condition: &str) -> String {
    format!("!({condition})")
}

/// In parentheses, so that each stands by itself wherever it is put.
fn joined(conditions: impl IntoIterator<Item = String>, word: &str) -> String {
    let conditions: Vec<_> = conditions.into_iter().collect();
    match conditions.as_slice() {
        [only] => only.clone(),
        many => format!("({})", many.join(word)),
    }
}

/// Whether the request is about this resource.
pub(super) fn is_resource(resource: &str) -> String {
    format!("request.resource.resource == {}", text(resource))
}

/// Whether the request is about one of these resources.
pub(super) fn is_resource_in(resources: &[&str]) -> String {
    format!("request.resource.resource in {}", list(resources))
}

/// Whether the object has this name or another of the list.
pub(super) fn is_named<T: AsRef<str>>(object: &str, names: &[T]) -> String {
    format!("{object}.metadata.name in {}", list(names))
}

/// Whether the object carries this annotation, whatever its value.
pub(super) fn is_annotated(object: &str, key: &str) -> String {
    let marks = format!("{object}.metadata.annotations");
    all([format!("has({marks})"), format!("{} in {marks}", text(key))])
}

/// Whether the object's name begins like this.
pub(super) fn starts_with(object: &str, start: &str) -> String {
    format!("{object}.metadata.name.startsWith({})", text(start))
}

/// Whether an update changes this part of the object, or there is none to compare.
pub(super) fn differs(part: &str) -> String {
    format!("!has({NEW}.{part}) || !has({OLD}.{part}) || {NEW}.{part} != {OLD}.{part}")
}

/// A text below `spec`; empty where it, or anything above it, is not there.
pub(super) fn optional(object: &str, field: &str) -> String {
    let mut path = format!("{object}.spec");
    let mut has = vec![format!("has({path})")];
    for part in field.split('.') {
        path = format!("{path}.{part}");
        has.push(format!("has({path})"));
    }
    format!("({} ? {path} : '')", has.join(" && "))
}
