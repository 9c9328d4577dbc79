//! Cuts the schemas in a CRD's review short. They are 97 of 100 bytes, and rules only ask whether a
//! schema keeps any field.
//!
//! A parser would skip them at the cost of half the review's time. This module looks only at a
//! schema's quotes and braces. A schema that occurred before is only compared: in most updates the
//! old and the new object have the same schemas.

use std::borrow::Cow;

use memchr::{memchr, memchr3, memmem};

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

/// A schema that keeps fields, and one that keeps none.
const FULL: &[u8] = br#"{"openAPIV3Schema":{"properties":{}}}"#;
const EMPTY: &[u8] = br#"{"openAPIV3Schema":{}}"#;
/// The keys of a schema by which it keeps fields.
const KEEPING: [&[u8]; 3] = [
    br#""properties":{"#,
    br#""additionalProperties":"#,
    br#""x-kubernetes-preserve-unknown-fields":true"#,
];

/// Returns the body with a short schema for each schema. Returns the body unchanged if a schema does not end:
/// the parser reports invalid JSON.
fn lean(body: &[u8]) -> Cow<'_, [u8]> {
    pruned(body).map_or(Cow::Borrowed(body), Cow::Owned)
}

fn pruned(body: &[u8]) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    let mut passed: Vec<&[u8]> = Vec::new();
    let mut rest = body;
    while let Some(key) = memmem::find(rest, KEY) {
        let (head, schema) = rest.split_at_checked(key + KEY.len() - 1)?;
        let known = passed
            .iter()
            .find(|known| schema.starts_with(known))
            .map(|known| known.len());
        let (schema, behind) = schema.split_at_checked(known.or_else(|| object(schema))?)?;
        if known.is_none() && passed.len() < REMEMBERED {
            passed.push(schema);
        }
        kept.extend_from_slice(head);
        kept.extend_from_slice(short(schema));
        rest = behind;
    }
    kept.extend_from_slice(rest);
    Some(kept)
}

/// The short form of a schema that tells whether it keeps fields.
fn short(schema: &[u8]) -> &'static [u8] {
    let keeps = |key: &&[u8]| memmem::find(schema, key).is_some();
    if schema == b"{}" {
        b"{}"
    } else if KEEPING.iter().any(keeps) {
        FULL
    } else {
        EMPTY
    }
}

/// Returns the length of the object at the beginning of a text. `None` if the object does not end.
fn object(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        let found = at + memchr3(b'"', b'{', b'}', text.get(at..)?)?;
        at = found + 1;
        match text.get(found)? {
            b'"' => at += string(text.get(at..)?)?,
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
            prop_assert_eq!(object(format!("{text}{behind}").as_bytes()), Some(text.len()));
            let cut = text.len() - 1;
            prop_assert_eq!(object(&text.as_bytes()[..cut]), None);
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
    fn a_short_schema_tells_whether_fields_are_kept() {
        let full = r#"{"openAPIV3Schema":{"properties":{}}}"#;
        let empty = r#"{"openAPIV3Schema":{}}"#;
        for (schema, expected) in [
            ("{}", "{}"),
            (r#"{"openAPIV3Schema":{"type":"object"}}"#, empty),
            (
                r#"{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object"}}}}"#,
                full,
            ),
            (
                r#"{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}"#,
                full,
            ),
        ] {
            let body = format!("{{\"schema\":{schema}}}");
            let expected = format!("{{\"schema\":{expected}}}");
            assert_eq!(*lean(body.as_bytes()), *expected.as_bytes(), "{schema}");
        }
    }

    #[test]
    fn what_does_not_end_is_left_to_the_parser() {
        let cut = br#"{"schema":{"a":"}"#;
        assert!(matches!(lean(cut), Cow::Borrowed(text) if text == cut));
    }
}
