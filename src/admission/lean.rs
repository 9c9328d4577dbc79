//! Cuts the schemas in a CRD's review short. They are 97 of 100 bytes, and rules only ask which
//! fields of an object a schema keeps.
//!
//! A parser would skip them at the cost of half the review's time. This module looks only at a
//! schema's quotes and braces. A schema that occurred before is only compared: in most updates the
//! old and the new object have the same schemas.

use std::borrow::Cow;

use memchr::{memchr, memchr3, memmem};

use crate::crd::Schema;

/// The key of a schema, as Go writes it. In valid JSON its first quote can only open a key: inside
/// a string the quote would be escaped.
const KEY: &[u8] = br#""schema":{"#;

/// Most schemas to compare with. A CRD has a schema per version, and comparing each of thousands
/// with all earlier ones takes minutes.
const REMEMBERED: usize = 64;

/// Length of a review's beginning in which the apiserver names the object.
const HEAD: usize = 1 << 10;
/// The kind of a CRD, as the apiserver writes it.
const DEFINITION: &[u8] = br#""kind":"CustomResourceDefinition""#;

/// Returns the body of a review, with short schemas if its beginning names a CRD.
pub(super) fn of_definition(body: &[u8]) -> Cow<'_, [u8]> {
    let head = body.get(..HEAD).unwrap_or(body);
    if memmem::find(head, DEFINITION).is_some() {
        lean(body)
    } else {
        Cow::Borrowed(body)
    }
}

/// The short forms of a schema.
const EMPTY: &[u8] = br#"{"openAPIV3Schema":{}}"#;
const FULL: &[u8] = br#"{"openAPIV3Schema":{"x-kubernetes-preserve-unknown-fields":true}}"#;
const NAMED: &[u8] = br#"{"openAPIV3Schema":{"properties":{}}}"#;
const SPEC: &[u8] = br#"{"openAPIV3Schema":{"properties":{"spec":{}}}}"#;
const STATUS: &[u8] = br#"{"openAPIV3Schema":{"properties":{"status":{}}}}"#;
const SPEC_AND_STATUS: &[u8] = br#"{"openAPIV3Schema":{"properties":{"spec":{},"status":{}}}}"#;

/// Returns the body with a short schema for each schema. Returns the body unchanged if a schema does not end:
/// the parser reports invalid JSON.
fn lean(body: &[u8]) -> Cow<'_, [u8]> {
    pruned(body).map_or(Cow::Borrowed(body), Cow::Owned)
}

fn pruned(body: &[u8]) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    let mut passed: Vec<(&[u8], &'static [u8])> = Vec::new();
    let mut rest = body;
    while let Some(key) = memmem::find(rest, KEY) {
        let (head, schema) = rest.split_at_checked(key + KEY.len() - 1)?;
        let known = passed.iter().find(|(known, _)| schema.starts_with(known));
        let (length, short) = match known {
            Some((known, short)) => (known.len(), *short),
            None => shortened(schema)?,
        };
        let (schema, behind) = schema.split_at_checked(length)?;
        if known.is_none() && passed.len() < REMEMBERED {
            passed.push((schema, short));
        }
        kept.extend_from_slice(head);
        kept.extend_from_slice(short);
        rest = behind;
    }
    kept.extend_from_slice(rest);
    Some(kept)
}

/// The fields that a schema keeps, by the keys read so far.
struct Keys<'a> {
    /// The key of `openAPIV3Schema` that is being read.
    within: &'a [u8],
    schema: Schema,
}

impl<'a> Keys<'a> {
    /// Takes a key at this depth of braces, and the text behind its colon.
    fn take(&mut self, depth: usize, key: &'a [u8], value: &[u8]) {
        if depth == 2 {
            self.within = key;
            self.take_of_schema(key, value);
        } else if depth == 3 && self.within == b"properties" {
            self.take_field(key);
        }
    }

    fn take_of_schema(&mut self, key: &[u8], value: &[u8]) {
        match key {
            b"additionalProperties" => self.schema = Schema::Full,
            b"x-kubernetes-preserve-unknown-fields" if value.starts_with(b"true") => {
                self.schema = Schema::Full;
            }
            b"properties" if self.schema == Schema::Empty => {
                self.schema = Schema::Named {
                    spec: false,
                    status: false,
                };
            }
            _ => {}
        }
    }

    fn take_field(&mut self, name: &[u8]) {
        if let Schema::Named { spec, status } = &mut self.schema {
            *spec |= name == b"spec";
            *status |= name == b"status";
        }
    }

    /// The short form of the schema.
    fn short(&self) -> &'static [u8] {
        let Schema::Named { spec, status } = self.schema else {
            return if self.schema == Schema::Full {
                FULL
            } else {
                EMPTY
            };
        };
        match (spec, status) {
            (false, false) => NAMED,
            (true, false) => SPEC,
            (false, true) => STATUS,
            (true, true) => SPEC_AND_STATUS,
        }
    }
}

/// Returns the length of the schema at the beginning of a text, and its short form. `None` if the
/// schema does not end.
fn shortened(text: &[u8]) -> Option<(usize, &'static [u8])> {
    let mut keys = Keys {
        within: b"",
        schema: Schema::Empty,
    };
    let length = walked(text, |depth, key, value| keys.take(depth, key, value))?;
    if text.get(..length) == Some(b"{}") {
        return Some((length, b"{}"));
    }
    Some((length, keys.short()))
}

