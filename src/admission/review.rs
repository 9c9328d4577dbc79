//! Reads a review's bytes as a request: its objects, with the fields of their kind.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::budget::ReviewBudget;
use super::envelope::Envelope;
use super::envelope_only::EnvelopeOnly;
use super::record;
use crate::admission::mutation::{FIELD, Unpatched};
use crate::case::request::{Change, Door, Gap, Obstacle, Operation, Release, Request, Subject};
use crate::flux::applier::is_paused;
use crate::object::{self, Kind, Object};
use crate::yaml::{Paths, json, shape};

/// The reason given for an operation that Kubernetes may add.
const UNKNOWN: &str = "request.operation is missing or unknown";

/// The fields of a review besides its envelope, as the kind's table names them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ReviewFields {
    pub(super) object: Option<Value>,
    old_object: Option<Value>,
    dry_run: Value,
    options: Value,
}

impl ReviewFields {
    /// True only for `true`: any other value is no dry run.
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run == Value::Bool(true)
    }

    fn field_manager(&self) -> String {
        let manager = self.options.get("fieldManager");
        manager
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }
}

/// Reads the request to judge. `None` if there is nothing to judge, for example an update that
/// changes only status or bookkeeping (see [`is_same_intent`]).
///
/// # Errors
/// If the body is not a review, in words. Unreadable parts of a review are gaps in the request.
pub(super) fn read_if_changed(
    body: &[u8],
    envelope: &Envelope,
    budget: ReviewBudget,
) -> Result<Option<Request>, String> {
    let request = read(body, envelope, budget)?;
    let is_judged = |request: &Request| !request.gaps.is_empty() || !is_same_intent(request, body);
    Ok(request.filter(is_judged))
}

/// Like [`read_if_changed`], but also reads an update that changes no intent.
///
/// # Errors
/// Like [`read_if_changed`].
pub(super) fn read(
    body: &[u8],
    envelope: &Envelope,
    budget: ReviewBudget,
) -> Result<Option<Request>, String> {
    if let Some(why) = &envelope.broken {
        return Err(unreadable(envelope, why));
    }
    let Some(operation) = envelope.operation() else {
        return Ok(other(envelope, opaque(envelope, UNKNOWN)));
    };
    if envelope.door() == Door::ReleaseRecord {
        return record::read(body, envelope, operation, budget);
    }
    let mut request = change(body, envelope, operation)?;
    if let (Subject::Change(change), true) = (&request.subject, request.gaps.is_empty()) {
        let lacking = missing(change, operation);
        request
            .gaps
            .extend(lacking.map(|why| opaque(envelope, why)));
    }
    Ok(Some(request))
}

/// The field that Kubernetes sends with this operation and the review lacks.
fn missing(change: &Change, operation: Operation) -> Option<&'static str> {
    if change.old.is_none() && operation != Operation::Create {
        return Some("request.oldObject is missing");
    }
    if change.new.is_none() && operation != Operation::Delete {
        return Some("request.object is missing");
    }
    None
}

/// A request with the envelope's fields.
pub(super) fn enveloped(envelope: &Envelope, operation: Operation, subject: Subject) -> Request {
    Request {
        door: envelope.door(),
        operation,
        writer: envelope.writer(),
        dry_run: false,
        subject,
        gaps: Vec::new(),
    }
}

/// A request of which only the envelope was read.
fn gap_request(envelope: &Envelope, operation: Operation, gap: Gap) -> Request {
    let nothing = Subject::Change(Box::default());
    Request {
        gaps: vec![gap],
        ..enveloped(envelope, operation, nothing)
    }
}

/// A gap for an object that is known by its place in the envelope only.
pub(super) fn opaque(envelope: &Envelope, why: &str) -> Gap {
    let object = Object {
        namespace: envelope
            .namespace
            .clone()
            .filter(|namespace| !namespace.is_empty()),
        ..Object::default()
    };
    Gap {
        object: named(object, envelope),
        is_opaque: true,
        is_engines: false,
        obstacle: Obstacle::Text,
        why: cannot(why),
    }
}

/// The text of a gap.
pub(super) fn cannot(why: &str) -> String {
    format!("fluxkeep cannot read it: {why}")
}

/// A list, without the content of its items.
static ITEMS: Paths = Paths::Items(&Paths::Keys(&[]));

/// The parts of the object that a HelmRelease's review writes. Its post-renderers are opened as far as
/// another one needs to be added.
///
/// # Errors
/// In words, when the body is no JSON.
pub(super) fn object(body: &[u8], envelope: &Envelope) -> Result<Value, String> {
    let asked = parsed(body, envelope, Kind::HelmRelease.review())?;
    let mut object = asked.object.unwrap_or_default();
    if let Some(renderers) = object.pointer_mut("/spec/postRenderers") {
        let text = renderers.as_str().unwrap_or_default();
        *renderers = json(text.as_bytes(), &ITEMS).map_err(|error| shape(&error))?;
    }
    Ok(object)
}

/// The reason why nothing could be added to an object.
pub(super) fn unpatched(why: &Unpatched) -> String {
    format!("fluxkeep cannot add {FIELD}: {why}; write it as a list, in a spec that is a map")
}

/// The same request with a gap instead of its addition.
pub(super) fn with_gap(request: Request, envelope: &Envelope, why: String) -> Request {
    let gap = Gap {
        why,
        ..opaque(envelope, "")
    };
    Request {
        gaps: vec![gap],
        ..request
    }
}

