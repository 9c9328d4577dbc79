//! Text for people: earliest breakage first, objects of a problem together, the sum at the end.

use super::printable;
use crate::case::finding::{Finding, Level, Outcome, more};
use crate::case::verdict::{Decision, Verdict};

pub(super) fn render(verdict: &Verdict, colour: bool) -> String {
    let mut lines = Vec::new();
    let mut findings: Vec<&Finding> = verdict.findings.iter().collect();
    findings.sort_by_key(|finding| finding.when());
    for group in findings.chunk_by(|left, right| are_alike(left, right)) {
        lines.extend(told(group, colour));
        lines.push(String::new());
    }
    for abstained in &verdict.abstained {
        lines.push(format!(
            "{} abstained: it needs the {}",
            abstained.rule, abstained.needs
        ));
    }
    if !verdict.abstained.is_empty() {
        lines.push(String::new());
    }
    lines.push(sum(verdict, colour));
    lines.join("\n") + "\n"
}

/// True for the same problem and remedy on different objects.
fn are_alike(left: &Finding, right: &Finding) -> bool {
    left.rule == right.rule
        && left.message == right.message
        && left.remedy == right.remedy
        && left.outcome() == right.outcome()
}

fn told(group: &[&Finding], colour: bool) -> Vec<String> {
    let Some(first) = group.first() else {
        return Vec::new();
    };
    let head = format!("{} {}", paint(first, colour), first.rule);
    let mut lines = vec![head];
    lines.extend(group.iter().map(|finding| format!("  {}", place(finding))));
    lines.push(format!("    {}.", printable(&first.message)));
    lines.extend(remedy(first));
    if let Some(excuse) = &first.excused {
        let why = printable(&excuse.reason);
        let until = excuse.until.map(|until| format!(" until {until}"));
        lines.push(format!(
            "    allowed{} by {}: {why}",
            until.unwrap_or_default(),
            printable(&excuse.by)
        ));
    }
    lines.push(format!("    {}", more(first.rule)));
    lines
}

/// The remedy; a command has its own line.
fn remedy(finding: &Finding) -> Vec<String> {
    let text = printable(&finding.remedy);
    match text.rsplit_once('\n') {
        None => vec![format!("    → {text}.")],
        Some((advice, command)) => vec![format!("    → {advice}"), format!("      {command}")],
    }
}

/// The object, the path in it, and its place in a file.
fn place(finding: &Finding) -> String {
    let object = printable(&finding.object.to_string());
    let source = finding.source.as_ref();
    let source = source.map(|at| format!("  ({}:{}:{})", printable(&at.file), at.line, at.column));
    let path = if finding.path.is_empty() {
        String::new()
    } else {
        format!(" {}", finding.path)
    };
    format!("{object}{path}{}", source.unwrap_or_default())
}

fn paint(finding: &Finding, colour: bool) -> String {
    let (word, code) = match finding.outcome() {
        Outcome::Refused => ("refused", 31),
        Outcome::Warned => ("warning", 33),
        Outcome::Audited => ("audit", 36),
        Outcome::Overridden => ("overridden", 35),
        Outcome::Known => ("known", 36),
    };
    painted(word, code, colour)
}

fn painted(word: &str, code: u8, colour: bool) -> String {
    if colour {
        format!("\u{1b}[1;{code}m{word}\u{1b}[0m")
    } else {
        word.to_owned()
    }
}

pub(super) fn sum(verdict: &Verdict, colour: bool) -> String {
    let count = |level| {
        verdict
            .standing()
            .filter(|finding| finding.level == level)
            .count()
    };
    let overridden = verdict.with(Outcome::Overridden).count();
    let known = verdict.with(Outcome::Known).count();
    let (word, code) = match verdict.decision() {
        Decision::Refuse => ("refuse", 31),
        Decision::Warn => ("warn", 33),
        Decision::Allow => ("allow", 32),
    };
    let parts = [
        (count(Level::Enforce), "refused"),
        (count(Level::Warn), "warned about"),
        (count(Level::Audit), "noted for the audit"),
        (overridden, "overridden"),
        (known, "known before the change"),
        (verdict.abstained.len(), "not judged for lack of a fact"),
    ];
    let parts = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"));
    let parts: Vec<String> = parts.collect();
    let rest = if parts.is_empty() {
        "nothing found".to_owned()
    } else {
        parts.join(", ")
    };
    format!("{}: {rest}", painted(word, code, colour))
}
