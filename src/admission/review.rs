//! From a review's bytes to the request: the objects, read as their kind wants it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::budget::Budget;
use super::envelope::Envelope;
use super::lean::lean;
use super::record;
use crate::applier::is_paused;
use crate::helm::record::shape;
use crate::mutation::{FIELD, Unpatched};
use crate::object::{FromWire, Kind, Object, Shallow, by_kind, wire};
use crate::request::{Change, Door, Gap, Operation, Release, Request, Subject};

#[derive(Deserialize)]
pub(super) struct Review<T> {
    pub(super) request: Asked<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked<T> {
    #[serde(default = "none")]
    pub(super) object: Option<T>,
    #[serde(default = "none")]
    old_object: Option<T>,
    #[serde(default)]
    pub(super) dry_run: Option<bool>,
    options: Option<Options>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Options {
    field_manager: Option<String>,
}

fn none<T>() -> Option<T> {
    None
}

/// Why nothing of a review's objects was read.
pub(super) enum Failure {
    /// The body is no JSON, so it is no review.
    NotJson(String),
    /// A value has another shape than Kubernetes gives it.
    Shape(String),
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
    Ok(request.filter(|request| !is_same_spec(request)))
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
    let mut request = match by_kind!(envelope.body_kind(), change(body, envelope, operation)) {
        Ok(request) => request,
        Err(Failure::NotJson(why)) => return Err(unreadable(envelope, &why)),
        Err(Failure::Shape(why)) => unread(envelope, operation, &why),
    };
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
pub(super) fn object(body: &[u8], envelope: &Envelope) -> Result<Value, String> {
    match parsed::<Review<Shallow>>(body, envelope) {
        Ok(review) => Ok(review.request.object.unwrap_or_default().0),
        Err(Failure::NotJson(why) | Failure::Shape(why)) => Err(why),
    }
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

/// The change of one object.
fn change<W: FromWire + for<'de> Deserialize<'de>>(
    body: &[u8],
    envelope: &Envelope,
    operation: Operation,
) -> Result<Request, Failure> {
    let mut gaps = Vec::new();
    let asked = match parsed::<Review<W>>(body, envelope) {
        Ok(Review { request }) => request.map(|wire| named(wire.object(), envelope)),
        Err(Failure::Shape(_)) => {
            // Only an object that has another shape is read a second time, by itself.
            let review: Review<Box<RawValue>> = parsed(body, envelope)?;
            let read = |raw: Box<RawValue>| by_itself::<W>(&raw, envelope, &mut gaps);
            review.request.map(read)
        }
        Err(failure) => return Err(failure),
    };
    let change = Change {
        old: asked.old_object,
        new: asked.object,
    };
    let mut request = enveloped(envelope, operation, Subject::Change(Box::new(change)));
    let options = asked.options.unwrap_or_default();
    request.writer.field_manager = options.field_manager.unwrap_or_default();
    request.dry_run = asked.dry_run.unwrap_or_default();
    request.gaps = gaps;
    Ok(request)
}

impl<T> Asked<T> {
    fn map<U>(self, mut read: impl FnMut(T) -> U) -> Asked<U> {
        Asked {
            object: self.object.map(&mut read),
            old_object: self.old_object.map(&mut read),
            dry_run: self.dry_run,
            options: self.options,
        }
    }
}

/// Reads one object of a review. Of one that is not readable the metadata is read, and if that is not
/// readable either, the envelope tells what it is.
fn by_itself<W: FromWire + for<'de> Deserialize<'de>>(
    raw: &RawValue,
    envelope: &Envelope,
    gaps: &mut Vec<Gap>,
) -> Object {
    let why = match serde_json::from_str::<W>(raw.get()) {
        Ok(wire) => return named(wire.object(), envelope),
        Err(error) => shape(&error),
    };
    let metadata = serde_json::from_str::<wire::Other>(raw.get());
    let gap = match metadata {
        Ok(wire) => Gap {
            object: named(wire.object(), envelope),
            is_opaque: false,
            why: cannot(&why),
        },
        Err(_) => opaque(envelope, &why),
    };
    let object = gap.object.clone();
    gaps.push(gap);
    object
}

pub(super) fn parsed<T: for<'de> Deserialize<'de>>(
    body: &[u8],
    envelope: &Envelope,
) -> Result<T, Failure> {
    let is_definition = envelope.body_kind() == Kind::Definition;
    let lean = if is_definition {
        lean(body)
    } else {
        Cow::Borrowed(body)
    };
    serde_json::from_slice(&lean).map_err(|error| {
        let why = shape(&error);
        if error.is_data() || is_too_deep(&error) {
            Failure::Shape(why)
        } else {
            Failure::NotJson(why)
        }
    })
}

/// Whether a value is nested deeper than it is read. The body may be JSON all the same.
fn is_too_deep(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("recursion limit exceeded")
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
fn is_same_spec(request: &Request) -> bool {
    let Subject::Change(change) = &request.subject else {
        return false;
    };
    let Some((old, new)) = change.old.as_ref().zip(change.new.as_ref()) else {
        return false;
    };
    match request.door {
        Door::HelmRelease => old.helm_release() == new.helm_release(),
        Door::FluxInstance => {
            old.flux_instance() == new.flux_instance() && is_paused(old) == is_paused(new)
        }
        _ => false,
    }
}
