//! The reader of streams: it never stops, and what it finds stands where it says.
#![no_main]

use fluxkeep::manifest::{Reading, read};
use fluxkeep::yaml::documents;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut behind = 0;
    for document in documents(text) {
        assert!(document.offset >= behind, "in their order");
        behind = document.offset + document.text.len();
        assert_eq!(text.get(document.offset..behind), Some(document.text));
    }
    let _ = read(text, Reading::default());
});
