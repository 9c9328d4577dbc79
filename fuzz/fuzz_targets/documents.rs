//! The reader of streams never stops. A document stands where the reader says, and reading only some
//! paths gives the same values as reading everything. The suite compares the values with Go's reader.
#![no_main]

use fluxkeep::manifest::{Reading, read};
use fluxkeep::yaml::{Document, Paths, documents, json};
use libfuzzer_sys::fuzz_target;

const TREE: Paths = Paths::Keys(&[
    ("kind", Paths::Whole),
    ("a", Paths::Keys(&[("b", Paths::Items(&Paths::Keys(&[("c", Paths::Whole)])))])),
    (
        "metadata",
        Paths::Keys(&[
            ("name", Paths::Whole),
            ("labels", Paths::Prefixed(&[""])),
            ("annotations", Paths::Prefixed(&["keep"])),
        ]),
    ),
    ("items", Paths::Items(&Paths::Keys(&[("metadata", Paths::Whole)]))),
]);

fuzz_target!(|text: &str| {
    let mut behind = 0;
    for document in documents(text) {
        assert!(document.offset >= behind, "in their order");
        behind = document.offset + document.text.len();
        assert_eq!(text.get(document.offset..behind), Some(document.text));
        is_read_alike(&document);
    }
    let _ = read(text, Reading::default());
});

fn is_read_alike(document: &Document<'_>) {
    if let Ok(whole) = document.read_paths(&Paths::Whole) {
        let expected = json(whole.to_string().as_bytes(), &TREE).ok();
        assert_eq!(document.read_paths(&TREE).ok(), expected, "{}", document.text);
    }
}
