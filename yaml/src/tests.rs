//! What is read without a parser is what the parser reads.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::options::DuplicateKeyPolicy;

use super::{documents, is_unread, lean, parse, plain};

/// A node in a block: what stands behind its key or dash, and the lines below, indented from zero.
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
    // A sequence may stand at its key's column.
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

fn plainly(text: &str) -> Option<Value> {
    plain::read(text).map(|node| Value::deserialize(&node).unwrap())
}

fn whole(text: &str) -> Option<Value> {
    parse(text, DuplicateKeyPolicy::LastWins).ok()
}

/// Without what stands under keys that are never read.
fn stripped(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(stripped).collect(),
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(key, _)| !is_unread(key));
            let read = kept.map(|(key, value)| {
                if key == "values" {
                    (key, value)
                } else {
                    (key, stripped(value))
                }
            });
            read.collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_lines_tell_is_what_the_parser_tells(text in document()) {
        if let Some(value) = plainly(&text) {
            prop_assert_eq!(Some(value), whole(&text), "{}", text);
        }
    }

    #[test]
    fn nothing_is_left_out_that_is_read(text in document()) {
        let Some(value) = whole(&text) else { return Ok(()) };
        let lean = lean(&text);
        let read = whole(&lean).map(stripped);
        // An alias to what was left out, for one: the whole is read then.
        if let Some(read) = read {
            prop_assert_eq!(read, stripped(value), "{}\nlean:\n{}", text, lean);
        }
    }

    #[test]
    fn no_text_is_misread(text in "([a-c]|: |- |\n {0,4}|[\"'{}\\[\\],?#&*!|>%@`\t]|schema:\n  |---|\r){0,40}") {
        for document in documents(&text).iter().filter(|document| !document.is_json) {
            if let Some(value) = whole(document.text) {
                if let Some(read) = plainly(document.text).filter(|_| document.lines_are_sure) {
                    prop_assert_eq!(&read, &value, "{}", document.text);
                }
                if let Some(read) = whole(document.lean().text()) {
                    prop_assert_eq!(stripped(read), stripped(value), "{}", document.text);
                }
            }
        }
    }
}

#[test]
fn most_documents_take_no_parser() {
    let text = "---\n# c\na: 1\nb:\n- x: 'y'\n  z: true\n- 3\nc:\n  - {}\n  - []\n\"d\": \"e: f\" # g\nh:\n";
    assert_eq!(plainly(text), whole(text));
    assert!(plainly(text).is_some());
}

#[test]
fn what_nobody_reads_is_left_out_whatever_it_looks_like() {
    for (text, left) in [
        (
            "schema:\n  a: |-\n    b: \"c\n\n  # d\n  g: 'e\n    f' # h\nname: x\n",
            "schema:\nname: x\n",
        ),
        (
            "a:\n  rules:\n  - b: [c]\n  - \"d\"\n# e\n  name: x\n",
            "a:\n  rules:\n  name: x\n",
        ),
        (
            "- args: [\"a\", b]\n  \"c\": 'd'\n",
            "- args: \n  \"c\": 'd'\n",
        ),
        (
            "data:\n  a: |\n    b\n  c: >\n    d: [e\n  f: |\n    g\n  h: \"i\n    j\"\nname: x\n",
            "data:\nname: x\n",
        ),
        (
            "data:\n- |\n it: 'x\n- y\nvalues:\n  data:\n    a: b\n",
            "data:\nvalues:\n  data:\n    a: b\n",
        ),
    ] {
        assert_eq!(lean(text), left);
    }
}

/// Go's reader lets quotes and brackets go on at any indentation.
#[test]
fn what_may_go_on_beyond_its_indentation_is_left_as_it_is() {
    for open in [
        "a: \"x",
        "a: 'x",
        "\"a\": \"x",
        "- 'x",
        "- a: [x,",
        "a: {b: \"}",
        "a:\t\"x",
        "a: !!str \"x",
        "a: &b 'x",
        "? \"x",
        "a: b\n    - \"x\n  c\": {",
        "a: \"x\n    y\" \"",
    ] {
        let close = if open.contains('\'') { "'" } else { "\"" };
        let text = format!("data:\n  {open}\nkind: y{close}\n");
        assert_eq!(lean(&text), text);
    }
}

