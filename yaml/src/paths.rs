//! Names the fields of a document that a caller reads.

use serde_json::{Map, Value};

/// The fields of a document that a caller reads. The rest is parsed for its structure and dropped.
///
/// A value of an unexpected type keeps its type but not its content: an empty list or map, or the
/// scalar itself. So the typed layer above can refuse the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paths {
    /// The whole value.
    Whole,
    /// The value's JSON text, as a string; only for the value of a key. Its author chooses its shape,
    /// and a tree of small maps takes a hundred times the memory of its text.
    Text,
    /// The value to this depth, at most 16; deeper maps and lists are empty. 0 is a scalar.
    Nested(u8),
    /// A map with these keys and their paths. Other keys are dropped; a null value means absent.
    Keys(&'static [(&'static str, Paths)]),
    /// A map of strings: the keys that begin with one of these prefixes ("" keeps every key). A
    /// null value is an empty string, as Go decodes it into `map[string]string`.
    Prefixed(&'static [&'static str]),
    /// A list, its items read by these paths. A null item is an empty map or list, like in Go.
    Items(&'static Paths),
}

/// [`Paths::Nested`] of each depth, by index.
static NESTED: [Paths; 16] = [
    Paths::Nested(0),
    Paths::Nested(1),
    Paths::Nested(2),
    Paths::Nested(3),
    Paths::Nested(4),
    Paths::Nested(5),
    Paths::Nested(6),
    Paths::Nested(7),
    Paths::Nested(8),
    Paths::Nested(9),
    Paths::Nested(10),
    Paths::Nested(11),
    Paths::Nested(12),
    Paths::Nested(13),
    Paths::Nested(14),
    Paths::Nested(15),
];

/// The paths of the next level. `None` if nothing of it is kept.
fn below(depth: u8) -> Option<&'static Paths> {
    NESTED.get(usize::from(depth).checked_sub(1)?)
}

