//! Names the parts of a document that a caller reads.

use serde_json::{Map, Value};

/// The parts of a document that a caller reads. The rest is parsed for its structure and dropped.
///
/// A value of another type than the tree expects is kept as a value of that type, without what is in it: an empty
/// list or map, or the scalar itself. So the typed layer above can refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paths {
    /// The value, whole.
    Whole,
    /// The value, whole to this depth, at most 16: a map or list that is nested deeper is empty. `Nested(0)` is a scalar.
    Nested(u8),
    /// A map: these keys, each read as told. Other keys are dropped; a key whose value is null is absent.
    Keys(&'static [(&'static str, Paths)]),
    /// A map of texts: the keys that begin with one of these prefixes ("" keeps every key). A null value is an empty
    /// text, as Go decodes it into `map[string]string`.
    Prefixed(&'static [&'static str]),
    /// A list, each item read as told. A null item is an empty map or list, as Go decodes it.
    Items(&'static Paths),
}

/// One level less of [`Paths::Nested`] for each index.
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

/// The parts of what is one level deeper. `None`: nothing of it is kept.
fn below(depth: u8) -> Option<&'static Paths> {
    NESTED.get(usize::from(depth).checked_sub(1)?)
}

/// What becomes of the value of a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// It is dropped.
    Dropped,
    /// It is read; where it is null, the key is absent.
    Read(&'static Paths),
    /// It is kept as a text; where it is null, an empty one.
    Text,
    /// It is kept as deep as told, as is a null.
    Kept(&'static Paths),
}

impl Paths {
    /// What becomes of a key's value, where this is a map.
    pub(crate) fn key(&'static self, key: &str) -> Part {
        match self {
            Self::Whole => Part::Kept(self),
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

    /// How each item is read, where this is a list. `None`: the items are dropped.
    pub(crate) fn item(&'static self) -> Option<&'static Self> {
        match self {
            Self::Whole => Some(self),
            Self::Nested(depth) => below(*depth),
            Self::Items(item) => Some(item),
            Self::Keys(_) | Self::Prefixed(_) => None,
        }
    }

    /// An item in the place of a null one.
    pub(crate) fn empty(&self) -> Value {
        match self {
            Self::Whole | Self::Nested(_) => Value::Null,
            Self::Keys(_) | Self::Prefixed(_) => Value::Object(Map::new()),
            Self::Items(_) => Value::Array(Vec::new()),
        }
    }
}

impl Part {
    /// How the value is read. `None`: it is dropped.
    pub(crate) fn paths(self) -> Option<&'static Paths> {
        match self {
            Self::Dropped => None,
            Self::Read(paths) | Self::Kept(paths) => Some(paths),
            // A text is a scalar: of a map or a list in its place, the type is enough.
            Self::Text => Some(&Paths::Prefixed(&[])),
        }
    }

    /// Puts a value that was read under its key. Of two equal keys the later one counts.
    pub(crate) fn put(self, map: &mut Map<String, Value>, key: String, value: Value) {
        match (self, value) {
            (Self::Dropped, _) => {}
            (Self::Read(_), Value::Null) => {
                map.remove(&key);
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

/// The parts of a value that is there already.
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
            // A null is an absent key, an empty text, or a null in what is whole.
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
            // Another type than the tree expects stays one.
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
            // A space keeps it from being JSON.
            let yaml = text.replacen('{', "{? ", 1);
            for text in [text, &yaml] {
                let read = documents(text).first().unwrap().read_paths(&OBJECT);
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
                documents(text).first().unwrap().read_paths(&OBJECT),
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
