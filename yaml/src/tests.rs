//! Reads documents like Go, without Go: the test suite asks Go itself.

#![allow(
    clippy::format_collect,
    clippy::format_push_string,
    clippy::unwrap_used
)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Document, NodeBudget, Paths, documents, paths::project};

fn read(text: &str) -> Option<Value> {
    Document::of(text).read_paths(&Paths::Whole).ok()
}

#[test]
fn whatever_stands_later_in_a_map_wins_over_what_stands_before() {
    for (text, expected) in [
        (
            "b: &b {kind: E}\nkind: C\n<<: *b\n",
            json!({"b": {"kind": "E"}, "kind": "E"}),
        ),
        (
            "b: &b {kind: E}\n<<: *b\nkind: C\n",
            json!({"b": {"kind": "E"}, "kind": "C"}),
        ),
        ("<<: [{a: 1}, {a: 2, b: 3}]\n", json!({"a": 1, "b": 3})),
        ("kind: A\nkind: B\n", json!({"kind": "B"})),
        ("1: a\n0x1: b\n", json!({"1": "b"})),
        ("{<<: {a: &x 1}, b: *x}\n", json!({"a": 1, "b": 1})),
        ("'<<': a\n", json!({"<<": "a"})),
    ] {
        assert_eq!(read(text), Some(expected), "{text}");
    }
}

#[test]
fn what_means_something_else_to_go_is_refused() {
    for text in [
        // Go breaks a line where YAML 1.2 does not.
        "kind: A #\u{2028}kind: B\n",
        "kind: A\u{85}\n",
        "a: |\n  b\u{2029}c\n",
        "a: 'b\u{2028}c'\n",
        "a: b\n\u{feff}kind: C\n",
        // Go ends a plain scalar in flow at `?` and not at `:,`.
        "{?kind: A}\n",
        "{a: b?c}\n",
        "{a:, b: c}\n",
        // Go has no number with these names, and no order among them.
        "1: a\n\"1\": b\n",
        "1.0: a\n1: b\n",
        "~: a\n",
        "{a: b}: c\n",
        "a: .inf\n",
        "a: !!binary /w==\n",
        "<<: 1\n",
        "<<:\n",
        "a: &a [*a]\n",
        "a: *b\n",
        "a: \"\\/\"\n",
        "a: \u{1}\n",
        "|\na: b\n",
        "...\n",
        "%YAML 1.2\n---\na: b\n",
    ] {
        assert_eq!(read(text), None, "{text:?}");
    }
}

#[test]
fn what_is_strange_and_the_same_to_go_is_read() {
    for (text, expected) in [
        ("a: \"b\\u2028c\"\n", json!({"a": "b\u{2028}c"})),
        ("a: |\n  \u{feff}b", json!({"a": "\u{feff}b\n"})),
        ("a: b\n...\nkind: }{\n", json!({"a": "b"})),
        ("a: |+\n  b\n \n  ", json!({"a": "b\n\n\n"})),
        ("# only\n\n# comments\n", json!(null)),
        ("null\n", json!(null)),
        ("~", json!(null)),
        ("", json!(null)),
        (
            "items:\nkind: List\n",
            json!({"items": null, "kind": "List"}),
        ),
        (
            "a: !!str\nb: !!null\nc: !!int \"0x1\"\nd: ! 1\n",
            json!({"a": "", "b": null, "c": 1, "d": "1"}),
        ),
        ("a: !!binary aGk=\n", json!({"a": "hi"})),
        (
            "yes: on\n? 1.5\n: 2001-01-01\n",
            json!({"true": true, "1.5": "2001-01-01"}),
        ),
        ("1e6: 1e6\n", json!({"1e+06": 1_000_000})),
        ("a: b\r\nc: |\r\n  d\r\n", json!({"a": "b", "c": "d\n"})),
    ] {
        assert_eq!(read(text), Some(expected), "{text:?}");
    }
}

/// Paths of a made-up object, for partial reads.
const TREE: Paths = Paths::Keys(&[
    ("kind", Paths::Whole),
    (
        "a",
        Paths::Keys(&[
            ("b", Paths::Items(&Paths::Keys(&[("kind", Paths::Whole)]))),
            ("a", Paths::Whole),
        ]),
    ),
    (
        "metadata",
        Paths::Keys(&[("kind", Paths::Whole), ("spec", Paths::Prefixed(&[""]))]),
    ),
    (
        "spec",
        Paths::Items(&Paths::Keys(&[
            ("a", Paths::Keys(&[("b", Paths::Whole)])),
            ("schema", Paths::Whole),
        ])),
    ),
    ("values", Paths::Whole),
]);

