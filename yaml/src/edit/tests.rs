#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{edit, events, lines, patch, splice};
use crate::documents;

/// Applies the patch to each document of the text, twice: the second time changes nothing.
fn patched(text: &str, patch: &Value) -> Result<String, String> {
    let once = laid(text, patch)?;
    assert_eq!(
        laid(&once, patch).as_ref(),
        Ok(&once),
        "the patch laid on again"
    );
    Ok(once)
}

fn laid(text: &str, patch: &Value) -> Result<String, String> {
    let mut splices = Vec::new();
    for document in documents(text) {
        splices.extend(edit(&document, patch).map_err(|unread| unread.to_string())?);
    }
    Ok(splice(text, &splices))
}

/// An annotation that must be present.
fn keep() -> Value {
    json!({"metadata": {"annotations": {"keep": "keep"}}})
}

/// A label that must go.
fn removal() -> Value {
    json!({"metadata": {"labels": {"old": null}}})
}

#[track_caller]
fn becomes(before: &str, patch: &Value, after: &str) {
    assert_eq!(patched(before, patch).as_deref(), Ok(after));
}

#[track_caller]
fn is_refused(text: &str, patch: &Value, why: &str) {
    assert_eq!(patched(text, patch), Err(why.to_owned()));
}

#[test]
fn a_key_comes_in_front_of_the_others() {
    becomes(
        "metadata:\n  annotations:\n    # c\n    a: b # d\n  name: x\n",
        &keep(),
        "metadata:\n  annotations:\n    keep: keep\n    # c\n    a: b # d\n  name: x\n",
    );
    becomes(
        "metadata: {annotations: {a: b}}",
        &keep(),
        "metadata: {annotations: {\"keep\": \"keep\", a: b}}",
    );
    becomes(
        "{\n  \"metadata\": {\n    \"name\": \"a\"\n  }\n}\n",
        &keep(),
        "{\n  \"metadata\": {\n    \"annotations\": {\"keep\": \"keep\"},\n    \"name\": \"a\"\n  }\n}\n",
    );
}

#[test]
fn a_missing_map_is_made() {
    becomes(
        "metadata:\n  name: x\n",
        &keep(),
        "metadata:\n  annotations:\n    keep: keep\n  name: x\n",
    );
    becomes(
        "# c\nkind: A\n",
        &keep(),
        "# c\nmetadata:\n  annotations:\n    keep: keep\nkind: A\n",
    );
    becomes(
        "metadata: # c\n  annotations: # d\n  name: x",
        &keep(),
        "metadata: # c\n  annotations: # d\n    keep: keep\n  name: x",
    );
    becomes(
        "metadata:\r\n  annotations:",
        &keep(),
        "metadata:\r\n  annotations:\r\n    keep: keep",
    );
    becomes(
        "metadata: ~ # c\n",
        &keep(),
        "metadata: {\"annotations\": {\"keep\": \"keep\"}} # c\n",
    );
    becomes(
        "metadata: {name, annotations: }",
        &keep(),
        "metadata: {name, annotations: {\"keep\": \"keep\"} }",
    );
}

#[test]
fn what_is_so_already_stays_however_it_is_written() {
    for written in [
        "keep",
        "'keep'",
        "\"keep\"",
        "!!str keep",
        "\"k\\x65ep\"",
        ">-\n      keep",
    ] {
        let text = format!("metadata:\n  annotations:\n    keep: {written}\n");
        becomes(&text, &keep(), &text);
    }
}

#[test]
fn another_value_is_replaced_and_nothing_around_it() {
    for written in [
        "delete",
        "!x keep",
        "&a keep2",
        "'kee\n      p'",
        "{a: b}",
        "[keep]",
    ] {
        let text = format!("metadata:\n  annotations:\n    keep: {written} # c\n    a: b\n");
        becomes(
            &text,
            &keep(),
            "metadata:\n  annotations:\n    keep: keep # c\n    a: b\n",
        );
    }
    let text = "metadata:\n  annotations:\n    keep: # c\n    - delete # d\n    a: b\n";
    becomes(
        text,
        &keep(),
        "metadata:\n  annotations:\n    keep: keep # d\n    a: b\n",
    );
    let text = "metadata:\n  annotations:\n    keep: |\n      delete\n\n    a: b\n";
    becomes(
        text,
        &keep(),
        "metadata:\n  annotations:\n    keep: keep\n\n    a: b\n",
    );
}