#[test]
fn a_key_is_known_however_it_is_written() {
    for text in [
        "values: # c\n  data:\n    a: b\n",
        "values :\n  data:\n    a: b\n",
        "\"values\":\n  data:\n    a: b\n",
        "\"values\": # c\n  data:\n    a: b\n",
        "args:x: [b]\n",
        "args: [b, #c]\nspec:\n   z ]\n",
        "a: [&a b]\nargs: [&a c]\nd: [*a]\n",
        "--- |\n data:\n  a\n b\n",
        "--- {a: \"\ndata:\n \", kind: X}\n",
    ] {
        assert_eq!(lean(text), text);
    }
}

#[test]
fn lines_that_end_for_some_readers_only_are_left_to_the_parser() {
    for end in ["\r", "\u{85}", "\u{2028}", "\u{2029}"] {
        let text = format!("data:\n  a: x{end}b: 2\n");
        assert!(
            documents(&text)
                .iter()
                .all(|document| document.lean().text() == text),
            "{end:?}"
        );
    }
    let text = "data:\r\n  a: “é”\r\nb: 2\r\n";
    assert!(
        documents(text)
            .iter()
            .all(|document| document.lean().text() == "data:\r\nb: 2\r\n")
    );
}

/// A dash in plain text that goes on begins no item, so the quote behind it is a letter.
#[test]
fn no_key_is_hidden_or_made_up() {
    for text in [
        "data:\n  a: b\n    - \"c\n  d\": {\nargs:\n  }\nkind: X\n",
        "kind: X\ndata:\n  a: b\n    - \"c\n  d: \"\nkind: Y\ne: f\"\n",
        "kind: X\ndata:\n  a: b\n    - 'c\n  d: '\nkind: Y\ne: f'\n",
        // In a comment there is none either.
        "kind: X\ndata:\n- # a: \"x\n  c: 'y\n   z\"\nkind: Y\ne: f'\n",
        "kind: X\ndata:\n  x:\n  - # a: |\n     c: 'y\nkind: Y\ne: f'\n",
        "kind: X\ndata:\n- a #b: \"x\n- c: 'y\n   z\"\nkind: Y\ne: f'\n",
        "kind: X\ndata:\n- a\t#b: \"x\n- c: 'y\n   z\"\nkind: Y\ne: f'\n",
        "kind: X\ndata:\n  a: b\n   c #d: \"x\n  e: 'y\n   z\"\nkind: Y\ne: f'\n",
        "x:\n- # a: |\n    b: 'x\ndata:\n  c: d'\nkind: X\ne: f'\n",
    ] {
        let read = documents(text)
            .first()
            .unwrap()
            .lean()
            .read::<Value>()
            .map(stripped);
        assert_eq!(read.ok(), whole(text).map(stripped), "{text}");
        assert!(whole(text).is_some(), "{text}");
    }
}

/// More than a minute if each were looked for to the end of the block, and all the memory there is if every one counted.
#[test]
fn many_of_a_kind_are_passed_in_one_go() {
    for open in [
        "  a: \"x\n   y\"\n",
        "  a: |\n   b: \"c\n",
        "  a: |\n   b\n  c: 'd\n   e'\n",
    ] {
        let text = format!("data:\n{}b: c\n", open.repeat(200_000));
        assert_eq!(lean(&text), "data:\nb: c\n");
    }
    assert_eq!(plainly(&format!("a:\n{}", "- b:\n".repeat(300_000))), None);
}

/// Of two keys that a reader takes for one, none gets lost.
#[test]
fn what_is_not_asked_for_is_no_end() {
    let text = "'$serde_json::private::RawValue': '{}'\na: b\n";
    let node = plain::read(text).unwrap();
    assert!(Value::deserialize(&node).is_err());
}