/// The treatment of a key's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// The value is dropped.
    Dropped,
    /// The value is read; a key with null is absent.
    Read(&'static Paths),
    /// The value is kept as a string; null becomes an empty string.
    Text,
    /// The value is kept to its depth; null is kept, too.
    Kept(&'static Paths),
}

impl Paths {
    /// The treatment of a key's value in a map.
    pub(crate) fn key(&'static self, key: &str) -> Part {
        match self {
            Self::Whole | Self::Text => Part::Kept(&Self::Whole),
            Self::Nested(depth) => below(*depth).map_or(Part::Dropped, Part::Kept),
            Self::Keys(keys) => match keys.iter().find(|(name, _)| *name == key) {
                Some((_, paths)) => Part::Read(paths),
                None => Part::Dropped,
            },
            Self::Prefixed(prefixes) if prefixes.iter().any(|prefix| key.starts_with(prefix)) => {
                Part::Text
            }
            Self::Prefixed(_) | Self::Items(_) => Part::Dropped,
        }
    }

    /// The paths of a list's items. `None` if the items are dropped.
    pub(crate) fn item(&'static self) -> Option<&'static Self> {
        match self {
            Self::Whole | Self::Text => Some(&Self::Whole),
            Self::Nested(depth) => below(*depth),
            Self::Items(item) => Some(item),
            Self::Keys(_) | Self::Prefixed(_) => None,
        }
    }

    /// The replacement of a null item.
    pub(crate) fn empty(&self) -> Value {
        match self {
            Self::Whole | Self::Text | Self::Nested(_) => Value::Null,
            Self::Keys(_) | Self::Prefixed(_) => Value::Object(Map::new()),
            Self::Items(_) => Value::Array(Vec::new()),
        }
    }
}

impl Part {
    /// The paths of the value. `None` if the value is dropped.
    pub(crate) fn paths(self) -> Option<&'static Paths> {
        match self {
            Self::Dropped => None,
            Self::Read(paths) | Self::Kept(paths) => Some(paths),
            // A string is a scalar. A map or list in its place keeps only its type.
            Self::Text => Some(&Paths::Prefixed(&[])),
        }
    }

    /// Stores a value under its key. The later of two equal keys counts.
    pub(crate) fn put(self, map: &mut Map<String, Value>, key: String, value: Value) {
        match (self, value) {
            (Self::Dropped, _) => {}
            (Self::Read(_), Value::Null) => {
                map.remove(&key);
            }
            (Self::Read(Paths::Text), value) => {
                map.insert(key, Value::String(value.to_string()));
            }
            (Self::Text, Value::Null) => {
                map.insert(key, Value::String(String::new()));
            }
            (_, value) => {
                map.insert(key, value);
            }
        }
    }
}

/// The fields of a value that was already read.
pub(crate) fn project(value: Value, paths: &'static Paths) -> Value {
    match value {
        Value::Array(items) => {
            let Some(item) = paths.item() else {
                return Value::Array(Vec::new());
            };
            let read = items.into_iter().map(|value| match value {
                Value::Null => item.empty(),
                value => project(value, item),
            });
            Value::Array(read.collect())
        }
        Value::Object(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let part = paths.key(&key);
                if let Some(paths) = part.paths() {
                    part.put(&mut map, key, project(value, paths));
                }
            }
            Value::Object(map)
        }
        scalar => scalar,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{documents, json};
    use serde_json::json;

    const OBJECT: Paths = Paths::Keys(&[
        ("kind", Paths::Whole),
        (
            "metadata",
            Paths::Keys(&[("labels", Paths::Prefixed(&["helm.sh/", "app"]))]),
        ),
        (
            "versions",
            Paths::Items(&Paths::Keys(&[("name", Paths::Whole)])),
        ),
        ("lists", Paths::Items(&Paths::Items(&Paths::Whole))),
        ("nested", Paths::Nested(2)),
        ("free", Paths::Text),
    ]);

    #[test]
    fn yaml_and_json_give_the_same_parts() {
        for (text, expected) in [
            (
                r#"{"kind": "A", "other": {"kind": [1]}, "metadata": {"name": "x", "labels": {"app": "y", "b": "z"}}}"#,
                json!({"kind": "A", "metadata": {"labels": {"app": "y"}}}),
            ),
            (
                r#"{"versions": [{"name": "v1", "schema": {"a": 1}}, null, {"schema": {}}]}"#,
                json!({"versions": [{"name": "v1"}, {}, {}]}),
            ),
            (
                r#"{"lists": [[1, null], null, []]}"#,
                json!({"lists": [[1, null], [], []]}),
            ),
            // Null is an absent key, an empty string, or null in a whole value.
            (
                r#"{"kind": null, "metadata": null, "versions": null}"#,
                json!({}),
            ),
            (
                r#"{"kind": {"a": null}, "metadata": {"labels": {"app": null}}}"#,
                json!({"kind": {"a": null}, "metadata": {"labels": {"app": ""}}}),
            ),
            (
                r#"{"nested": {"a": {"b": {"c": 1}, "d": null}, "e": [[1], 2, null]}}"#,
                json!({"nested": {"a": {"b": {}, "d": null}, "e": [[], 2, null]}}),
            ),
            // A text is read later, if at all.
            (
                r#"{"free": {"a":[{"b":null},1.5,"é"]}}"#,
                json!({"free": r#"{"a":[{"b":null},1.5,"é"]}"#}),
            ),
            (r#"{"free": "x"}"#, json!({"free": r#""x""#})),
            (r#"{"free": null}"#, json!({})),
            // A value of an unexpected type keeps its type.
            (
                r#"{"metadata": [{"labels": 1}], "versions": {"name": "x"}}"#,
                json!({"metadata": [], "versions": {}}),
            ),
            (
                r#"{"metadata": {"labels": {"app": ["x"], "apps": {"y": 1}, "appz": 1}}, "versions": [3, "x"]}"#,
                json!({"metadata": {"labels": {"app": [], "apps": {}, "appz": 1}}, "versions": [3, "x"]}),
            ),
            (
                r#"{"metadata": "x", "versions": true}"#,
                json!({"metadata": "x", "versions": true}),
            ),
        ] {
            assert_eq!(
                json(text.as_bytes(), &OBJECT).unwrap(),
                expected,
                "JSON: {text}"
            );
            // A question mark and a space make the text YAML but not JSON.
            let yaml = text.replacen('{', "{? ", 1);
            for text in [text, &yaml] {
                let read = documents(text).next().unwrap().read_paths(&OBJECT);
                assert_eq!(read, Ok(expected.clone()), "{text}");
            }
        }
    }

    #[test]
    fn of_two_equal_keys_the_later_one_counts() {
        for (text, expected) in [
            (r#"{"kind": "A", "kind": "B"}"#, json!({"kind": "B"})),
            (r#"{"kind": "A", "kind": null}"#, json!({})),
            (
                r#"{"versions": [{"name": "a"}], "versions": [{"name": "b"}]}"#,
                json!({"versions": [{"name": "b"}]}),
            ),
        ] {
            assert_eq!(json(text.as_bytes(), &OBJECT).unwrap(), expected, "{text}");
            assert_eq!(
                documents(text).next().unwrap().read_paths(&OBJECT),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn json_that_is_deep_where_nobody_reads_is_passed_over() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let text = format!(r#"{{"kind": "A", "other": {deep}, "metadata": {{"other": {deep}}}}}"#);
        assert_eq!(
            json(text.as_bytes(), &OBJECT).unwrap(),
            json!({"kind": "A", "metadata": {}})
        );
        let text = format!(r#"{{"kind": {deep}}}"#);
        assert!(json(text.as_bytes(), &OBJECT).is_err());
    }

    #[test]
    fn what_follows_the_json_is_an_error() {
        assert!(json(b"{} x", &OBJECT).is_err());
        assert!(json(b"{\"kind\": ", &OBJECT).is_err());
    }
}
