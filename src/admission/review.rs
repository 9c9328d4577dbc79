//! From a review's bytes to the request: the objects, read as their kind wants it.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::budget::Budget;
use super::envelope::Envelope;
use super::record;
use crate::applier::is_paused;
use crate::mutation::{FIELD, Unpatched};
use crate::object::{self, Kind, Object, Shallow};
use crate::request::{Change, Door, Gap, Operation, Release, Request, Subject};
use crate::yaml::{Paths, json, shape};

/// What a review holds beside its envelope, each part as its table names it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Asked {
    pub(super) object: Option<Value>,
    old_object: Option<Value>,
    dry_run: Value,
    options: Value,
}

impl Asked {
    /// True only where the review says so: what is odd is no dry run.
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

/// Reads what is to be judged; none where there is nothing to judge.
///
/// # Errors
/// In words, when the body is no review. What cannot be read of one is a gap in the request.
pub(super) fn read(
    body: &[u8],
    envelope: &Envelope,
    budget: Budget,
) -> Result<Option<Request>, String> {
    let request = changed(body, envelope, budget)?;
    let is_judged = |request: &Request| !request.gaps.is_empty() || !is_same_intent(request, body);
    Ok(request.filter(is_judged))
}

/// As [`read`], whatever an update changes.
///
/// # Errors
/// As [`read`].
pub(super) fn changed(
    body: &[u8],
    envelope: &Envelope,
    budget: Budget,
) -> Result<Option<Request>, String> {
    if let Some(why) = &envelope.broken {
        return Err(unreadable(envelope, why));
    }
    let Some(operation) = envelope.operation() else {
        return Ok(other(envelope));
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

/// What Kubernetes sends with every such operation, and this review lacks.
fn missing(change: &Change, operation: Operation) -> Option<&'static str> {
    if change.old.is_none() && operation != Operation::Create {
        return Some("request.oldObject is missing");
    }
    if change.new.is_none() && operation != Operation::Delete {
        return Some("request.object is missing");
    }
    None
}

/// A request as far as its envelope tells.
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

/// A request of which nothing but the envelope was read.
fn unread(envelope: &Envelope, operation: Operation, why: &str) -> Request {
    let nothing = Subject::Change(Box::default());
    Request {
        gaps: vec![opaque(envelope, why)],
        ..enveloped(envelope, operation, nothing)
    }
}

/// An object of which nothing but its place in the envelope is known.
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
        why: cannot(why),
    }
}

/// What a gap says.
pub(super) fn cannot(why: &str) -> String {
    format!("fluxkeep cannot read it: {why}")
}

/// The object as it is written, down to the depth that anything is read of.
///
/// # Errors
/// In words, when it cannot be read.
pub(super) fn object(body: &[u8]) -> Result<Value, String> {
    let review: Raw<Shallow> = serde_json::from_slice(body).map_err(|error| shape(&error))?;
    Ok(review.request.object.unwrap_or_default().0)
}

#[derive(Deserialize)]
struct Raw<T> {
    request: RawObjects<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawObjects<T> {
    object: Option<T>,
    old_object: Option<T>,
}

/// Why nothing could be added to an object.
pub(super) fn unpatched(why: &Unpatched) -> String {
    format!("fluxkeep cannot add {FIELD}: {why}; write it as a list, below a spec that is a map")
}

/// The same request with a gap, for what became of its object.
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

/// CONNECT changes nothing; an operation that Kubernetes does not have hides what it changes.
fn other(envelope: &Envelope) -> Option<Request> {
    if envelope.operation == "CONNECT" {
        return None;
    }
    let why = "request.operation is missing or unknown";
    Some(unread(envelope, Operation::Update, why))
}

/// A request of which nothing but the envelope was read, for this reason. None where there is nothing to
/// judge.
pub(super) fn enveloped_alone(envelope: &Envelope, why: &str) -> Option<Request> {
    let Some(operation) = envelope.operation() else {
        return other(envelope);
    };
    if envelope.door() != Door::ReleaseRecord {
        return Some(unread(envelope, operation, why));
    }
    let nothing = Subject::Release(Release::default());
    Some(Request {
        gaps: vec![opaque(envelope, why)],
        ..enveloped(envelope, operation, nothing)
    })
}

/// The change of one object. An object that cannot be read whole is known by its metadata, or by the
/// envelope.
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

/// One object of a review, and what could not be read of it.
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
            why: cannot(&why),
        },
        Err(_) => opaque(envelope, &why),
    };
    (gap.object.clone(), Some(gap))
}

/// The parts of an object but for its body.
fn metadata(parts: &Value) -> Value {
    let mut known = serde_json::Map::new();
    for key in ["apiVersion", "kind", "metadata"] {
        if let Some(value) = parts.get(key) {
            known.insert(key.to_owned(), value.clone());
        }
    }
    Value::Object(known)
}

/// Reads what stands beside the envelope.
///
/// # Errors
/// In words, when the body is no JSON, so that it is no review.
pub(super) fn parsed(
    body: &[u8],
    envelope: &Envelope,
    paths: &'static Paths,
) -> Result<Asked, String> {
    let mut parts = json(body, paths).map_err(|error| unreadable(envelope, &shape(&error)))?;
    let asked = parts
        .get_mut("request")
        .map(Value::take)
        .unwrap_or_default();
    Ok(Asked::deserialize(asked).unwrap_or_default())
}

pub(super) fn unreadable(envelope: &Envelope, why: &str) -> String {
    format!("fluxkeep could not read the review of {envelope}: {why}")
}

/// The objects that a DELETE of a namespace's content carries have a name where the envelope has
/// none; kind and version stand in the envelope when an object leaves them out.
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

/// Controllers write finalizers and annotations of their own; only the intent is judged. Of a
/// FluxInstance the annotation that pauses it belongs to that.
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

/// All of a HelmRelease's spec, also what no rule reads: the chart that it makes may be another.
fn is_same_spec(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Spec<'a> {
        #[serde(borrow)]
        spec: Option<&'a RawValue>,
    }
    let Ok(review) = serde_json::from_slice::<Raw<Spec<'_>>>(body) else {
        return false;
    };
    let RawObjects { object, old_object } = review.request;
    let both = object.zip(old_object);
    both.is_some_and(|(new, old)| new.spec.map(RawValue::get) == old.spec.map(RawValue::get))
}