/// Returns the length of the object at the beginning of a text, and reports each key with its depth
/// of braces and the text behind its colon. `None` if the object does not end.
fn walked<'a>(text: &'a [u8], mut report: impl FnMut(usize, &'a [u8], &'a [u8])) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        let found = at + memchr3(b'"', b'{', b'}', text.get(at..)?)?;
        at = found + 1;
        match text.get(found)? {
            b'"' => {
                let length = string(text.get(at..)?)?;
                let content = text.get(at..at + length - 1)?;
                at += length;
                if let Some(value) = text.get(at..)?.strip_prefix(b":") {
                    report(depth, content, value);
                }
            }
            b'{' => depth += 1,
            _ => depth = depth.checked_sub(1)?,
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Returns the length of a string's content and closing quote. `None` if the string does not end.
fn string(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let quote = at + memchr(b'"', text.get(at..)?)?;
        at = quote + 1;
        let before = text.get(..quote)?.iter().rev();
        let backslashes = before.take_while(|byte| **byte == b'\\').count();
        // An odd number of backslashes escapes the quote.
        if backslashes.is_multiple_of(2) {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// Any JSON, with strings full of quotes, braces and other characters of structure.
    fn json() -> impl Strategy<Value = Value> {
        let text = "[\"\\\\{}:,a ]{0,90}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<u32>().prop_map(Value::from),
            text.prop_map(Value::from)
        ];
        leaf.prop_recursive(5, 60, 6, move |inner| {
            let map = prop::collection::btree_map(text, inner.clone(), 0..6);
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(Value::from),
                map.prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_object_ends_where_its_braces_close(value in json(), behind in "[\"{}a,]{0,80}") {
            let text = serde_json::json!({"a": value}).to_string();
            prop_assert_eq!(walked(format!("{text}{behind}").as_bytes(), |_, _, _| {}), Some(text.len()));
            let cut = text.len() - 1;
            prop_assert_eq!(walked(&text.as_bytes()[..cut], |_, _, _| {}), None);
        }

        #[test]
        fn only_schemas_are_left_out(first in json(), second in json(), other in json()) {
            let document = |first: &Value, second: &Value| serde_json::json!({
                "a": other, "object": {"versions": [{"name": "v1", "schema": {"x": first}}, {"schema": {"x": second}}]},
                "oldObject": {"schema": {"x": first}, "z": other},
            });
            let text = document(&first, &second).to_string();
            let mut expected = document(&first, &second);
            strip(&mut expected);
            let lean: Value = serde_json::from_slice(&lean(text.as_bytes())).unwrap();
            prop_assert_eq!(lean, expected);
        }
    }

    fn strip(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(strip),
            Value::Object(map) => {
                for (key, value) in map.iter_mut() {
                    if key == "schema" && value.is_object() {
                        *value = serde_json::json!({"openAPIV3Schema": {}});
                    } else {
                        strip(value);
                    }
                }
            }
            _ => {}
        }
    }

    #[test]
    fn a_short_schema_tells_which_fields_are_kept() {
        let short = |properties: &str| format!(r#"{{"openAPIV3Schema":{{{properties}}}}}"#);
        let full = short(r#""x-kubernetes-preserve-unknown-fields":true"#);
        let nested =
            r#""properties":{"spec":{},"status":{},"x-kubernetes-preserve-unknown-fields":true}"#;
        for (content, expected) in [
            (r#""type":"object""#.to_owned(), short("")),
            (format!(r#""allOf":[{{{nested}}}]"#), short("")),
            (
                format!(r#""description":"\"{nested}""#).replace(nested, "properties"),
                short(""),
            ),
            (r#""properties":{}"#.to_owned(), short(r#""properties":{}"#)),
            (
                format!(r#""properties":{{"x":{{{nested}}}}}"#),
                short(r#""properties":{}"#),
            ),
            (
                r#""properties":{"spec":{"type":"object"}},"type":"object""#.to_owned(),
                short(r#""properties":{"spec":{}}"#),
            ),
            (
                r#""properties":{"a":{"type":"spec"},"status":{"type":"object"}}"#.to_owned(),
                short(r#""properties":{"status":{}}"#),
            ),
            (
                r#""properties":{"spec":{"a":{"}":1}},"status":{}}"#.to_owned(),
                short(r#""properties":{"spec":{},"status":{}}"#),
            ),
            (
                r#""properties":{},"x-kubernetes-preserve-unknown-fields":true"#.to_owned(),
                full.clone(),
            ),
            (
                r#""x-kubernetes-preserve-unknown-fields":false"#.to_owned(),
                short(""),
            ),
            (r#""additionalProperties":{}"#.to_owned(), full),
        ] {
            let body = format!("{{\"schema\":{}}}", short(&content));
            let expected = format!("{{\"schema\":{expected}}}");
            let lean = lean(body.as_bytes());
            assert_eq!(String::from_utf8_lossy(&lean), expected, "{content}");
        }
        assert_eq!(*lean(br#"{"schema":{}}"#), *br#"{"schema":{}}"#);
    }

    #[test]
    fn what_does_not_end_is_left_to_the_parser() {
        let cut = br#"{"schema":{"a":"}"#;
        assert!(matches!(lean(cut), Cow::Borrowed(text) if text == cut));
    }
}