#[test]
fn a_value_that_some_reader_takes_for_something_else_stands_in_quotes() {
    for (value, written) in [
        ("true", "\"true\""),
        ("Yes", "\"Yes\""),
        ("1.0", "\"1.0\""),
        ("0x1", "\"0x1\""),
        ("2024-01-01", "\"2024-01-01\""),
        ("", "\"\""),
        ("~", "\"~\""),
        ("a: b", "\"a: b\""),
        ("\u{2028}\t", "\"\\u2028\\t\""),
        ("flux-system", "flux-system"),
        ("a/b.c_d-e", "a/b.c_d-e"),
    ] {
        let patch = json!({"metadata": {"labels": {"a": value}}});
        becomes(
            "metadata:\n  labels:\n    a:\n",
            &patch,
            &format!("metadata:\n  labels:\n    a: {written}\n"),
        );
    }
    // An unquoted `on` is already there, but is a boolean.
    let patch = json!({"metadata": {"labels": {"a": "on"}}});
    becomes(
        "metadata:\n  labels:\n    a: on\n",
        &patch,
        "metadata:\n  labels:\n    a: \"on\"\n",
    );
}

#[test]
fn an_entry_goes_with_its_line_and_its_comment() {
    becomes(
        "metadata:\n  labels:\n    # a\n    old: x # b\n    # c\n    app: y\n",
        &removal(),
        "metadata:\n  labels:\n    # a\n    # c\n    app: y\n",
    );
    becomes(
        "metadata:\n  labels:\n    old: x\n  name: a",
        &removal(),
        "metadata:\n  labels: {}\n  name: a",
    );
    becomes(
        "- old: x # c\n  b: y\n",
        &json!({"0": {"old": null}}),
        "-  # c\n  b: y\n",
    );
    becomes(
        "metadata: {labels: {a: b, old: c, d: e}}",
        &removal(),
        "metadata: {labels: {a: b, d: e}}",
    );
    becomes(
        "metadata: {labels: {old: c, d: e}}",
        &removal(),
        "metadata: {labels: {d: e}}",
    );
    becomes(
        "metadata: {labels: {d: e, # f\n old: c}}",
        &removal(),
        "metadata: {labels: {d: e # f\n }}",
    );
    becomes(
        "metadata:\n  labels:\n  - old\n",
        &json!({"metadata": {"labels": null}}),
        "metadata: {}\n",
    );
}

#[test]
fn an_item_of_a_list_is_edited_where_it_stands() {
    becomes(
        "items:\n- metadata:\n    name: a\n- kind: B\n",
        &json!({"items": {"0": keep(), "1": keep()}}),
        "items:\n- metadata:\n    annotations:\n      keep: keep\n    name: a\n- metadata:\n    annotations:\n      \
         keep: keep\n  kind: B\n",
    );
    is_refused(
        "items: []\n",
        &json!({"items": {"0": keep()}}),
        "line 1, column 1: the list has no item 0",
    );
}

#[test]
fn what_is_new_and_deep_is_written_as_a_person_would() {
    let stanza = json!({"spec": {"postRenderers": [{"kustomize": {"patches": [
        {"patch": "kind: X\nmetadata:\n  name: x\n", "target": {"kind": ".*"}}
    ]}}]}});
    becomes(
        "spec:\n  interval: 1h # c\n",
        &stanza,
        "spec:\n  postRenderers:\n    - kustomize:\n        patches:\n          - patch: |\n              kind: X\n              \
         metadata:\n                name: x\n            target:\n              kind: \".*\"\n  interval: 1h # c\n",
    );
}

#[test]
fn an_item_comes_behind_the_others() {
    let patch = json!({"a": {"-": {"b": [1, "c"]}}});
    let after = |text: &str| laid(text, &patch);
    let item = "\n  - b:\n      - 1\n      - c\n";
    assert_eq!(
        after("a:\n  - x # y\nz: 1\n"),
        Ok(format!("a:\n  - x # y{item}z: 1\n"))
    );
    assert_eq!(
        after("a:\n  - |\n    x\n\nz: 1\n"),
        Ok(format!("a:\n  - |\n    x{item}\nz: 1\n"))
    );
    assert_eq!(
        after("a:\r\n- x"),
        Ok("a:\r\n- x\r\n- b:\r\n    - 1\r\n    - c".to_owned())
    );
    assert_eq!(
        after("a: [x]"),
        Ok("a: [x, {\"b\": [1, \"c\"]}]".to_owned())
    );
    assert_eq!(after("a: []"), Ok("a: [{\"b\": [1, \"c\"]}]".to_owned()));
}

