//! Reads the fields of JSON that a caller wants.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use crate::paths::Paths;

/// Reads the fields of a JSON value. The later of two equal keys counts, like in Go.
///
/// # Errors
/// If the text is not JSON, or if more text follows the value. Also if a read field is nested
/// deeper than 127 levels. Skipped fields may be nested to any depth.
pub fn json(text: &[u8], paths: &'static Paths) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Seed { paths }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Describes a JSON error with its place but without the value: serde's text can repeat a Secret.
#[must_use]
pub fn shape(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = match text.split_once(' ').map(|(first, _)| first) {
        Some("missing" | "duplicate") => text.split(" at line").next().unwrap_or("wrong shape"),
        _ if error.is_data() => "a value has the wrong type",
        _ if error.is_eof() => "unexpected end",
        _ => "invalid JSON",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

/// Builds the fields of a value.
#[derive(Clone, Copy)]
struct Seed {
    paths: &'static Paths,
}

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        let Some(paths) = self.paths.item() else {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::Array(items));
        };
        while let Some(item) = seq.next_element_seed(Seed { paths })? {
            items.push(if item.is_null() { paths.empty() } else { item });
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<Cow<'_, str>>()? {
            let part = self.paths.key(&key);
            let Some(paths) = part.paths() else {
                entries.next_value::<IgnoredAny>()?;
                continue;
            };
            if *paths == Paths::Text {
                let text: Box<RawValue> = entries.next_value()?;
                put_text(&mut map, key.into_owned(), &text);
                continue;
            }
            let value = entries.next_value_seed(Seed { paths })?;
            part.put(&mut map, key.into_owned(), value);
        }
        Ok(Value::Object(map))
    }
}

/// Stores a value's text under its key. The later of two equal keys counts, and null means absent.
fn put_text(map: &mut Map<String, Value>, key: String, text: &RawValue) {
    if text.get() == "null" {
        map.remove(&key);
    } else {
        map.insert(key, Value::String(text.get().to_owned()));
    }
}

/// The scalar at a path of keys in JSON text, without building the rest. `None` if the path leads
/// nowhere, to a map or to a list, or if the text is not JSON.
#[must_use]
pub fn scalar_at(text: &str, path: &[&str]) -> Option<Value> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    At { path }.deserialize(&mut deserializer).ok()?
}

/// Finds the scalar at a path.
#[derive(Clone, Copy)]
struct At<'a> {
    path: &'a [&'a str],
}

impl At<'_> {
    fn found(self, value: Value) -> Option<Value> {
        self.path.is_empty().then_some(value)
    }
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<Value>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(self.found(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(self.found(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(self.found(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(self.found(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(self.found(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = entries.next_key::<Cow<'_, str>>()? {
            match self.path.split_first() {
                Some((first, path)) if *first == key => {
                    found = entries.next_value_seed(At { path })?;
                }
                _ => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_is_found_by_its_path() {
        let text = r#"{"a": {"b": "x", "n": 2.5, "b.c": 1}, "l": [{"b": 1}], "a": {"b": "y"}, "m": {"a": {}}}"#;
        let at = |path: &[&str]| scalar_at(text, path);
        assert_eq!(at(&["a", "b"]), Some(Value::from("y")), "the later key");
        for path in [
            &["a"][..],
            &["a", "n"],
            &["l", "b"],
            &["l"],
            &["m", "a"],
            &["x"],
            &[],
        ] {
            assert_eq!(at(path), None, "{path:?}");
        }
        assert_eq!(scalar_at("{\"a\": ", &["a"]), None);
    }
}
