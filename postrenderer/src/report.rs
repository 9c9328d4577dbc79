//! What was done to each object, and why.

use fluxkeep::adoption::{Adopter, Edit, Part, Standing};
use fluxkeep::render::{Format, render};
use fluxkeep::verdict::Verdict;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::rewrite::{Member, Rewritten};

#[derive(Serialize)]
struct Report<'a> {
    /// `namespace/name`; null where nobody told it.
    release: Option<String>,
    /// Whether anything is known of the cluster.
    facts: bool,
    objects: Vec<Entry<'a>>,
    /// As every program of fluxkeep writes it.
    judgement: Option<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    api_version: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    name: &'a str,
    standing: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    edits: Vec<Written<'a>>,
}

#[derive(Serialize)]
struct Written<'a> {
    path: String,
    /// Null where it is taken away.
    value: Option<&'a str>,
    reason: &'a str,
}

/// For programs, with every object.
#[must_use]
pub fn json(rewritten: &Rewritten<'_>, adopter: &Adopter<'_>) -> String {
    let report = Report {
        release: adopter.owner.map(ToString::to_string),
        facts: adopter.facts.is_some(),
        objects: rewritten.members.iter().map(entry).collect(),
        judgement: RawValue::from_string(render(&rewritten.verdict, Format::Json, false)).ok(),
    };
    // Only strings and lists: nothing that serde_json could refuse.
    serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
}

fn entry<'a>(member: &'a Member<'_>) -> Entry<'a> {
    let Member {
        object,
        standing,
        edits,
        ..
    } = member;
    Entry {
        api_version: &object.api_version,
        kind: &object.kind,
        namespace: object.namespace.as_deref(),
        name: &object.name,
        standing: standing.name(),
        owner: if let Standing::Foreign(owner) = standing {
            Some(owner)
        } else {
            None
        },
        edits: edits
            .iter()
            .map(|edit| Written {
                path: edit.path(),
                value: edit.value.as_deref(),
                reason: &edit.reason,
            })
            .collect(),
    }
}

/// For people: a line an edited object, what warns, and the sum.
#[must_use]
pub fn text(rewritten: &Rewritten<'_>, adopter: &Adopter<'_>) -> String {
    let edited = rewritten
        .members
        .iter()
        .filter(|member| !member.edits.is_empty());
    let mut lines: Vec<_> = edited.map(line).collect();
    let edited = lines.len();
    lines.extend(warnings(&rewritten.verdict));
    let release = adopter.owner.map_or_else(
        || {
            "no release told, so no ownership written (--release-name, --release-namespace)"
                .to_owned()
        },
        |owner| format!("release {owner}"),
    );
    let facts = if adopter.facts.is_some() {
        ""
    } else {
        "; nothing known of the cluster (--snapshot, --kubeconfig)"
    };
    let all = rewritten.members.len();
    lines.push(format!(
        "{all} objects, {edited} edited, {} left alone; {release}{facts}",
        all - edited
    ));
    lines.join("\n")
}

fn line(member: &Member<'_>) -> String {
    let Member {
        object,
        standing,
        edits,
        ..
    } = member;
    let owner = if let Standing::Foreign(owner) = standing {
        format!(" ({owner})")
    } else {
        String::new()
    };
    format!(
        "{object}: {}{owner}: {}",
        standing.name(),
        edits.iter().map(short).collect::<Vec<_>>().join(" ")
    )
}

/// What is written, and of what reaches pods also why.
fn short(edit: &Edit) -> String {
    let sign = if edit.value.is_some() { "+" } else { "-" };
    let pods = if edit.part == Part::PodLabels {
        format!(" (on its pods, {})", edit.reason)
    } else {
        String::new()
    };
    format!("{sign}{}{pods}", edit.key)
}

fn warnings(verdict: &Verdict) -> impl Iterator<Item = String> {
    let abstained = verdict
        .abstained
        .iter()
        .map(|one| format!("{} abstained: it needs the {}", one.rule, one.needs));
    let warned = verdict
        .with(fluxkeep::finding::Outcome::Warned)
        .map(|finding| format!("warning: {finding}"));
    warned
        .collect::<Vec<_>>()
        .into_iter()
        .chain(abstained.collect::<Vec<_>>())
}
