//! SARIF 2.1.0: results of the table's rules, with their place in a file if known.

use std::fmt::Write;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::pretty;
use crate::case::finding::{Finding, Level, Override, Related, docs, url};
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
    if let (false, Value::Object(fields)) = (places.is_empty(), &mut result) {
        fields.insert("relatedLocations".to_owned(), places.into());
    }
    result
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
    json!({
        "physicalLocation": {
            "artifactLocation": {"uri": uri(&source.file)},
            "region": {"startLine": source.line, "startColumn": source.column},
        },
        "logicalLocations": logical,
    })
}

fn related(related: &Related) -> Value {
    let mut place = physical(&related.source);
    if let Value::Object(fields) = &mut place {
        fields.insert("message".to_owned(), json!({"text": related.message}));
    }
    place
}

fn physical(source: &SourceLocation) -> Value {
    json!({"physicalLocation": {
        "artifactLocation": {"uri": uri(&source.file)},
        "region": {"startLine": source.line, "startColumn": source.column},
    }})
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
