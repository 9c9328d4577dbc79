//! Unusual texts: mutations of real and nasty documents, and documents generated from the grammar.

/// A reproducible random number generator (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `most`.
    pub(crate) fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most.max(1) as u64).unwrap_or(0)
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

const SCALARS: [&str; 60] = [
    "",
    "~",
    "null",
    "Null",
    "y",
    "no",
    "On",
    "true",
    "0",
    "-0",
    "010",
    "08",
    "0x1F",
    "0o17",
    "0b11",
    "-0b11",
    "1_000",
    "1e3",
    "1e400",
    "1.50",
    ".5",
    "+.5e3",
    "1.",
    ".inf",
    "-.Inf",
    ".nan",
    "18446744073709551615",
    "9223372036854775808",
    "123456789012345678901234567890",
    "1e21",
    "1e-7",
    "0.1",
    "3.4e38",
    "1:30",
    "2001-01-01",
    "2001-01-01T00:00:00Z",
    "<<",
    "=",
    "a",
    "kind",
    "a b",
    "a: b",
    "a:b",
    "it's",
    "a #b",
    "a#b",
    "é",
    "'a'",
    "\"a\\tb\"",
    "'it''s'",
    "\"\\u2028\"",
    "{}",
    "[]",
    "{a: b}",
    "[a, 1]",
    "{a: {b: c}, d: [e]}",
    "-a",
    "?a",
    ":a",
    "a,b]}",
];

const TAGS: [&str; 12] = [
    "!!str",
    "!!int",
    "!!float",
    "!!bool",
    "!!null",
    "!!binary",
    "!!timestamp",
    "!!map",
    "!!merge",
    "!foo",
    "!",
    "!<tag:yaml.org,2002:int>",
];

const NOISE: [&str; 42] = [
    ":", ": ", "-", "- ", "?", "? ", ",", "[", "]", "{", "}", "#", " # c", "&a ", "*a", "!", "|",
    ">", "'", "\"", "%", "@", "`", "\t", "\n", " ", "\\", "~", "<", "=", "\r", "\r\n", "\u{85}",
    "\u{2028}", "\u{2029}", "\u{feff}", "é", "\u{1}", "---\n", "...\n", "\n\n", "  ",
];

/// A seed document with a few changes.
pub(crate) fn mutated(seeds: &[String], random: &mut Random) -> String {
    let mut text = random.pick(seeds).clone();
    for _ in 0..=random.below(4) {
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        if lines.is_empty() {
            lines.push(String::new());
        }
        let at = random.below(lines.len());
        change(&mut lines, at, seeds, random);
        text = lines.concat();
    }
    text
}

fn change(lines: &mut Vec<String>, at: usize, seeds: &[String], random: &mut Random) {
    let line = lines[at].clone();
    match random.below(20) {
        0 | 1 => {
            let (end, spaces) = (
                lines.len().min(at + 1 + random.below(6)),
                " ".repeat(1 + random.below(4)),
            );
            for line in &mut lines[at..end] {
                line.insert_str(0, &spaces);
            }
        }
        2 => line
            .strip_prefix("  ")
            .or(line.strip_prefix(' '))
            .unwrap_or(&line)
            .clone_into(&mut lines[at]),
        3 => {
            let other = random.below(lines.len());
            lines.swap(at, other);
        }
        4 => lines.insert(at, line),
        5 => drop(lines.remove(at)),
        6 => {
            let other: Vec<_> = random
                .pick(seeds)
                .split_inclusive('\n')
                .map(str::to_owned)
                .collect();
            if !other.is_empty() {
                lines.insert(at, random.pick(&other).clone());
            }
        }
        7 => lines.insert(at, format!("{}# c: \"d\n", " ".repeat(random.below(6)))),
        8 => {
            let strange =
                *random.pick(&["---", "...", "--- # c", "%YAML 1.1", "", "  ", "--- a", "{"]);
            lines.insert(at, format!("{strange}\n"));
        }
        9 => {
            let end: &str = random
                .pick::<&str>(&["\r\n", "\r", "\u{85}", "\u{2028}", "\u{2029}", " # c\n", ""]);
            lines[at] = line.replace('\n', end);
        }
        10 => lines.truncate(at),
        11 => {
            line[..boundary(&line, random)].clone_into(&mut lines[at]);
            lines.truncate(at + 1);
        }
        12..=15 => lines[at] = noise(&line, random),
        _ => lines[at] = value(&line, random),
    }
}

