#![allow(clippy::format_collect, clippy::unwrap_used)]

use super::*;

const TREE: Paths = Paths::Keys(&[
    ("kind", Paths::Whole),
    (
        "metadata",
        Paths::Keys(&[("annotations", Paths::Prefixed(&["helm.sh/"]))]),
    ),
    (
        "spec",
        Paths::Keys(&[
            ("group", Paths::Whole),
            (
                "versions",
                Paths::Items(&Paths::Keys(&[
                    ("name", Paths::Whole),
                    ("served", Paths::Whole),
                ])),
            ),
        ]),
    ),
]);

fn left(text: &str) -> String {
    skip(text, &TREE).text
}

/// A version of a definition with these lines as its schema.
fn with_schema(lines: &str) -> String {
    let schema: String = lines
        .split_inclusive('\n')
        .map(|line| format!("      {line}"))
        .collect();
    format!(
        "kind: A\nspec:\n  versions:\n  - name: v1\n    schema:\n{schema}    served: true\n  group: b\n"
    )
}

const WITHOUT_SCHEMA: &str =
    "kind: A\nspec:\n  versions:\n  - name: v1\n    schema:\n    served: true\n  group: b\n";

#[test]
fn a_schema_is_left_out_whatever_stands_in_it() {
    for lines in [
        "type: object\nproperties:\n  a:\n    type: string\n",
        // A rule that controller-gen folds continues with any text.
        "rule: has(self.a)\n  && has(self.b)\n",
        "rule: self.a\n  != 'x'\n",
        "rule: self.a\n  ? self.b\n  : self.c\n",
        "rule: >-\n  a\n   b: \"\n\n  c\nmessage: |\n  - x: '\n",
        "a: it's\n  {b\n  'c\n  \"d: |\n",
        "- rule: a\n    &b\n- |\n  x: \"y\n- c\n",
        "a:\n  text on a line\n  'of its own\n",
        "a: \"x\n\n  y\" # z\nb: 'it''s\n  so'\n",
        "\"a\": {b: [c, \"d\"], e: 'f'}\n'g' : h\n",
        "default: (devel)\npattern: ^[a-z]([-a-z0-9]*)?$\nformat: http://a:80\n",
        "a: *b\nc: %d\n".split_once('\n').unwrap().0,
        "required:\n- a\n- b: c\n  d:\n  - e\n# f\n",
        "a: b # c\nd: # e\n  - f\n",
        "description: \"a \\\" b\n  c\\\\\"\nx: y\n",
    ] {
        let lines = format!("{}\n", lines.trim_end_matches('\n'));
        assert_eq!(left(&with_schema(&lines)), WITHOUT_SCHEMA, "{lines}");
    }
}

#[test]
fn from_a_line_on_that_may_mean_something_else_everything_stays() {
    for line in [
        "a: &b c",
        "a: !!str c",
        "a: [b,\n  c]",
        "a:\tb",
        "-\tb",
        "? a",
        ": a",
        "a: \"b\" c",
        "a: \"b\" : c",
        "a: - b",
        "\"a\\\"b\": c",
        "a: {b: &c d}",
        "@a: b",
        "a: %b",
    ] {
        let text = with_schema(&format!("{line}\n"));
        assert_eq!(left(&text), text, "{line}");
    }
}

#[test]
fn quotes_that_go_on_to_the_left_of_their_block_keep_it() {
    let text = "data:\n  a: \"b\nc: d\"\nkind: e\n";
    assert_eq!(left(text), text);
}

#[test]
fn a_block_is_left_out_by_its_path_and_not_by_its_name() {
    let text = "spec:\n  group:\n    schema:\n      a: b\n  versions:\n  - schema: {}\n    name:\n      schema: x\nschema:\n  a: b\n";
    let expected = "spec:\n  group:\n    schema:\n      a: b\n  versions:\n  - schema: {}\n    name:\n      schema: x\nschema:\n";
    assert_eq!(left(text), expected);
}

#[test]
fn keys_in_quotes_and_annotations_of_any_look_are_no_reason_to_keep_the_rest() {
    let head = "---\n# c\n\"kind\": A\nmetadata:\n  annotations:\n    \"helm.sh/resource-policy\": keep\n    a: (devel)\n";
    assert_eq!(
        left(&format!("{head}status:\n  a: b\n")),
        format!("{head}status:\n")
    );
}

#[test]
fn what_is_merged_stays() {
    let text = "spec:\n  <<:\n    group: b\n  a:\n    c: d\n";
    assert_eq!(left(text), text);
}

#[test]
fn an_end_of_a_document_ends_the_leaving_out() {
    for end in ["...", "---", "--- a", "%a"] {
        let text = format!("a:\n  b: c\n{end}\nd:\n  e: f\n");
        assert_eq!(left(&text), format!("a:\n{end}\nd:\n  e: f\n"), "{end}");
    }
}

#[test]
fn a_line_of_what_is_left_is_known_by_its_number_in_the_whole() {
    let skipped = skip("a:\n  b\n  c\nkind: A\nd:\n  e\nspec: x\n", &TREE);
    assert_eq!(skipped.text, "a:\nkind: A\nd:\nspec: x\n");
    let lines: Vec<_> = (1..=4).map(|line| skipped.line(line)).collect();
    assert_eq!(lines, [1, 4, 5, 7]);
}
