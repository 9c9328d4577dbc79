//! Text of bounded length for people who see one message in a terminal.

use crate::finding::Finding;

/// A refusal's longest text: what kubectl and helm-controller's conditions still show whole.
pub const LONGEST_MESSAGE: usize = 1_000;
/// The apiserver's limit for one warning.
pub const LONGEST_WARNING: usize = 120;

/// Every finding on its own line; of what does not fit the number and the rules are told. The first
/// line stands by itself: kubectl prints a dump of the patch before it.
#[must_use]
pub fn refusal(refused: &[&Finding]) -> String {
    let mut text = String::new();
    let mut left = refused;
    while let Some((finding, behind)) = left.split_first() {
        let (line, tail) = (finding.to_string(), untold(left));
        let room = LONGEST_MESSAGE
            - if behind.is_empty() {
                0
            } else {
                tail.chars().count() + 1
            };
        if text.is_empty() {
            text = cut(&line, room);
        } else if text.chars().count() + 1 + line.chars().count() <= room {
            text = text + "\n" + &line;
        } else {
            return text + "\n" + &tail;
        }
        left = behind;
    }
    text
}

/// How many findings are left, and of which rules: there are 20 rules, so this stays short.
fn untold(left: &[&Finding]) -> String {
    let rules = left
        .chunk_by(|one, other| one.rule == other.rule)
        .filter_map(<[_]>::first);
    format!(
        "{}: {}",
        more(left.len()),
        rules
            .map(|finding| finding.rule)
            .collect::<Vec<_>>()
            .join(", ")
    )
}

/// One line a rule, short enough for a warning header: its first finding, and how many more.
#[must_use]
pub fn warnings<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<String> {
    let findings: Vec<&Finding> = findings.into_iter().collect();
    let groups = findings.chunk_by(|left, right| left.rule == right.rule);
    groups
        .filter_map(|group| Some(warning(group.first()?, group.len() - 1)))
        .collect()
}

/// One line about what was added to an object on its way.
#[must_use]
pub fn added(object: &str, field: &str) -> String {
    cut(
        &format!("{object}: fluxkeep added {field}: an uninstall of the release keeps its objects"),
        LONGEST_WARNING,
    )
}

fn warning(finding: &Finding, rest: usize) -> String {
    let tail = if rest == 0 {
        String::new()
    } else {
        format!(" ({})", more(rest))
    };
    let text = format!("{}: {}: {}", finding.rule, finding.object, finding.message);
    cut(&text, LONGEST_WARNING - tail.chars().count()) + &tail
}

fn more(count: usize) -> String {
    format!("… and {count} more")
}

/// At most `longest` characters, the last of them an ellipsis where something was cut off.
fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    format!("{kept}…")
}