/// The line with a character removed or inserted, or broken at a space.
fn noise(line: &str, random: &mut Random) -> String {
    let (before, behind) = line.split_at(boundary(line, random));
    match random.below(4) {
        0 => format!("{before}{}", behind.chars().skip(1).collect::<String>()),
        1 => {
            let spaces: Vec<_> = line
                .trim_end()
                .match_indices(' ')
                .map(|(at, _)| at)
                .collect();
            if spaces.is_empty() {
                return line.to_owned();
            }
            let cut = *random.pick(&spaces);
            format!(
                "{}\n{}{}",
                &line[..cut],
                " ".repeat(random.below(8)),
                &line[cut + 1..]
            )
        }
        _ => format!("{before}{}{behind}", random.pick(&NOISE)),
    }
}

/// The line with another value.
fn value(line: &str, random: &mut Random) -> String {
    let Some((key, value)) = line.split_once(':') else {
        return format!(
            "{}: {line}",
            random.pick::<&str>(&["<<", "? a", "\"kind\"", "'a'", "1", "~", "*a", "&a b"])
        );
    };
    let value = value.trim();
    let scalar = *random.pick::<&str>(&SCALARS);
    let indent = " ".repeat(key.len() - key.trim_start().len());
    match random.below(14) {
        0 => format!("{key}: '{value}'\n"),
        1 => format!("{key}: \"{value}\"\n"),
        2 => format!("{key}: {{{value}: {scalar}}}\n"),
        3 => format!("{key}: [{value}, {scalar}]\n"),
        4 => format!(
            "{key}: &{} {value}\n",
            random.pick::<&str>(&["a", "b", "c.d"])
        ),
        5 => format!("{key}: *{}\n", random.pick::<&str>(&["a", "b", "c.d"])),
        6 => format!(
            "{indent}<<: {}\n{line}",
            random.pick::<&str>(&["*a", "[*a, *b]", "{kind: X, a: y}", "[{a: b}, {a: c}]"])
        ),
        7 => format!("{key}: {} {value}\n", random.pick(&TAGS)),
        8 => format!("{key}: {} {scalar}\n", random.pick(&TAGS)),
        9 => {
            let header = random.pick::<&str>(&["|", ">", "|-", ">+", "|2", "|1-"]);
            format!("{key}: {header}\n{indent}  {value}\n{indent}   {scalar}\n")
        }
        10 => format!("{key}:\n{indent}{}{value}\n", " ".repeat(random.below(4))),
        11 => format!("{indent}? {}\n{indent}: {value}\n", key.trim()),
        12 => format!(
            "{indent}{}: {value}\n",
            random.pick::<&str>(&[
                "\"kind\"",
                "'metadata'",
                "\"\\x6bind\"",
                "yes",
                "1",
                "1.0",
                "\"1\"",
                "~"
            ])
        ),
        _ => format!("{key}: {scalar}\n"),
    }
}

fn boundary(line: &str, random: &mut Random) -> usize {
    let places: Vec<_> = line
        .char_indices()
        .map(|(at, _)| at)
        .chain([line.len()])
        .collect();
    *random.pick(&places)
}

/// A generated document of maps, lists and scalars in all styles.
pub(crate) fn made_up(random: &mut Random) -> String {
    let mut text = random
        .pick::<&str>(&["", "", "", "---\n", "# c\n", "\n"])
        .to_string();
    map(&mut text, 0, 3, random);
    text
}

