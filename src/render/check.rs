//! The report of a repository's check: findings, pins and groups.

use std::fmt::Write;

use serde::Serialize;

use super::{Format, github, json, junit, pretty, printable, sarif, snippet, text};
use crate::case::finding::Finding;
use crate::case::verdict::Verdict;
use crate::repository::comes::UnknownFlux;
use crate::repository::{Comes, Pin, PinRole, Repository};

/// The parts of a report beside the findings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    /// The pins, as a table per group.
    pub list: bool,
    /// Also the pins in examples.
    pub all: bool,
    /// Also the files of which not everything was read, and findings at level `audit`.
    pub details: bool,
}

/// Renders the verdict about a repository. Colour applies to text only.
#[must_use]
pub fn check(
    verdict: &Verdict,
    repository: &Repository,
    format: Format,
    shown: Shown,
    colour: bool,
) -> String {
    match format {
        Format::Text => as_text(verdict, repository, shown, colour),
        Format::Json => as_json(verdict, repository),
        Format::Sarif => sarif::render(verdict),
        Format::Junit => junit::render(verdict),
        Format::Github => github::render(verdict, &sum(repository, shown.details)),
    }
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    verdict: json::Report<'a>,
    pins: Vec<Entry<'a>>,
    groups: Vec<&'a str>,
    skipped: Vec<Skip<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    form: &'static str,
    role: &'static str,
    product: &'static str,
    version: &'a str,
    flux: Option<String>,
    groups: Vec<&'a str>,
    judged: bool,
    source: Option<json::Place<'a>>,
}

#[derive(Serialize)]
struct Skip<'a> {
    file: &'a str,
    why: &'a str,
}

fn as_json(verdict: &Verdict, repository: &Repository) -> String {
    let places: Vec<_> = repository
        .pins
        .iter()
        .map(|pin| repository.place(pin))
        .collect();
    let pins = repository.pins.iter().zip(&places);
    let pins = pins.map(|(pin, place)| Entry {
        form: pin.form,
        role: pin.role.name(),
        product: pin.product().name(),
        version: &pin.version,
        flux: pin.flux().map(ToString::to_string),
        groups: repository.names(&pin.groups),
        judged: pin.counts,
        source: place.as_ref().map(json::place),
    });
    let skipped = repository.skipped.iter().map(|one| Skip {
        file: &one.path,
        why: &one.why,
    });
    pretty(&Report {
        verdict: json::report(verdict),
        pins: pins.collect(),
        groups: repository
            .groups
            .iter()
            .map(|group| group.name.as_str())
            .collect(),
        skipped: skipped.collect(),
    })
}

fn as_text(verdict: &Verdict, repository: &Repository, shown: Shown, colour: bool) -> String {
    let mut text = String::new();
    if shown.list {
        text += &list(repository, shown.all);
    }
    let mut findings: Vec<&Finding> = verdict.findings.iter().collect();
    findings.sort_by_key(|finding| (std::cmp::Reverse(finding.level), finding.when()));
    for finding in findings {
        let is_audit = finding.level <= crate::case::finding::Level::Audit;
        if !is_audit || shown.details {
            text += &snippet::render(finding, repository, colour);
            text.push('\n');
        }
    }
    for (pin, why) in unknown(repository) {
        let place = repository.place(pin);
        let place = place
            .map(|at| format!("{}:{}: ", at.file, at.line))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "not judged: {}",
            printable(&format!("{place}{}: {why}", pin.told()))
        );
    }
    if shown.details {
        for one in &repository.skipped {
            let _ = writeln!(
                text,
                "not read: {}: {}",
                printable(&one.path),
                printable(&one.why)
            );
        }
    }
    text += &text::sum(verdict, colour);
    text += &sum(repository, shown.details);
    text
}

/// The pins that install Flux and hide their version.
fn unknown(repository: &Repository) -> impl Iterator<Item = (&Pin, &UnknownFlux)> {
    repository
        .pins
        .iter()
        .filter(|pin| pin.counts && pin.role == PinRole::Installs)
        .filter_map(|pin| match &pin.comes {
            Comes::Unknown(why) => Some((pin, why)),
            _ => None,
        })
}

fn sum(repository: &Repository, is_listed: bool) -> String {
    let pins = repository.pins.iter().filter(|pin| pin.counts).count();
    let groups = repository.groups.len();
    let mut sum = if pins == 0 {
        "; no pin of Flux".to_owned()
    } else {
        format!("; {} in {}", many(pins, "pin"), many(groups, "group"))
    };
    let skipped = repository.skipped.len();
    if skipped > 0 {
        let hint = if is_listed {
            ""
        } else {
            " (--verbose lists them)"
        };
        let _ = write!(sum, "; {} not read{hint}", many(skipped, "file"));
    }
    sum + "\n"
}

fn many(count: usize, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}

/// A table of pins for each group; shared pins are in each.
fn list(repository: &Repository, all: bool) -> String {
    let mut text = String::new();
    for (number, group) in repository.groups.iter().enumerate() {
        let pins = repository
            .pins
            .iter()
            .filter(|pin| pin.groups.contains(&number) && pin.counts);
        let rows: Vec<_> = pins.map(|pin| row(repository, pin)).collect();
        let _ = writeln!(text, "group {}", printable(&group.name));
        text += &table(&rows);
        text.push('\n');
    }
    let examples: Vec<_> = repository
        .pins
        .iter()
        .filter(|pin| !pin.counts)
        .map(|pin| row(repository, pin))
        .collect();
    if all && !examples.is_empty() {
        text += "examples, not judged\n";
        text += &table(&examples);
        text.push('\n');
    }
    text
}

fn row(repository: &Repository, pin: &Pin) -> [String; 4] {
    let place = repository.place(pin);
    let place = place
        .map(|at| format!("{}:{}", at.file, at.line))
        .unwrap_or_default();
    let flux = match (&pin.comes, pin.flux()) {
        (Comes::One(_), Some(flux)) => format!("Flux {flux}"),
        (_, Some(flux)) => format!("Flux {flux} today"),
        (_, None) => "Flux unknown".to_owned(),
    };
    [
        pin.role.name().to_owned(),
        printable(&pin.told()),
        flux,
        printable(&place),
    ]
}

fn table(rows: &[[String; 4]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2)];
    let mut text = String::new();
    for [role, thing, flux, place] in rows {
        let [first, second, third] = widths;
        let _ = writeln!(
            text,
            "  {role:first$}  {thing:second$}  {flux:third$}  {place}"
        );
    }
    text
}
