//! SARIF 2.1.0: results of the table's rules, with their place in a file if known.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::pretty;
use crate::case::finding::{Baseline, Finding, Level, Override, Related, docs, url};
use crate::case::fix::Fix;
use crate::case::rule::Rule;
use crate::case::verdict::{Abstained, Verdict};
use crate::object::SourceLocation;
use crate::rules::RULES;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

pub(super) fn render(verdict: &Verdict) -> String {
    let mut driver = json!({
        "name": "fluxkeep",
        "version": env!("CARGO_PKG_VERSION"),
        "rules": RULES.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
    });
    if let (Some(docs), Value::Object(fields)) = (docs(), &mut driver) {
        fields.insert("informationUri".to_owned(), docs.into());
    }
    let invocation = json!({
        "executionSuccessful": true,
        "toolExecutionNotifications": verdict.abstained.iter().map(notification).collect::<Vec<_>>(),
    });
    let run = json!({
        "tool": {"driver": driver},
        "invocations": [invocation],
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {
            "%SRCROOT%": {"description": {"text": "The folder at which relative paths begin"}},
        },
        "results": verdict.findings.iter().map(result).collect::<Vec<_>>(),
    });
    pretty(&json!({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}))
}

fn descriptor(rule: &Rule) -> Value {
    let mut descriptor = json!({
        "id": rule.id,
        "shortDescription": {"text": rule.catches},
        "help": {"text": rule.breaks},
        "defaultConfiguration": {"level": level(rule.level)},
    });
    if let (Some(url), Value::Object(fields)) = (url(rule.id), &mut descriptor) {
        fields.insert("helpUri".to_owned(), url.into());
    }
    descriptor
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Enforce => "error",
        Level::Warn => "warning",
        Level::Audit => "note",
        Level::Off => "none",
    }
}

fn result(finding: &Finding) -> Value {
    let index = RULES.iter().position(|rule| rule.id == finding.rule);
    let suppressions: Vec<Value> = finding.excused.iter().map(suppression).collect();
    let mut result = json!({
        "ruleId": finding.rule,
        "ruleIndex": index,
        "partialFingerprints": {"findingHash/v1": fingerprint(finding)},
        "level": level(finding.level),
        "message": {"text": format!("{}: {}", finding.object, finding.sentences())},
        "locations": [location(finding)],
        "suppressions": suppressions,
    });
    let places: Vec<Value> = finding.related.iter().map(related).collect();
    if let Value::Object(fields) = &mut result {
        if !places.is_empty() {
            fields.insert("relatedLocations".to_owned(), places.into());
        }
        if let Some(fix) = &finding.fix {
            fields.insert("fixes".to_owned(), json!([fixed(fix)]));
        }
        if let Some(baseline) = finding.baseline {
            fields.insert("baselineState".to_owned(), state(baseline).into());
        }
    }
    result
}

/// A fix, with the replacements of each file.
fn fixed(fix: &Fix) -> Value {
    let mut files: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for edit in &fix.edits {
        let (line, column) = edit.end;
        let replacement = json!({
            "deletedRegion": {
                "startLine": edit.start.line, "startColumn": edit.start.column,
                "endLine": line, "endColumn": column,
            },
            "insertedContent": {"text": edit.text},
        });
        files.entry(&edit.start.file).or_default().push(replacement);
    }
    let changes: Vec<Value> = files
        .into_iter()
        .map(|(file, replacements)| {
            json!({"artifactLocation": artifact(file), "replacements": replacements})
        })
        .collect();
    json!({"description": {"text": fix.description}, "artifactChanges": changes})
}

fn state(baseline: Baseline) -> &'static str {
    match baseline {
        Baseline::New => "new",
        Baseline::Unchanged => "unchanged",
    }
}

/// A hash of rule, object, path and value: the same finding keeps it when lines move or words change.
fn fingerprint(finding: &Finding) -> String {
    let Finding {
        rule,
        object,
        path,
        value,
        ..
    } = finding;
    let identity = format!("{rule}\n{object}\n{path}\n{value}");
    let hash = Sha256::digest(identity);
    let mut text = String::new();
    for byte in hash.iter().take(16) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn suppression(excuse: &Override) -> Value {
    let Some(until) = excuse.until else {
        return json!({"kind": "inSource", "justification": excuse.reason});
    };
    let why = format!("{} (until {until}, by {})", excuse.reason, excuse.by);
    json!({"kind": "external", "justification": why})
}

/// The object, and its place in a file if known.
fn location(finding: &Finding) -> Value {
    let name = format!("{}{}", finding.object, finding.path);
    let logical = json!([{"fullyQualifiedName": name, "kind": "object"}]);
    let Some(source) = &finding.source else {
        return json!({"logicalLocations": logical});
    };
    let mut place = physical(source);
    if let Value::Object(fields) = &mut place {
        fields.insert("logicalLocations".to_owned(), logical);
    }
    place
}

fn related(related: &Related) -> Value {
    let mut place = physical(&related.source);
    if let Value::Object(fields) = &mut place {
        fields.insert("message".to_owned(), json!({"text": related.message}));
    }
    place
}

fn physical(source: &SourceLocation) -> Value {
    let mut region = json!({"startLine": source.line, "startColumn": source.column});
    if let (Some(end), Value::Object(fields)) = (source.end, &mut region) {
        fields.insert("endColumn".to_owned(), end.into());
    }
    json!({"physicalLocation": {
        "artifactLocation": artifact(&source.file),
        "region": region,
    }})
}

/// A file. Relative paths begin at the folder of the run.
fn artifact(path: &str) -> Value {
    if path.starts_with('/') {
        json!({"uri": uri(path)})
    } else {
        json!({"uri": uri(path), "uriBaseId": "%SRCROOT%"})
    }
}

/// A path as a relative reference: bytes that RFC 3986 forbids in a path are percent-encoded.
fn uri(path: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/@!$&'()*+,;=".contains(byte);
    let encode = |byte: u8| {
        if plain(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    path.bytes().map(encode).collect()
}

fn notification(abstained: &Abstained) -> Value {
    json!({
        "level": "warning",
        "message": {"text": format!("{} abstained: it needs the {}", abstained.rule, abstained.needs)},
        "associatedRule": {"id": abstained.rule},
    })
}
