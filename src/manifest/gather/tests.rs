#![allow(clippy::unwrap_used)]

use super::*;

fn gathered(text: &[u8], most: usize) -> Result<Vec<Found<'_>>, Unfit> {
    gather(
        pieces(text).map(Ok),
        Reading {
            file: Some("f"),
            namespace: None,
        },
        &Crew::of(most),
    )
}

fn object(name: usize) -> String {
    let text = "text ".repeat(PIECE / 20);
    format!(
        "---\n# about\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: n{name}\ndata:\n  a: {text}\n"
    )
}

#[test]
fn places_are_those_in_the_stream_whatever_its_pieces() {
    let text: String = (0..20).map(object).collect();
    assert!(pieces(text.as_bytes()).count() > 3);
    for most in [1, 3] {
        let found = gathered(text.as_bytes(), most).unwrap();
        assert_eq!(found.len(), 20);
        for (
            index,
            Found {
                document,
                number,
                object,
                ..
            },
        ) in found.iter().enumerate()
        {
            assert_eq!(
                (*number, object.name.clone()),
                (index + 1, format!("n{index}"))
            );
            let line = u32::try_from(8 * index + 1).unwrap();
            assert_eq!((document.line, document.content), (line, line + 2));
            assert_eq!(
                object.source.as_ref().map(|source| source.line),
                Some(line + 2)
            );
            assert!(
                text.get(document.offset..)
                    .unwrap()
                    .starts_with(document.text)
            );
        }
    }
}

#[test]
fn what_is_not_readable_is_found_in_whatever_piece_it_stands() {
    let good: String = (0..20).map(object).collect();
    for most in [1, 3] {
        let bad = format!("{good}---\nkind: [\n{}", object(0));
        let unfit = gathered(bad.as_bytes(), most).unwrap_err();
        assert!(
            matches!(&unfit, Unfit::Document { number: 21, unread } if unread.line > 160),
            "{unfit}"
        );
        let bad = [good.as_bytes(), b"---\nkind: X\na: \xff\n---\nkind: [\n"].concat();
        assert_eq!(
            gathered(&bad, most).unwrap_err(),
            Unfit::NotText { line: 163 }
        );
    }
}

#[test]
fn nothing_depends_on_where_a_stream_is_cut() {
    let good = "\u{feff}# c\n%YAML 1.1\n---\nkind: A\r\n...\n---\r\nkind: B\n--- # x\nkind: |\n  ---\n  C\n---\n{\"kind\":\n\"D\"} {\"kind\": \"E\"}\n---\n\n---\na: b\n---\nkind: F\n---\n";
    for end in [
        "kind: G",
        "kind: [\n---\nkind: H\n",
        "\u{1}\n",
        "kind: G\n---\na: b\n---\nkind: [\n---\n",
    ] {
        // Byte 1 stands for a byte that is not UTF-8.
        let text: Vec<_> = good
            .bytes()
            .chain(end.bytes())
            .map(|byte| if byte == 1 { 0xff } else { byte })
            .collect();
        let read = |pieces: &[&[u8]]| {
            let pieces = pieces.iter().map(|piece| Ok(*piece)).collect::<Vec<_>>();
            let found = gather(
                pieces.into_iter(),
                Reading {
                    file: Some("f"),
                    namespace: None,
                },
                &Crew::default(),
            );
            found.map(|found| {
                found
                    .into_iter()
                    .map(|one| (one.document.line, one.number, one.object))
                    .collect::<Vec<_>>()
            })
        };
        let all: Result<_, Unfit> = read(&[&text]);
        for seen in 0..=text.len() {
            if let Some(cut) = yaml::whole(text.get(..seen).unwrap(), 0) {
                let (piece, rest) = text.split_at(cut);
                assert_eq!(read(&[piece, rest]), all, "cut at {cut}");
            }
        }
    }
}

#[test]
fn nothing_is_read_behind_what_ends_a_stream() {
    let objects = "---\nkind: A\n".repeat(MOST_DOCUMENTS / 2);
    for (bad, most) in ["---\n[\n", &objects]
        .into_iter()
        .flat_map(|bad| [(bad, 1), (bad, 3)])
    {
        let mut count = 0;
        let pieces = (0..1_000)
            .map(|_| Ok::<_, Unfit>(bad.as_bytes()))
            .inspect(|_| count += 1);
        assert!(gather(pieces, Reading::default(), &Crew::of(most)).is_err());
        assert!(count < 100, "{count} pieces");
    }
}

#[test]
fn more_objects_than_any_release_holds_are_refused() {
    let one = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\n";
    for most in [1, 3] {
        assert_eq!(
            gathered(one.repeat(MOST_DOCUMENTS).as_bytes(), most).map(|found| found.len()),
            Ok(MOST_DOCUMENTS)
        );
        for text in [
            one.repeat(MOST_DOCUMENTS + 1),
            "---\na: b\n".repeat(MOST_DOCUMENTS + 1),
        ] {
            let unfit = gathered(text.as_bytes(), most).unwrap_err();
            assert!(
                matches!(&unfit, Unfit::Document { number: 10_001, unread } if unread.message.starts_with("more than 10000")),
                "{unfit}"
            );
        }
    }
}