/// CONNECT changes nothing. An unknown operation hides its change, so it is unread.
fn other(envelope: &Envelope, gap: Gap) -> Option<Request> {
    if envelope.operation == "CONNECT" {
        return None;
    }
    Some(gap_request(envelope, Operation::Update, gap))
}

/// A request of which only the envelope was read, with the reason. `None` if there is nothing to
/// judge.
pub(super) fn envelope_request(envelope: &Envelope, why: EnvelopeOnly) -> Option<Request> {
    let gap = Gap {
        is_engines: why == EnvelopeOnly::TooLong { is_engines: true },
        obstacle: why.obstacle(),
        ..opaque(envelope, why.clause())
    };
    let Some(operation) = envelope.operation() else {
        return other(envelope, gap);
    };
    if envelope.door() != Door::ReleaseRecord {
        return Some(gap_request(envelope, operation, gap));
    }
    let nothing = Subject::Release(Release::default());
    Some(Request {
        gaps: vec![gap],
        ..enveloped(envelope, operation, nothing)
    })
}

/// The change of an object. An object with an unreadable body is known by its metadata, or else by
/// the envelope.
fn change(body: &[u8], envelope: &Envelope, operation: Operation) -> Result<Request, String> {
    let kind = envelope.body_kind();
    let asked = parsed(body, envelope, kind.review())?;
    let mut request = enveloped(envelope, operation, Subject::Change(Box::default()));
    request.dry_run = asked.is_dry_run();
    request.writer.field_manager = asked.field_manager();
    let mut read = |parts: Value| {
        let (object, gap) = shaped(kind, parts, envelope);
        request.gaps.extend(gap);
        object
    };
    let change = Change {
        old: asked.old_object.map(&mut read),
        new: asked.object.map(&mut read),
    };
    request.subject = Subject::Change(Box::new(change));
    Ok(request)
}

/// An object of a review, with a gap if its body or metadata is unreadable.
fn shaped(kind: Kind, parts: Value, envelope: &Envelope) -> (Object, Option<Gap>) {
    let known = metadata(&parts);
    let why = match object::object(kind, parts) {
        Ok(object) => return (named(object, envelope), None),
        Err(misshapen) => misshapen.to_string(),
    };
    let gap = match object::object(Kind::Other, known) {
        Ok(object) => Gap {
            object: named(object, envelope),
            is_opaque: false,
            is_engines: false,
            obstacle: Obstacle::Text,
            why: cannot(&why),
        },
        Err(_) => opaque(envelope, &why),
    };
    (gap.object.clone(), Some(gap))
}

/// The parts of an object without its body.
fn metadata(parts: &Value) -> Value {
    let mut known = serde_json::Map::new();
    for key in ["apiVersion", "kind", "metadata"] {
        if let Some(value) = parts.get(key) {
            known.insert(key.to_owned(), value.clone());
        }
    }
    Value::Object(known)
}

/// Reads the fields besides the envelope.
///
/// # Errors
/// If the body is not JSON and so not a review, in words.
pub(super) fn parsed(
    body: &[u8],
    envelope: &Envelope,
    paths: &'static Paths,
) -> Result<ReviewFields, String> {
    let mut parts = json(body, paths).map_err(|error| unreadable(envelope, &shape(&error)))?;
    let asked = parts
        .get_mut("request")
        .map(Value::take)
        .unwrap_or_default();
    Ok(ReviewFields::deserialize(asked).unwrap_or_default())
}

pub(super) fn unreadable(envelope: &Envelope, why: &str) -> String {
    format!("fluxkeep could not read the review of {envelope}: {why}")
}

/// Fills missing fields from the envelope. Objects of a collection's DELETE have a name, but their
/// envelope has none. An object may omit kind and version.
fn named(mut object: Object, envelope: &Envelope) -> Object {
    if object.kind.is_empty() {
        object.kind.clone_from(&envelope.kind);
    }
    if object.api_version.is_empty() {
        let slash = if envelope.group.is_empty() { "" } else { "/" };
        object.api_version = format!("{}{slash}{}", envelope.group, envelope.version);
    }
    if object.name.is_empty() {
        object.name.clone_from(&envelope.name);
    }
    object
}

/// True if an update changes no intent: controllers write finalizers and annotations of their own.
/// A FluxInstance's intent includes the annotation that pauses it.
fn is_same_intent(request: &Request, body: &[u8]) -> bool {
    match request.door {
        Door::HelmRelease => is_same_spec(body),
        Door::FluxInstance => is_same_instance(request),
        _ => false,
    }
}

fn is_same_instance(request: &Request) -> bool {
    let Subject::Change(change) = &request.subject else {
        return false;
    };
    let both = change.old.as_ref().zip(change.new.as_ref());
    both.is_some_and(|(old, new)| {
        old.flux_instance() == new.flux_instance() && is_paused(old) == is_paused(new)
    })
}

/// A HelmRelease's review, with each spec as its text.
#[derive(Deserialize)]
struct Specs<'a> {
    #[serde(borrow)]
    request: SpecPair<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpecPair<'a> {
    #[serde(borrow)]
    object: Option<SpecText<'a>>,
    #[serde(borrow)]
    old_object: Option<SpecText<'a>>,
}

#[derive(Deserialize)]
struct SpecText<'a> {
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
}

/// Compares the whole spec, beyond the paths that rules read: a new value anywhere can render
/// another chart.
fn is_same_spec(body: &[u8]) -> bool {
    let Ok(Specs { request }) = serde_json::from_slice(body) else {
        return false;
    };
    match (request.object, request.old_object) {
        (Some(new), Some(old)) => new.spec.map(RawValue::get) == old.spec.map(RawValue::get),
        _ => false,
    }
}