#[test]
fn whoever_shares_the_edited_node_keeps_its_meaning() {
    becomes(
        "metadata:\n  labels: &l\n    app: a\n    old: b\nspec: {selector: *l, other: *l}\n",
        &removal(),
        "metadata:\n  labels:\n    app: a\nspec: {selector: &l {app: a, old: b}, other: *l}\n",
    );
    becomes(
        "metadata: &m\n  ~]a: +{\n  labels: {old: 1:20}\nspec: *m\n",
        &removal(),
        "metadata:\n  ~]a: +{\n  labels: {}\nspec: &m {\"~]a\": \"+{\", labels: {old: 1:20}}\n",
    );
    becomes(
        "metadata:\n  labels:\n    &l\n    old: x\nspec: *l\n",
        &removal(),
        "metadata:\n  labels:\n     {}\nspec: &l {old: x}\n",
    );
    becomes(
        "a: &l {old: x}\nmetadata:\n  labels: *l\n",
        &removal(),
        "a: &l {old: x}\nmetadata:\n  labels: {}\n",
    );
    becomes(
        "a: &l {keep: x}\nmetadata:\n  annotations:\n    <<: *l # c\n",
        &keep(),
        "a: &l {keep: x}\nmetadata:\n  annotations:\n    <<: *l # c\n    keep: \"keep\"\n",
    );
    let itself = format!("metadata: &m\n  <<: [{}]\n", ["*m"; 9].join(", "));
    becomes(&itself, &removal(), &itself);
    is_refused(
        "metadata: &m\n  self: *m\n",
        &keep(),
        "line 1, column 11: the value contains an alias of itself; write the value out",
    );
}

#[test]
fn a_map_that_is_none_and_a_key_that_stands_twice_are_refused_with_their_place() {
    is_refused(
        "---\nmetadata:\n  annotations: none\n",
        &keep(),
        "line 3, column 16: this value is not a map",
    );
    is_refused(
        "# c\n---\nmetadata: {}\n'metadata': {}\n",
        &keep(),
        "line 4, column 1: duplicate key metadata; keep one of them",
    );
    is_refused(
        "? metadata\n",
        &keep(),
        "line 1, column 11: a key without a colon; add a colon and a value",
    );
    is_refused(
        "? metadata\n:: b\n",
        &keep(),
        "line 1, column 11: a key without a colon; add a colon and a value",
    );
    is_refused(
        "\u{feff}\u{feff}name: a\n",
        &keep(),
        "line 1, column 2: a tab or a byte order mark precedes the entry; indent it with spaces",
    );
    is_refused(
        "a: 1\n---\nmetadata: [\n",
        &removal(),
        "line 3, column 11: invalid YAML",
    );
}

/// Events cost twenty times as much, and a CRD has hundreds of thousands.
#[test]
fn metadata_as_generators_write_it_is_read_from_its_lines_alone() {
    let istio = "  annotations:\n    \"helm.sh/resource-policy\": keep\n    'app': b\n";
    let kyverno = "  annotations:\n    controller-gen.kubebuilder.io/version: (devel)\n";
    for marks in [istio, kyverno] {
        let text = format!("apiVersion: v1\nkind: A\nmetadata:\n{marks}  name: x\nspec: {{}}\n");
        let document = documents(&text).next().unwrap();
        assert!(lines::read(&document, &keep()).is_some(), "{text}");
    }
    // Another reader may take these otherwise.
    for marks in [
        "  annotations:\n    \"a\\tb\": c\n",
        "  annotations:\n    ? a\n    : b\n",
    ] {
        let text = format!("metadata:\n{marks}");
        let document = documents(&text).next().unwrap();
        assert!(lines::read(&document, &keep()).is_none(), "{text}");
    }
}

