//! fluxkeep's own JSON.

use serde::Serialize;

use super::pretty;
use crate::case::finding::{Finding, ObjectRef, Outcome, Related};
use crate::case::verdict::Verdict;
use crate::object::SourceLocation;

/// A verdict as JSON.
#[derive(Serialize)]
pub(crate) struct Report<'a> {
    verdict: &'static str,
    findings: Vec<Entry<'a>>,
    abstained: Vec<Abstained>,
}

#[derive(Serialize)]
struct Entry<'a> {
    rule: &'static str,
    level: &'static str,
    object: &'a ObjectRef,
    path: &'a str,
    message: &'a str,
    remedy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Place<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<Also<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    known: bool,
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    excused: Option<Excuse<'a>>,
}

#[derive(Serialize)]
pub(super) struct Place<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    #[serde(rename = "endColumn", skip_serializing_if = "Option::is_none")]
    end: Option<u32>,
}

#[derive(Serialize)]
struct Also<'a> {
    message: &'a str,
    source: Place<'a>,
}

#[derive(Serialize)]
struct Excuse<'a> {
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    by: &'a str,
}

#[derive(Serialize)]
struct Abstained {
    rule: &'static str,
    needs: &'static str,
}

pub(super) fn render(verdict: &Verdict) -> String {
    pretty(&report(verdict))
}

/// The JSON form of a verdict.
pub(crate) fn report(verdict: &Verdict) -> Report<'_> {
    let abstained = verdict.abstained.iter().map(|one| Abstained {
        rule: one.rule,
        needs: one.needs.name(),
    });
    Report {
        verdict: verdict.decision().name(),
        findings: verdict.findings.iter().map(entry).collect(),
        abstained: abstained.collect(),
    }
}

fn entry(finding: &Finding) -> Entry<'_> {
    Entry {
        rule: finding.rule,
        level: finding.level.name(),
        object: &finding.object,
        path: &finding.path,
        message: &finding.message,
        remedy: &finding.remedy,
        url: finding.url(),
        source: finding.source.as_ref().map(place),
        related: finding.related.iter().map(also).collect(),
        known: finding.outcome() == Outcome::Known,
        excused: finding.excused.as_ref().map(|one| Excuse {
            reason: &one.reason,
            until: one.until.map(|until| until.to_string()),
            by: &one.by,
        }),
    }
}

fn also(related: &Related) -> Also<'_> {
    Also {
        message: &related.message,
        source: place(&related.source),
    }
}

pub(super) fn place(source: &SourceLocation) -> Place<'_> {
    Place {
        file: &source.file,
        line: source.line,
        column: source.column,
        end: source.end,
    }
}
