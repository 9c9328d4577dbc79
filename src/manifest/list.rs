//! The items of a list, each read by itself.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{MOST_ITEMS, Sifted, head, is_list, unread};
use crate::object::{Kind, List, Object, object, paths};
use crate::yaml::{Document, NodeBudget, Unread, json, shape};

/// Reads the items of a document that is a list.
pub(super) fn items(document: &Document<'_>, list: &List, budget: &mut NodeBudget) -> Sifted {
    let mut sifted = Sifted::default();
    let texts = match texts(document, budget) {
        Ok(texts) => texts,
        Err(unread) => return Sifted::unread(unread),
    };
    for (index, text) in texts.iter().enumerate() {
        let told = |why: &str| unread(document, &format!("item {index} of the list: {why}"));
        match item(text.get(), list) {
            Ok(Item::Whole(object)) => sifted.objects.push(object),
            Ok(Item::Partly(object, why)) => sifted.join(Sifted::partly(object, told(why))),
            Ok(Item::Nested(object)) => {
                let mut nested = Sifted::unread(told("it is itself a list"));
                nested.objects.push(object);
                for part in &mut nested.unread {
                    part.is_nested = true;
                }
                sifted.join(nested);
            }
            Err(why) => sifted.join(Sifted::unread(told(&why))),
        }
    }
    sifted
}

/// The readable part of an item.
enum Item {
    Whole(Object),
    /// The metadata, and the reason why the rest is unreadable.
    Partly(Object, &'static str),
    /// A list, with its metadata only.
    Nested(Object),
}

/// The items as JSON texts. A JSON document is cut, so that no schema becomes a tree of values.
fn texts(document: &Document<'_>, budget: &mut NodeBudget) -> Result<Vec<Box<RawValue>>, Unread> {
    if document.is_json
        && let Ok(Cut { items }) = serde_json::from_str(document.text)
    {
        return Ok(items);
    }
    let mut parts = document.read_within(&paths::LIST, budget)?;
    let items = parts.get_mut("items").map(Value::take);
    let mut texts = Vec::new();
    for item in items
        .as_ref()
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        // Values that came from a text are always valid JSON.
        texts.extend(serde_json::value::to_raw_value(item).ok());
    }
    Ok(texts)
}

/// Reads an item. Without kind and apiVersion it has the list's: the apiserver omits both.
fn item(text: &str, list: &List) -> Result<Item, String> {
    let read = |kind: Kind| match json(text.as_bytes(), kind.paths()) {
        // Go reads null as an empty object.
        Ok(Value::Null) => Ok(Value::Object(Map::new())),
        Ok(Value::Object(parts)) => Ok(Value::Object(parts)),
        Ok(_) => Err("it is not an object".to_owned()),
        Err(error) => Err(shape(&error)),
    };
    let metadata = read(Kind::Other)?;
    let mut own = head(&metadata);
    if own.kind.is_empty() && own.api_version.is_empty() {
        let kind = &list.kind;
        kind.strip_suffix("List")
            .unwrap_or(kind)
            .clone_into(&mut own.kind);
        own.api_version.clone_from(&list.api_version);
    }
    let listed = |object: Object| Object {
        api_version: own.api_version.clone(),
        kind: own.kind.clone(),
        list: Some(Box::new(list.clone())),
        ..object
    };
    let is_nested = is_list(&metadata);
    let kind = own.body_kind();
    let whole = match kind {
        Kind::Other => None,
        kind => Some(object(kind, read(kind)?)),
    };
    let known = || object(Kind::Other, metadata).map_err(|misshapen| misshapen.to_string());
    Ok(match whole {
        _ if is_nested => Item::Nested(listed(known()?)),
        None => Item::Whole(listed(known()?)),
        Some(Ok(object)) => Item::Whole(listed(object)),
        Some(Err(_)) => Item::Partly(listed(known()?), "a value has the wrong type"),
    })
}

/// A JSON list, cut into its items.
#[derive(Deserialize)]
struct Cut {
    #[serde(deserialize_with = "first")]
    items: Vec<Box<RawValue>>,
}

/// The allowed number of items and one more; all others are skipped.
fn first<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Box<RawValue>>, D::Error> {
    struct First;

    impl<'de> Visitor<'de> for First {
        type Value = Vec<Box<RawValue>>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a list of objects")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut items = Vec::new();
            while items.len() <= MOST_ITEMS {
                let Some(item) = seq.next_element()? else {
                    return Ok(items);
                };
                items.push(item);
            }
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(items)
        }
    }

    deserializer.deserialize_seq(First)
}
