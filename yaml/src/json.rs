//! Reads the fields of JSON that a caller wants.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
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
            let value = entries.next_value_seed(Seed { paths })?;
            part.put(&mut map, key.into_owned(), value);
        }
        Ok(Value::Object(map))
    }
}
