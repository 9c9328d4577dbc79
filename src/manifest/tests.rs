#![allow(clippy::unwrap_used)]

use super::*;

fn found(text: &str) -> Result<Vec<ManifestObject<'_>>, UnreadDocument> {
    let reading = Reading {
        file: Some("f"),
        namespace: None,
    };
    find(text, reading)
}

fn config_map(name: usize) -> String {
    format!(
        "---\n# about\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: n{name}\ndata:\n  a: b\n"
    )
}

#[test]
fn an_object_is_found_with_its_document_its_number_and_its_line() {
    let text: String = (0..20).map(config_map).collect();
    let found = found(&text).unwrap();
    assert_eq!(found.len(), 20);
    for (index, one) in found.iter().enumerate() {
        assert_eq!(one.number, index + 1);
        assert_eq!(one.object.name, format!("n{index}"));
        let line = u32::try_from(8 * index + 1).unwrap();
        assert_eq!((one.document.line, one.document.content), (line, line + 2));
        let source = one.object.source.as_ref();
        assert_eq!(source.map(|source| source.line), Some(line + 2));
        let rest = text.get(one.document.offset..).unwrap();
        assert!(rest.starts_with(one.document.text));
    }
}

#[test]
fn a_document_that_is_not_readable_is_told_by_its_number_and_line() {
    let good: String = (0..20).map(config_map).collect();
    let bad = format!("{good}---\nkind: [\n{}", config_map(0));
    let failed = found(&bad).unwrap_err();
    assert_eq!(failed.number, 21, "{failed}");
    assert!(failed.unread.line > 160, "{failed}");
}

#[test]
fn more_objects_than_any_release_holds_are_refused() {
    let one = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\n";
    let most = one.repeat(MOST_DOCUMENTS);
    assert_eq!(found(&most).map(|found| found.len()), Ok(MOST_DOCUMENTS));
    for text in [
        one.repeat(MOST_DOCUMENTS + 1),
        "---\na: b\n".repeat(MOST_DOCUMENTS + 1),
    ] {
        let failed = found(&text).unwrap_err();
        assert_eq!(failed.number, 10_001, "{failed}");
        let why = failed.unread.message;
        assert!(why.starts_with("more than 10000"), "{why}");
    }
}

#[test]
fn a_stream_is_read_until_the_budget_is_spent_and_says_so() {
    let one =
        "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: &a b, labels: {? c : *a}}}\n";
    let text = one.repeat(100);
    let mut budget = NodeBudget::of(1_000);
    let sifted = sift(&text, Reading::default(), MOST_DOCUMENTS, &mut budget);
    let read = sifted.objects.len();
    assert!((10..100).contains(&read), "{read} objects");
    assert_eq!(sifted.unread.len(), 1);
    let mut enough = NodeBudget::default();
    let sifted = sift(&text, Reading::default(), MOST_DOCUMENTS, &mut enough);
    assert_eq!((sifted.objects.len(), sifted.unread.len()), (100, 0));
}
