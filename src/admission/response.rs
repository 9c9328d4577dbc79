//! Renders a verdict as the bytes that the apiserver shows to kubectl, Helm and helm-controller.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json_patch::Patch;
use serde::Serialize;

use super::envelope::{API_VERSION, Envelope, KIND};
use crate::admission::mutation::FIELD;
use crate::case::finding::{Finding, Outcome};
use crate::case::verdict::{Decision, Verdict};
use crate::render::message;

/// Most causes, for machines: a release of hundreds of objects must not fill the audit log.
const MOST_CAUSES: usize = 32;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Failure<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    audit_annotations: Audit,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    change: Option<Change>,
}

/// A change of the object, in the form of the mutating phase.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    patch_type: &'static str,
    /// The patch in base64.
    patch: String,
}

#[derive(Serialize)]
struct Failure<'a> {
    status: &'static str,
    code: u16,
    reason: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    group: &'a str,
    /// The resource, which Kubernetes calls `kind` here.
    kind: &'a str,
    name: &'a str,
    causes: Vec<Cause<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u32>,
}

#[derive(Serialize)]
struct Cause<'a> {
    reason: &'static str,
    field: &'a str,
    message: String,
}

#[derive(Serialize)]
struct Audit {
    decision: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    rule: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    added: &'static str,
}

/// The answer to a judged review. With `again`, a refusal asks the client to try again after so
/// many seconds: the apiserver passes the status on, and client-go obeys it.
pub(super) fn verdict_response(
    envelope: &Envelope,
    verdict: &Verdict,
    again: Option<u32>,
) -> Vec<u8> {
    let decision = verdict.decision();
    bytes(Response {
        uid: &envelope.uid,
        allowed: decision != Decision::Refuse,
        status: (decision == Decision::Refuse).then(|| refusal(envelope, verdict, again)),
        warnings: message::warnings(verdict.with(Outcome::Warned)),
        audit_annotations: Audit {
            decision: decision.name(),
            rule: verdict.rule_ids(),
            added: "",
        },
        change: None,
    })
}

/// The answer to an unreadable review: a refusal with the reason.
pub(super) fn error_response(envelope: &Envelope, reason: &str) -> Vec<u8> {
    let status = Failure {
        status: "Failure",
        code: 400,
        reason: "BadRequest",
        message: reason.to_owned(),
        details: None,
    };
    bytes(Response {
        uid: &envelope.uid,
        allowed: false,
        status: Some(status),
        warnings: Vec::new(),
        audit_annotations: Audit {
            decision: "error",
            rule: String::new(),
            added: "",
        },
        change: None,
    })
}

/// The answer to a review whose object is changed.
pub(super) fn patch_response(envelope: &Envelope, patch: &Patch) -> Vec<u8> {
    // A patch has only strings and lists, which `serde_json` always accepts.
    let patch = STANDARD.encode(serde_json::to_vec(patch).unwrap_or_default());
    bytes(Response {
        uid: &envelope.uid,
        allowed: true,
        status: None,
        warnings: vec![message::added(&envelope.to_string(), FIELD)],
        audit_annotations: Audit {
            decision: Decision::Warn.name(),
            rule: String::new(),
            added: FIELD,
        },
        change: Some(Change {
            patch_type: "JSONPatch",
            patch,
        }),
    })
}

fn bytes(response: Response<'_>) -> Vec<u8> {
    let review = Review {
        api_version: API_VERSION,
        kind: KIND,
        response,
    };
    // A review has only strings, numbers and lists, which `serde_json` always accepts.
    serde_json::to_vec(&review).unwrap_or_default()
}

fn refusal<'a>(envelope: &'a Envelope, verdict: &'a Verdict, again: Option<u32>) -> Failure<'a> {
    let refused: Vec<&Finding> = verdict.with(Outcome::Refused).collect();
    let causes = refused.iter().take(MOST_CAUSES).map(|finding| Cause {
        reason: finding.rule,
        field: &finding.path,
        message: finding.to_string(),
    });
    let details = Details {
        group: &envelope.group,
        kind: &envelope.resource,
        name: &envelope.name,
        causes: causes.collect(),
        retry_after_seconds: again,
    };
    let (code, reason) = match again {
        Some(_) => (429, "TooManyRequests"),
        None => (403, "Forbidden"),
    };
    Failure {
        status: "Failure",
        code,
        reason,
        message: message::refusal(&refused),
        details: Some(details),
    }
}