#[test]
fn a_line_end_of_yaml_1_1_in_quotes_that_nobody_reads_is_no_reason_to_refuse() {
    let text = "kind: A\ndata:\n  b: \"x\u{2028}y\"\n  c: 'x\u{85}y'\n";
    assert_eq!(
        Document::of(text).read_paths(&TREE),
        Ok(json!({"kind": "A"}))
    );
    let text = "kind: A\ndata:\n  b: |\n    x\u{2028}y\n";
    assert!(Document::of(text).read_paths(&TREE).is_err());
}

#[test]
fn an_alias_tells_what_stands_where_nobody_reads() {
    let text =
        "data:\n  b: &kind {kind: A, spec: {x: 1}}\n  c: &name B\nkind: *name\nmetadata: *kind\n";
    assert_eq!(
        Document::of(text).read_paths(&TREE),
        Ok(json!({"kind": "B", "metadata": {"kind": "A", "spec": {"x": 1}}})),
    );
}

#[test]
fn many_anchors_are_no_reason_to_refuse() {
    let anchors: String = (0..5_000)
        .map(|number| format!("- &a{number} x\n- *a{number}\n"))
        .collect();
    assert_eq!(
        Document::of(&anchors).read_paths(&Paths::Whole).unwrap(),
        json!(vec!["x"; 10_000])
    );
}

#[test]
fn what_is_deep_is_refused_where_it_is_read_and_passed_over_elsewhere() {
    let deep = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
    assert_eq!(
        Document::of(&format!("kind: A\nb: {deep}\n")).read_paths(&TREE),
        Ok(json!({"kind": "A"}))
    );
    let message = Document::of(&format!("kind: {deep}\n"))
        .read_paths(&TREE)
        .unwrap_err()
        .message;
    assert_eq!(message, "nested deeper than 127 levels");
}

#[test]
fn aliases_of_aliases_are_too_much_long_before_they_fill_the_memory() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for number in 1..20 {
        let one = format!("*a{}", number - 1);
        text.push_str(&format!(
            "a{number}: &a{number} [{}]\n",
            vec![one; 10].join(", ")
        ));
    }
    let mut budget = NodeBudget::of(100_000);
    assert!(Document::of(&text).read_within(&TREE, &mut budget).is_err());
    assert!(budget.is_spent());
}

#[test]
fn a_budget_lasts_for_a_whole_stream() {
    let stream = "---\na\n".repeat(10_000);
    let mut budget = NodeBudget::of(20_000);
    let read = documents(&stream)
        .filter(|document| document.read_within(&TREE, &mut budget).is_ok())
        .count();
    assert!((2_000..10_000).contains(&read), "{read}");
    assert!(budget.is_spent());
    let mut budget = NodeBudget::of(20_000);
    assert!(Document::of("{").read_within(&TREE, &mut budget).is_err());
    assert!(!budget.is_spent(), "invalid YAML");
}

#[test]
fn an_error_stands_where_it_stands_in_the_stream() {
    let stream = "a: b\n---\n# c\ndata:\n  d: e\n  f: g\nkind: A\n  : }\n";
    let unread = documents(stream)
        .last()
        .unwrap()
        .read_paths(&TREE)
        .unwrap_err();
    assert_eq!((unread.line, unread.message.as_str()), (8, "invalid YAML"));
}

/// A node in a block: the text behind its key or dash, and the lines below, indented from zero.
type Node = (String, Vec<String>);