const KEYS: [&str; 16] = [
    "apiVersion",
    "kind",
    "metadata",
    "labels",
    "annotations",
    "spec",
    "versions",
    "name",
    "schema",
    "data",
    "template",
    "a",
    "\"b\"",
    "'name'",
    "1",
    "app.kubernetes.io/name",
];

fn map(text: &mut String, indent: usize, depth: usize, random: &mut Random) {
    for _ in 0..=random.below(4) {
        text.push_str(&" ".repeat(indent));
        text.push_str(random.pick::<&str>(&KEYS));
        text.push(':');
        node(text, indent, depth, random);
        if random.below(12) == 0 {
            text.push_str(random.pick::<&str>(&["\n", "  # c\n", "# c\n"]));
        }
    }
}

#[allow(clippy::too_many_lines)] // One arm a form of YAML; apart they would be harder to compare.
fn node(text: &mut String, indent: usize, depth: usize, random: &mut Random) {
    match random.below(if depth == 0 { 6 } else { 12 }) {
        0 => text.push_str(&format!(
            " {}\n",
            random.pick::<&str>(&[
                "&a x",
                "*a",
                "!!str 1",
                "!!binary YQ==",
                "!foo x",
                "\"a\\\n   b\""
            ])
        )),
        1 => {
            let spaces = " ".repeat(indent + 1 + random.below(3));
            let header = random.pick::<&str>(&["|", ">", "|-", ">-", "|+", ">+"]);
            text.push_str(&format!(
                " {header}\n{spaces}x: \"\n{spaces} # y\n\n{spaces}z\n"
            ));
        }
        2 => {
            let spaces = " ".repeat(indent + 1 + random.below(3));
            let second = random.pick::<&str>(&[
                "b",
                "&& has(b)",
                "'c",
                "\"d",
                "- e",
                "{f",
                "# g",
                "!= 'h'",
                "? i",
                "| j",
                "*k",
                ": l",
            ]);
            text.push_str(&format!(
                " {}\n{spaces}{second}\n",
                random.pick::<&str>(&["a", "\"a", "'a", "", "it's", "|", "[a,"])
            ));
        }
        3 | 4 => text.push_str(&format!(
            " {}{}\n",
            random.pick::<&str>(&SCALARS),
            random.pick::<&str>(&["", "", "", " # c", " "])
        )),
        5 => {
            text.push(' ');
            flow(text, 2, random);
            text.push('\n');
        }
        6..=8 => {
            text.push('\n');
            map(text, indent + 1 + random.below(3), depth - 1, random);
        }
        _ => {
            text.push('\n');
            let spaces = " ".repeat(indent + 2 * random.below(2));
            for _ in 0..=random.below(3) {
                text.push_str(&spaces);
                text.push('-');
                if random.below(2) == 0 {
                    text.push(' ');
                    let mut item = String::new();
                    map(&mut item, spaces.len() + 2, depth - 1, random);
                    text.push_str(item.trim_start());
                } else {
                    node(text, spaces.len(), depth - 1, random);
                }
            }
        }
    }
}

fn flow(text: &mut String, depth: usize, random: &mut Random) {
    let gap = *random.pick::<&str>(&["", " ", "\n  ", " "]);
    match random.below(if depth == 0 { 1 } else { 3 }) {
        0 => text.push_str(random.pick::<&str>(&SCALARS)),
        1 => {
            text.push('[');
            for _ in 0..random.below(4) {
                flow(text, depth - 1, random);
                text.push(',');
                text.push_str(gap);
            }
            text.push(']');
        }
        _ => {
            text.push('{');
            for _ in 0..random.below(4) {
                text.push_str(random.pick::<&str>(&KEYS));
                text.push_str(random.pick::<&str>(&[": ", ":", " : "]));
                flow(text, depth - 1, random);
                text.push(',');
                text.push_str(gap);
            }
            text.push('}');
        }
    }
}