/// Metadata in many notations, for the line scanner and the parser.
fn metadata() -> impl Strategy<Value = String> {
    // Go reads an unquoted `yes` as `true`.
    let key = "(old|app|keep|a\\.b/c|labels|metadata|\"q\"|'old'|\"yes\")";
    let value = "( (keep|x|\\(devel\\)|\\(a: b\\)|'y z'|\"w\"|'it''s'|a b|1|~|x: y|\\|\n      z|# c|-|\\*a|&b c|<|é)?( # d)?)?";
    let entry = (0_usize..4, key, value)
        .prop_map(|(depth, key, value)| format!("{}{key}:{value}\n", "  ".repeat(depth)));
    let other = prop_oneof![
        Just("\n".to_owned()),
        Just("  # c\n".to_owned()),
        Just("# d\n".to_owned()),
        Just("kind: A\n".to_owned()),
        Just("---\n".to_owned()),
        Just("    annotations:\n".to_owned()),
        Just("\t\n".to_owned()),
        Just("  - a\n".to_owned()),
    ];
    let line = prop_oneof![4 => entry, 1 => other];
    let head = prop_oneof![
        Just(""),
        Just("kind: A\n"),
        Just("---\n# c\n"),
        Just("a: \"x\n"),
        Just("data:\n  a: b\n")
    ];
    let tail = prop_oneof![
        Just(""),
        Just("spec:\n- a\n"),
        Just("\"b\": c\n"),
        Just("s: 'x\nt'\n"),
        Just("<<: {a: b}\n")
    ];
    let top = prop_oneof![4 => Just("metadata:\n"), 1 => Just("metadata: # c\n")];
    (head, top, prop::collection::vec(line, 0..8), tail)
        .prop_map(|(head, top, lines, tail)| format!("{head}{top}{}{tail}", lines.concat()))
}

fn patches() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        Just(Value::Null),
        "(keep|x|true|é: #|a\nb\n)".prop_map(Value::from)
    ];
    let map = || prop::collection::btree_map("(old|app|keep|q|yes|a\\.b/c)", value.clone(), 0..4);
    (map(), map()).prop_map(
        |(labels, annotations)| json!({"metadata": {"labels": labels, "annotations": annotations}}),
    )
}

fn parse(text: &str) -> Result<Value, crate::Unread> {
    crate::Document::of(text).read_paths(&crate::Paths::Whole)
}

/// Applies a patch to a value that was read.
fn merged(value: Value, patch: &Value) -> Value {
    let Value::Object(wants) = patch else {
        return patch.clone();
    };
    let mut map = match value {
        Value::Object(map) => map,
        Value::Array(items) => return items.into(),
        other if super::find::pruned(patch).is_none() => return other,
        _ => serde_json::Map::new(),
    };
    for (key, want) in wants {
        if want.is_null() {
            map.remove(key);
        } else if map.contains_key(key) || super::find::pruned(want).is_some() {
            let value = map.remove(key).unwrap_or_default();
            map.insert(key.clone(), merged(value, want));
        }
    }
    Value::Object(map)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Documents that only the events find invalid are skipped.
    #[test]
    fn lines_and_events_tell_the_same(text in metadata(), patch in patches()) {
        for document in documents(&text) {
            if let (Some(lines), Ok(events)) = (lines::read(&document, &patch), events::read(&document, &patch)) {
                let [lines, events] = [&lines, &events].map(|tree| patch::splices(tree, &patch).ok());
                prop_assert_eq!(lines, events, "{}", text);
            }
        }
    }

    #[test]
    fn what_is_written_is_what_was_asked_for(text in metadata(), patch in patches()) {
        for document in documents(&text) {
            let (Ok(splices), Ok(before)) = (edit(&document, &patch), parse(document.text)) else { continue };
            let whole = splice(&text, &splices);
            let after = documents(&whole).find(|after| after.offset == document.offset).unwrap();
            let value: Value = parse(after.text).unwrap();
            prop_assert_eq!(value, merged(before, &patch), "{}", whole);
            prop_assert_eq!(edit(&after, &patch), Ok(Vec::new()), "{}", whole);
        }
    }

    #[test]
    fn any_text_can_be_written_and_read_again(key in "\\PC{1,20}", value in any::<String>(), braces in any::<bool>()) {
        let patch = json!({"metadata": {"annotations": {&key: &value}}});
        let text = if braces { "metadata: {name: a}\n" } else { "metadata:\n  name: a\n" };
        let after = laid(text, &patch).unwrap();
        let read: Value = parse(&after).unwrap();
        prop_assert_eq!(read.pointer("/metadata/annotations"), Some(&json!({&key: &value})), "{}", after);
    }

    #[test]
    fn no_text_stops_the_editor(text in "[a-c:{}\\[\\],?#&*!|>'\"%@`\\-. \t\r\n]{0,60}", patch in patches()) {
        for document in documents(&text) {
            if let Ok(splices) = edit(&document, &patch) {
                prop_assert_eq!(documents(&splice(&text, &splices)).count(), documents(&text).count());
            }
        }
    }
}
