//! A review without schemas: 97 of 100 bytes of a CRD's, none of which is judged.
//!
//! serde skips what nobody asks for at 4 GB/s, which is half of a review's time. Here a schema is
//! passed 64 bytes at a time, and one that was passed before is only compared: in most updates the
//! old and the new object have the same.

// What is not inlined into the function that `dispatch!` makes for a kind of processor is compiled for the
// oldest one.
#![allow(clippy::inline_always)]

use std::borrow::Cow;

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch};
use memchr::memmem;

use crate::blocks::{bits, mask, padded};

/// As Go writes it. In valid JSON its first quote can only open a key: inside a string it would be
/// escaped.
const KEY: &[u8] = br#""schema":{"#;

/// So many schemas are remembered. A definition has a schema a version; comparing each of thousands with
/// all before it takes minutes.
const REMEMBERED: usize = 64;

/// What names the object stands within this many bytes of a review's beginning, as the apiserver writes it.
const HEAD: usize = 1 << 10;
/// So does the apiserver write the kind of a CRD.
const DEFINITION: &[u8] = br#""kind":"CustomResourceDefinition""#;

/// The body of a review; without schemas, where it begins as the apiserver writes that of a CRD.
pub(super) fn of_definition(body: &[u8]) -> Cow<'_, [u8]> {
    let head = body.get(..HEAD).unwrap_or(body);
    if memmem::find(head, DEFINITION).is_some() {
        lean(body)
    } else {
        Cow::Borrowed(body)
    }
}

/// The body with `{}` for each schema. As it is, where that is in doubt: what is not valid is for
/// the parser to tell.
fn lean(body: &[u8]) -> Cow<'_, [u8]> {
    // Twice as fast with what most processors can do beyond the oldest one; which one it is shows at run time.
    dispatch!(Level::new(), simd => pruned(simd, body)).map_or(Cow::Borrowed(body), Cow::Owned)
}

#[inline(always)]
fn pruned<S: Simd>(simd: S, body: &[u8]) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    let mut passed: Vec<&[u8]> = Vec::new();
    let mut rest = body;
    while let Some(key) = memmem::find(rest, KEY) {
        let (head, schema) = rest.split_at_checked(key + KEY.len() - 1)?;
        let known = passed
            .iter()
            .find(|known| schema.starts_with(known))
            .map(|known| known.len());
        let (schema, behind) = schema.split_at_checked(known.or_else(|| object(simd, schema))?)?;
        if known.is_none() && passed.len() < REMEMBERED {
            passed.push(schema);
        }
        kept.extend_from_slice(head);
        kept.extend_from_slice(b"{}");
        rest = behind;
    }
    kept.extend_from_slice(rest);
    Some(kept)
}

/// The length of the object that a text begins with; none where it does not end.
#[inline(always)]
fn object<S: Simd>(simd: S, text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut strings = Strings::default();
    for (index, block) in text.chunks(64).enumerate() {
        let block = padded(block);
        let outside = !strings.inside(simd, &block);
        if outside == 0 {
            // In the middle of a description: most of a schema.
            continue;
        }
        let (opening, closing) = (
            mask(simd, &block, b'{') & outside,
            mask(simd, &block, b'}') & outside,
        );
        if opening | closing == 0 {
            continue;
        }
        if depth > closing.count_ones() as usize {
            depth = depth + opening.count_ones() as usize - closing.count_ones() as usize;
            continue;
        }
        for bit in bits(opening | closing) {
            depth = if opening >> bit & 1 == 1 {
                depth + 1
            } else {
                depth.checked_sub(1)?
            };
            if depth == 0 {
                return Some(index * 64 + bit as usize + 1);
            }
        }
    }
    None
}

/// What goes on from one block to the next.
#[derive(Default)]
struct Strings {
    /// All bits, where a block begins inside a string.
    open: u64,
    /// Whether a block's first byte is escaped.
    escaped: bool,
}

impl Strings {
    /// The bytes of a block that are inside a string, its opening quote included.
    #[inline(always)]
    fn inside<S: Simd>(&mut self, simd: S, block: &[u8; 64]) -> u64 {
        let backslashes = mask(simd, block, b'\\');
        let mut quotes = mask(simd, block, b'"');
        if backslashes != 0 || self.escaped {
            quotes &= !self.escapes(backslashes);
        }
        if quotes == 0 {
            return self.open;
        }
        // Each quote turns everything behind it over.
        for shift in [1, 2, 4, 8, 16, 32] {
            quotes ^= quotes << shift;
        }
        let inside = quotes ^ self.open;
        self.open = if inside >> 63 == 1 { u64::MAX } else { 0 };
        inside
    }

    /// The bytes that a backslash escapes.
    fn escapes(&mut self, backslashes: u64) -> u64 {
        let mut escaped = u64::from(self.escaped);
        self.escaped = false;
        for bit in bits(backslashes) {
            if escaped >> bit & 1 == 0 {
                escaped |= 1_u64.checked_shl(bit + 1).unwrap_or(0);
                self.escaped = bit == 63;
            }
        }
        escaped
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// Any JSON, with texts full of what could be mistaken for structure.
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

    fn length(text: &[u8]) -> Option<usize> {
        let best = dispatch!(Level::new(), simd => object(simd, text));
        assert_eq!(
            best,
            dispatch!(Level::baseline(), simd => object(simd, text)),
            "by what this processor can do as by the oldest one"
        );
        best
    }

    proptest! {
        #[test]
        fn an_object_ends_where_its_braces_close(value in json(), behind in "[\"{}a,]{0,80}") {
            let text = serde_json::json!({"a": value}).to_string();
            prop_assert_eq!(length(format!("{text}{behind}").as_bytes()), Some(text.len()));
            let cut = text.len() - 1;
            prop_assert_eq!(length(&text.as_bytes()[..cut]), None);
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
                        *value = serde_json::json!({});
                    } else {
                        strip(value);
                    }
                }
            }
            _ => {}
        }
    }

    #[test]
    fn what_does_not_end_is_left_to_the_parser() {
        let cut = br#"{"schema":{"a":"}"#;
        assert!(matches!(lean(cut), Cow::Borrowed(text) if text == cut));
    }
}
