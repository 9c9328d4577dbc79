//! A JSON value down to a fixed depth. A tenant may nest values deeper, but no code reads those.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

/// Levels of maps and lists that are kept. The deepest fields in use are a patch in a HelmRelease's
/// `postRenderers`, and a value at one of the policy's paths.
const DEPTH: usize = 24;

/// A value with null in place of maps and lists below a fixed depth.
///
/// Deeper values are skipped without recursion, so no depth makes the value unreadable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shallow(pub Value);

impl<'de> Deserialize<'de> for Shallow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Level(DEPTH).deserialize(deserializer).map(Self)
    }
}

/// The levels that may still be kept.
#[derive(Clone, Copy)]
struct Level(usize);

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.0 == 0 {
            return IgnoredAny::deserialize(deserializer).map(|_| Value::Null);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let below = Self(self.0 - 1);
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(below)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let below = Self(self.0 - 1);
        let mut entries = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            entries.insert(key, map.next_value_seed(below)?);
        }
        Ok(entries.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_not_deep_is_read_as_it_is() {
        let text = r#"{"a":[1,-2,2.5,"x",true,null,{"b":{}}]}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            serde_json::from_str::<Shallow>(text).unwrap(),
            Shallow(value)
        );
    }

    #[test]
    fn no_depth_makes_a_value_unreadable_and_what_stands_beside_it_is_read() {
        for depth in [DEPTH, 130, 100_000] {
            let (open, close) = (r#"{"a":["#.repeat(depth), "]}".repeat(depth));
            let text = format!(r#"{{"deep":{open}{close},"b":1}}"#);
            let Shallow(value) = serde_json::from_str(&text).unwrap();
            assert_eq!(value.get("b"), Some(&Value::from(1)), "{depth}");
            assert!(value.to_string().len() < 400, "{depth}");
        }
    }
}
