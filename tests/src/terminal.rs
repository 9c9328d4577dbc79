//! Draws the text of a terminal as SVG.

/// Pixels of a column, a line and the margin.
const COLUMN: usize = 8;
const LINE: usize = 19;
const MARGIN: usize = 18;

/// Colours of GitHub's dark theme: they are readable on a light and on a dark page.
const BACKGROUND: &str = "#0d1117";
const TEXT: &str = "#c9d1d9";
const BRIGHT: &str = "#ffffff";
const DIM: &str = "#8b949e";
const RED: &str = "#ff7b72";
const BLUE: &str = "#79c0ff";

/// A part of a line with one colour.
struct Part<'a> {
    text: &'a str,
    colour: &'static str,
    bold: bool,
}

/// The picture of a terminal with this text.
#[must_use]
pub fn svg(title: &str, text: &str) -> String {
    let columns = text.lines().map(|line| line.chars().count()).max();
    let width = columns.unwrap_or_default() * COLUMN + 2 * MARGIN;
    let height = text.lines().count() * LINE + 2 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">\n<title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n\
         <g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" \
         font-size=\"13.3\">\n",
        escaped(title)
    );
    for (number, line) in text.lines().enumerate() {
        svg += &drawn(line, MARGIN + number * LINE + 14);
    }
    svg + "</g>\n</svg>\n"
}

/// A line. Each part has its own place and length, so that any font keeps the columns.
fn drawn(line: &str, y: usize) -> String {
    let mut column = 0;
    let mut svg = String::new();
    for part in parts(line) {
        let text = part.text.trim();
        let blanks = part
            .text
            .chars()
            .take_while(|letter| *letter == ' ')
            .count();
        let x = MARGIN + (column + blanks) * COLUMN;
        let length = text.chars().count() * COLUMN;
        let weight = if part.bold {
            " font-weight=\"bold\""
        } else {
            ""
        };
        if !text.is_empty() {
            let element = format!(
                "<text x=\"{x}\" y=\"{y}\" textLength=\"{length}\" fill=\"{}\"{weight}>{}</text>\n",
                part.colour,
                escaped(text)
            );
            svg += &element;
        }
        column += part.text.chars().count();
    }
    svg
}

/// The parts of a line of `replay`: titles are bright, labels dim, refusals red, rules blue.
fn parts(line: &str) -> Vec<Part<'_>> {
    let indent = line.len() - line.trim_start().len();
    let (margin, rest) = line.split_at(indent);
    let blank = Part {
        text: margin,
        colour: TEXT,
        bold: false,
    };
    if indent == 0 {
        return vec![Part {
            text: rest,
            colour: BRIGHT,
            bold: true,
        }];
    }
    if let Some(at) = label(line) {
        let (name, told) = line.split_at(at);
        let refused = told == "REFUSED";
        let colour = if refused { RED } else { TEXT };
        return vec![
            Part {
                text: name,
                colour: DIM,
                bold: false,
            },
            Part {
                text: told,
                colour,
                bold: refused,
            },
        ];
    }
    match rest.split_once(": ") {
        Some((rule, _)) if is_rule(rule) => {
            let (rule, told) = rest.split_at(rule.len());
            vec![
                blank,
                Part {
                    text: rule,
                    colour: BLUE,
                    bold: true,
                },
                Part {
                    text: told,
                    colour: TEXT,
                    bold: false,
                },
            ]
        }
        _ => vec![
            blank,
            Part {
                text: rest,
                colour: TEXT,
                bold: false,
            },
        ],
    }
}

/// The length of a line's label; `None` if it has none.
fn label(line: &str) -> Option<usize> {
    let labels = ["asked", "without", "fluxkeep"].map(|name| format!("   {name:<10}"));
    let found = labels
        .iter()
        .find(|label| line.starts_with(label.as_str()))?;
    Some(found.len())
}

fn is_rule(word: &str) -> bool {
    let is_plain = word
        .chars()
        .all(|letter| letter == '-' || letter.is_ascii_lowercase());
    is_plain && word.contains('-')
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_of_the_text_is_drawn_and_escaped() {
        let picture = svg(
            "a <b>",
            "$ x\n   fluxkeep  REFUSED\n             a-rule: no & not <y>\n",
        );
        assert!(picture.contains("<title>a &lt;b&gt;</title>"), "{picture}");
        for text in ["$ x", "REFUSED", "a-rule", ": no &amp; not &lt;y&gt;"] {
            assert!(picture.contains(&format!(">{text}</text>")), "{picture}");
        }
        assert!(
            picture.contains(&format!("fill=\"{RED}\" font-weight=\"bold\">REFUSED")),
            "{picture}"
        );
    }
}
