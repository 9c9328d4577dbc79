//! The plan as a table, with notes below.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fluxkeep::adoption::Ownership;
use fluxkeep::helm::{Owner, RESOURCE_POLICY};
use fluxkeep::object::Object;

use super::holds::{Hold, Holds};
use super::plan::{Row, SeenObject};
use super::stamp::{KeyChange, Stamp};

/// A row per object, and an explanation of the words.
#[must_use]
pub fn plan(rows: &[Row], owner: &Owner) -> String {
    let head = ["OBJECT", "STANDING", "WRITES", "TAKES OFF"].map(str::to_owned);
    let lines: Vec<_> = std::iter::once(head).chain(rows.iter().map(line)).collect();
    let meaning = format!(
        "\nkeep: {RESOURCE_POLICY}: keep, so that neither an uninstall nor a later revision of the release deletes it\n\
         owner: app.kubernetes.io/managed-by, meta.helm.sh/release-name, meta.helm.sh/release-namespace, so that Helm \
         knows it as release {owner}'s\n"
    );
    columns(&lines) + &meaning
}

fn line(row: &Row) -> [String; 4] {
    let standing = match &row.standing {
        Ownership::Foreign(other) => format!("foreign ({other})"),
        standing => standing.name().to_owned(),
    };
    [
        row.stamp.to_string(),
        standing,
        writes(&row.stamp),
        takes_off(&row.stamp),
    ]
}

fn writes(stamp: &Stamp) -> String {
    let written: Vec<_> = stamp.real().filter(|change| change.is.is_some()).collect();
    let any = |keep: bool| {
        written
            .iter()
            .any(|change| (change.key == RESOURCE_POLICY) == keep)
    };
    let words = [("keep", any(true)), ("owner", any(false))]
        .into_iter()
        .filter(|(_, any)| *any);
    let over = written
        .iter()
        .filter_map(|change| Some(format!("(over {}={})", change.key, change.was.as_ref()?)));
    words
        .map(|(word, _)| word.to_owned())
        .chain(over)
        .collect::<Vec<_>>()
        .join(" ")
}

fn takes_off(stamp: &Stamp) -> String {
    stamp
        .real()
        .filter(|change| change.is.is_none())
        .map(pair)
        .collect::<Vec<_>>()
        .join(" ")
}

fn pair(change: &KeyChange) -> String {
    format!(
        "{}={}",
        change.key,
        change.was.as_deref().unwrap_or_default()
    )
}

/// The keys that an undo restores and removes, a row per object.
#[must_use]
pub fn undo(stamps: &[Stamp]) -> String {
    let head = ["OBJECT", "PUTS BACK", "TAKES OFF"].map(str::to_owned);
    let keys = |changes: Vec<String>| changes.join(" ");
    let row = |stamp: &Stamp| {
        let (back, off): (Vec<_>, Vec<_>) = stamp.real().partition(|change| change.was.is_some());
        [
            stamp.to_string(),
            keys(back.into_iter().map(pair).collect()),
            keys(off.into_iter().map(|change| change.key.clone()).collect()),
        ]
    };
    columns(
        &std::iter::once(head)
            .chain(stamps.iter().map(row))
            .collect::<Vec<_>>(),
    )
}

/// Columns as wide as their longest cell.
pub(crate) fn columns<const N: usize>(lines: &[[String; N]]) -> String {
    let wide = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<_> = (0..N)
        .map(|column| wide(column).unwrap_or_default())
        .collect();
    let padded = |line: &[String; N]| {
        let cells = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(padded).collect()
}

/// The objects that cannot be taken over. Those with the same reason share a line.
#[must_use]
pub fn refusals(rows: &[Row]) -> String {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in rows {
        if let Some(reason) = &row.refusal {
            let objects = reasons.entry(reason).or_default();
            objects.push(row.stamp.to_string());
        }
    }
    let mut lines = Vec::new();
    for (reason, objects) in reasons {
        let first = objects.first().map(String::as_str).unwrap_or_default();
        let objects = match objects.len() {
            1 => first.to_owned(),
            all => format!("{first} and {} more", all - 1),
        };
        lines.push(format!("{objects}: {reason}\n"));
    }
    lines.concat()
}

/// Advice for the time after the adoption, one item per line.
#[must_use]
pub fn advice(holds: &Holds, orphans: &[&Object], seen: &[SeenObject]) -> String {
    let mut lines: Vec<_> = holds.iter().filter_map(released).collect();
    if !orphans.is_empty() {
        let names: Vec<_> = orphans.iter().map(ToString::to_string).collect();
        lines.push(format!(
            "Not in the release, and left alone: {}\n",
            names.join(", ")
        ));
    }
    lines.extend(conflicts(seen));
    lines.concat()
}

fn released((holder, hold): (&str, Hold)) -> Option<String> {
    let advice = match hold {
        Hold::Suspended => "is paused: take these objects out of its source before it is resumed",
        Hold::Gone => "is not in this cluster: where one elsewhere applies to it, pause that",
        Hold::TakenOver => "loses these objects: see to it that it does not apply them again",
        Hold::Applies => return None,
    };
    Some(format!("{holder} {advice}\n"))
}

/// Helm 4 applies server-side. After storing its record, it fails at the first field that another
/// manager owns with another value.
fn conflicts(seen: &[SeenObject]) -> Option<String> {
    let owned: Vec<_> = seen
        .iter()
        .filter(|seen| !seen.managers.is_empty())
        .collect();
    let managers: BTreeSet<_> = owned.iter().flat_map(|seen| &seen.managers).collect();
    let names: Vec<_> = managers.into_iter().map(String::as_str).collect();
    let (count, names) = (owned.len(), names.join(", "));
    (count > 0).then(|| {
        format!(
            "Fields of {count} of these objects belong to {names}. Helm 4 stops at the first that the chart \
             writes differently: give it --force-conflicts, which takes those fields over and nothing else. \
             Helm 3 needs no flag\n"
        )
    })
}

/// The summary and the next step.
#[must_use]
pub fn sum(rows: &[Row], owner: &Owner, file: &Path) -> String {
    let todo = rows
        .iter()
        .filter(|row| row.stamp.real().next().is_some())
        .count();
    let all = rows.len();
    let next = if todo == 0 {
        "nothing is to be done".to_owned()
    } else {
        format!(
            "nothing was changed; add --yes, which first writes the former state to {}",
            file.display()
        )
    };
    format!("{all} objects for release {owner}, {todo} to be changed; {next}\n")
}