fn node() -> impl Strategy<Value = Node> {
    let inline = "(x|true|false|12|010|1\\.5|1e3|-3|0x1f|10Gi|no|~|null|2\\.3\\.0|a b|it's|x#y|a: b|http://a:80|\\{\\}|\\[\\]|\\[a, \"b\"\\]|\\{a: b\\}|'it''s'|\"q\\\\n\"|'x'|\"y\"|\"a: 'b\"|é|&a b|!!str 1|@x|% y|\\? z|<<|=|2001-01-01|x  # c|\\| # x)";
    let line = "( {0,3}(key: \"open|- 'it|it's: |\\| x|\\{ a|# c|schema:|x))?";
    let text = prop::collection::vec(line.prop_map(|line| format!("  {line}")), 1..4);
    let leaf = prop_oneof![
        6 => inline.prop_map(|value| (format!(" {value}"), Vec::new())),
        1 => Just((String::new(), Vec::new())),
        2 => ("( \\|| >-| \\|2| >\\+| \\| # c)", text).prop_map(|(head, lines)| (head, lines)),
        1 => Just((" 'multi".to_owned(), vec!["  line: \"".to_owned(), "  it''s'".to_owned()])),
        1 => Just((" \"multi \\\"".to_owned(), vec!["  - x: '".to_owned(), String::new(), "  end\"".to_owned()])),
        1 => Just((" plain".to_owned(), vec!["  that 'goes".to_owned(), "  on\"".to_owned()])),
        2 => (r#" (plain|"x"|'y|"z|a #b|a #b: "c|# d: \||# "e: 'f)"#, prop::collection::vec(r#"  {1,3}(- |)("a|'b|c"|d'|\| e|\{ f|\}|g": \{|h": "|i: '|# j: "|# k: \||l #m: "|n #o: ')"#, 1..4)),
        1 => Just((" [a,".to_owned(), vec!["  b: 'x']".to_owned()])),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = "(a|b|kind|spec|data|schema|rules|values|\"schema\"|'q'|c-d/e\\.f|yes|1)";
        let map = prop::collection::vec((key, inner.clone(), "(  # c|\n\n|\n# d)?"), 1..4);
        let items = (prop::collection::vec(inner, 1..3), any::<bool>());
        prop_oneof![
            map.prop_map(|entries| (
                String::new(),
                entries
                    .iter()
                    .flat_map(|(key, node, idle)| entry(key, node, idle))
                    .collect()
            )),
            items.prop_map(|(items, is_deep)| {
                let lines = items.iter().flat_map(item).map(|line| {
                    if is_deep {
                        line
                    } else {
                        format!("\u{8}{line}")
                    }
                });
                (String::new(), lines.collect())
            }),
        ]
    })
}

fn entry(key: &str, (head, lines): &Node, idle: &str) -> Vec<String> {
    let idle = if head.is_empty() { idle } else { "" };
    let mut all = vec![format!("{key}:{head}{idle}")];
    // A sequence may be at its key's column.
    all.extend(lines.iter().map(|line| {
        line.strip_prefix('\u{8}')
            .map_or_else(|| format!("  {line}"), str::to_owned)
    }));
    all
}

fn item((head, lines): &Node) -> Vec<String> {
    let lines: Vec<_> = lines
        .iter()
        .map(|line| line.strip_prefix('\u{8}').unwrap_or(line))
        .collect();
    match lines.split_first() {
        Some((first, rest)) if head.is_empty() => {
            let rest = rest.iter().map(|line| format!("  {line}"));
            std::iter::once(format!("- {first}")).chain(rest).collect()
        }
        _ => std::iter::once(format!("-{head}"))
            .chain(lines.iter().map(|line| format!("  {line}")))
            .collect(),
    }
}

fn document() -> impl Strategy<Value = String> {
    let key = "(a|kind|metadata|spec|data|schema|rules|values)";
    let entries = prop::collection::vec((key, node()), 1..5);
    ("(---\n)?(# c\n)?", entries, "\n?").prop_map(|(head, entries, end)| {
        let lines: Vec<_> = entries
            .iter()
            .flat_map(|(key, node)| entry(key, node, ""))
            .collect();
        format!("{head}{}{end}", lines.join("\n"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_is_left_out_is_what_nobody_reads(text in document()) {
        let Some(whole) = read(&text) else { return Ok(()) };
        let part = Document::of(&text).read_paths(&TREE);
        prop_assert_eq!(part, Ok(project(whole, &TREE)), "{}", text);
    }

    #[test]
    fn no_text_is_misread(text in "([a-c]|: |- |\n {0,4}|[\"'{}\\[\\],?#&*!|>%@`\t]|schema:\n  |kind: |---|\r){0,40}") {
        let Some(whole) = read(&text) else { return Ok(()) };
        let part = Document::of(&text).read_paths(&TREE);
        prop_assert_eq!(part, Ok(project(whole, &TREE)), "{}", text);
    }
}

/// Takes a minute and more if each entry searches the rest of the text.
#[test]
fn many_of_a_kind_are_passed_in_one_go() {
    for open in [
        "  a: \"x\n   y\"\n",
        "  a: |\n   b: \"c\n",
        "  a: |\n   b\n  c: 'd\n   e'\n",
        "  a: \"\n",
    ] {
        let text = format!("data:\n{}kind: c\n", open.repeat(100_000));
        let _ = Document::of(&text).read_paths(&TREE);
    }
}
