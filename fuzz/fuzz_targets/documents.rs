//! The reader of streams: it never stops, what it finds stands where it says, and what lines tell is what the
//! parser tells.
#![no_main]

use fluxkeep::manifest::{Reading, read};
use fluxkeep::yaml::{Document, documents, is_unread};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let mut behind = 0;
    for document in documents(text) {
        assert!(document.offset >= behind, "in their order");
        behind = document.offset + document.text.len();
        assert_eq!(text.get(document.offset..behind), Some(document.text));
        if !document.is_json {
            is_read_alike(&document);
        }
    }
    let _ = read(text, Reading::default());
});

/// Where it is not sure where lines end, only the parser reads.
fn is_read_alike(document: &Document<'_>) {
    let parsed = Document { lines_are_sure: false, ..*document }.lean().read::<Value>();
    if let Ok(parsed) = parsed {
        let told = document.lean().read::<Value>().map(stripped);
        assert_eq!(told, Ok(stripped(parsed)), "{}", document.text);
    }
}

/// Without what nobody reads; below `values` of a HelmRelease everything is.
fn stripped(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(stripped).collect(),
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(key, _)| !is_unread(key));
            let read = kept.map(|(key, value)| if key == "values" { (key, value) } else { (key, stripped(value)) });
            read.collect::<serde_json::Map<_, _>>().into()
        }
        other => other,
    }
}
