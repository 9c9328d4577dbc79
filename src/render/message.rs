//! Text of bounded length for people who see a single message in a terminal.

use crate::case::finding::{Finding, more};

/// Longest text of a refusal that kubectl and helm-controller's conditions show completely.
pub const LONGEST_MESSAGE: usize = 1_000;
/// The apiserver's limit for a warning.
pub const LONGEST_WARNING: usize = 120;

/// Every finding by rule, earliest breakage first. If all fit, each has its own lines; else each
/// rule has one finding, followed by its other objects. Findings beyond that are counted. The first
/// line stands alone: kubectl prints a dump of the patch before it.
#[must_use]
pub fn refusal(refused: &[&Finding]) -> String {
    let mut findings = refused.to_vec();
    findings.sort_by_key(|finding| finding.when());
    let groups: Vec<&[&Finding]> = findings
        .chunk_by(|left, right| left.rule == right.rule)
        .collect();
    let whole: Vec<String> = groups.iter().map(|group| in_full(group)).collect();
    let whole = whole.join("\n");
    if length(&whole) <= LONGEST_MESSAGE {
        return whole;
    }
    in_short(&groups)
}

/// Each finding of a rule.
fn in_full(group: &[&Finding]) -> String {
    let mut lines: Vec<String> = group.iter().map(ToString::to_string).collect();
    lines.extend(group.first().map(|first| more(first.rule)));
    lines.join("\n")
}

/// The rules that fit, then the number of findings left and the names of their rules.
fn in_short(groups: &[&[&Finding]]) -> String {
    let mut text = String::new();
    for (place, group) in groups.iter().enumerate() {
        let (told, left) = groups.split_at(place);
        let behind = left.get(1..).unwrap_or_default();
        let tail = if behind.is_empty() {
            0
        } else {
            length(&untold(behind)) + 1
        };
        let line_end = usize::from(!told.is_empty());
        let room = LONGEST_MESSAGE.saturating_sub(length(&text) + line_end + tail);
        let must = told.is_empty();
        let Some(lines) = together(group, room, must) else {
            return text + "\n" + &untold(left);
        };
        if !told.is_empty() {
            text.push('\n');
        }
        text.push_str(&lines);
    }
    text
}

/// The first finding of a rule, then its other objects: with their messages if all fit, else with
/// as many values as fit. `None` if even the first does not fit, unless the text `must` have it.
fn together(group: &[&Finding], room: usize, must: bool) -> Option<String> {
    let (first, others) = group.split_first()?;
    let end = format!("\n{}", more(first.rule));
    let explained: Vec<String> = others.iter().map(|other| told(first, other)).collect();
    let others: Vec<String> = others.iter().map(|other| brief(first, other)).collect();
    let mut least = length(&end);
    if !others.is_empty() {
        least += length(&also(&[], others.len()));
    }
    let space = room.saturating_sub(least);
    let line = first.to_string();
    let line = if length(&line) <= space {
        line
    } else if must {
        cut(&advice(first), space)
    } else {
        return None;
    };
    let space = room.saturating_sub(length(&line) + length(&end));
    let list = also(&explained, 0);
    if length(&list) <= space {
        return Some(line + &list + &end);
    }
    Some(line + &as_many(&others, space) + &end)
}

/// The line with as many objects as fit, and the count of the rest. The list grows from the front:
/// a release may hold thousands of objects, of which a few dozen fit.
fn as_many(objects: &[String], space: usize) -> String {
    let whole = also(objects, 0);
    if length(&whole) <= space {
        return whole;
    }
    let mut list = also(&[], objects.len());
    for named in 1..objects.len() {
        let shown = objects.get(..named).unwrap_or_default();
        let longer = also(shown, objects.len() - named);
        if length(&longer) > space {
            break;
        }
        list = longer;
    }
    list
}

/// The finding without its command: half a command is useless.
fn advice(finding: &Finding) -> String {
    let text = finding.to_string();
    match finding.command() {
        None => text,
        Some(command) => {
            let advice = text.strip_suffix(command).unwrap_or(&text).trim_end();
            format!(
                "{} (the command is too long for this text)",
                advice.trim_end_matches(':')
            )
        }
    }
}

/// The line with further objects of a rule; empty without any.
fn also(objects: &[String], left: usize) -> String {
    let mut parts = objects.to_vec();
    if left > 0 {
        parts.push(more_of(left));
    }
    if parts.is_empty() {
        return String::new();
    }
    format!("\nAlso {}", parts.join(", "))
}

/// An object with its wrong value.
fn brief(first: &Finding, finding: &Finding) -> String {
    let name = name(first, finding);
    if finding.value.is_empty() {
        return name;
    }
    format!("{name} ({})", finding.value)
}

/// An object with its message.
fn told(first: &Finding, finding: &Finding) -> String {
    format!("{}: {}", name(first, finding), finding.message)
}

/// An object, without its kind if the first finding has the same kind.
fn name(first: &Finding, finding: &Finding) -> String {
    let object = finding.object.to_string();
    let name = object.strip_prefix(&format!("{} ", first.object.kind));
    name.unwrap_or(&object).to_owned()
}

/// The number of findings left, and their rules: there are few rules, so this stays short.
fn untold(groups: &[&[&Finding]]) -> String {
    let count = groups.iter().map(|group| group.len()).sum();
    let firsts = groups.iter().filter_map(|group| group.first());
    let rules: Vec<&str> = firsts.map(|finding| finding.rule).collect();
    format!("{}: {}", more_of(count), rules.join(", "))
}

/// A line for each rule that fits a warning header: its first finding and the count of others.
#[must_use]
pub fn warnings<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<String> {
    let mut findings: Vec<&Finding> = findings.into_iter().collect();
    findings.sort_by_key(|finding| finding.when());
    let groups = findings.chunk_by(|left, right| left.rule == right.rule);
    groups
        .filter_map(|group| Some(warning(group.first()?, group.len() - 1)))
        .collect()
}

/// A line about a field that fluxkeep added to an object.
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
        format!(" ({})", more_of(rest))
    };
    let text = format!("{}: {}: {}", finding.rule, finding.object, finding.message);
    cut(&text, LONGEST_WARNING - length(&tail)) + &tail
}

fn more_of(count: usize) -> String {
    format!("… and {count} more")
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// At most `longest` characters; an ellipsis replaces the cut part.
fn cut(text: &str, longest: usize) -> String {
    if length(text) <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    format!("{kept}…")
}
