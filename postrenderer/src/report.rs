//! The report: the edits of each object, and the reason for each edit.

use fluxkeep::adoption::{Adopter, MetadataEdit, MetadataField, Ownership};
use fluxkeep::case::verdict::Verdict;
use fluxkeep::render::{Format, render};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::rewrite::{Rewritten, RewrittenObject};

#[derive(Serialize)]
struct Report<'a> {
    /// The release as `namespace/name`; null without `--release-name`.
    release: Option<String>,
    /// True if the facts about the cluster were known.
    facts: bool,
    objects: Vec<Entry<'a>>,
    /// The verdict, in the JSON that every program of fluxkeep writes.
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
    /// The new value; null if the key is removed.
    value: Option<&'a str>,
    reason: &'a str,
}

/// Returns the report for programs: JSON with every object.
#[must_use]
pub fn json(rewritten: &Rewritten<'_>, adopter: &Adopter<'_>) -> String {
    let report = Report {
        release: adopter.owner.map(ToString::to_string),
        facts: adopter.facts.is_some(),
        objects: rewritten.members.iter().map(entry).collect(),
        judgement: RawValue::from_string(render(&rewritten.verdict, Format::Json, false)).ok(),
    };
    // A report contains only strings, booleans and lists, which serde_json never refuses.
    serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
}

fn entry<'a>(member: &'a RewrittenObject<'_>) -> Entry<'a> {
    let RewrittenObject {
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
        owner: if let Ownership::Foreign(owner) = standing {
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

/// Returns the report for people: a line per edited object, the warnings, and the totals.
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
        || "no ownership written without --release-name and --namespace".to_owned(),
        |owner| format!("release {owner}"),
    );
    let facts = if adopter.facts.is_some() {
        ""
    } else {
        "; not compared with a cluster (--snapshot, --kubeconfig, --context)"
    };
    let all = rewritten.members.len();
    lines.push(format!(
        "{all} objects, {edited} edited, {} unchanged; {release}{facts}",
        all - edited
    ));
    lines.join("\n")
}

fn line(member: &RewrittenObject<'_>) -> String {
    let RewrittenObject {
        object,
        standing,
        edits,
        ..
    } = member;
    let owner = if let Ownership::Foreign(owner) = standing {
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

/// Returns one edit as text: its key, and for pod labels also the reason.
fn short(edit: &MetadataEdit) -> String {
    let sign = if edit.value.is_some() { "+" } else { "-" };
    let pods = if edit.part == MetadataField::PodLabels {
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
        .with(fluxkeep::case::finding::Outcome::Warned)
        .map(|finding| format!("warning: {finding}"));
    warned
        .collect::<Vec<_>>()
        .into_iter()
        .chain(abstained.collect::<Vec<_>>())
}
