//! From a review's bytes to the request: the objects, read as their kind wants it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::envelope::Envelope;
use super::lean::lean;
use crate::helm::record::{self, Driver, Record, shape};
use crate::helm::{HOOK, Owner};
use crate::manifest::{self, Reading};
use crate::mutation::{FIELD, Unpatched};
use crate::object::{FromWire, Kind, Object, by_kind};
use crate::request::{Change, Door, Operation, Release, Request, Subject};

#[derive(Deserialize)]
struct Review<T> {
    request: Asked<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked<T> {
    #[serde(default = "none")]
    object: Option<T>,
    #[serde(default = "none")]
    old_object: Option<T>,
    #[serde(default)]
    dry_run: Option<bool>,
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

/// Reads what is to be judged; none where there is nothing to judge.
///
/// # Errors
/// In words, when an object cannot be read. Never with a value of the object.
pub(super) fn read(body: &[u8], envelope: &Envelope) -> Result<Option<Request>, String> {
    let request = changed(body, envelope)?;
    Ok(request.filter(|request| request.door != Door::HelmRelease || !is_same_spec(request)))
}

/// As [`read`], whatever an update changes.
///
/// # Errors
/// As [`read`].
pub(super) fn changed(body: &[u8], envelope: &Envelope) -> Result<Option<Request>, String> {
    if let Some(why) = &envelope.broken {
        return Err(unreadable(envelope, why));
    }
    let Some(operation) = envelope.operation() else {
        return other(envelope);
    };
    if envelope.door() == Door::ReleaseRecord {
        return record(body, envelope, operation);
    }
    let (change, field_manager, dry_run) = by_kind!(envelope.body_kind(), change(body, envelope))?;
    if change.old.is_none() && operation != Operation::Create {
        return Err(unreadable(envelope, "request.oldObject is missing"));
    }
    if change.new.is_none() && operation != Operation::Delete {
        return Err(unreadable(envelope, "request.object is missing"));
    }
    let mut writer = envelope.writer();
    writer.field_manager = field_manager;
    let subject = Subject::Change(Box::new(change));
    Ok(Some(Request {
        door: envelope.door(),
        operation,
        writer,
        dry_run,
        subject,
    }))
}

/// The object as it is written, whole.
///
/// # Errors
/// As [`read`].
pub(super) fn object(body: &[u8], envelope: &Envelope) -> Result<Value, String> {
    let review: Review<Value> = parsed(body, envelope)?;
    Ok(review.request.object.unwrap_or_default())
}

/// Why nothing could be added to an object.
pub(super) fn unpatched(envelope: &Envelope, why: &Unpatched) -> String {
    format!(
        "fluxkeep could not add {FIELD} to {envelope}: {why}; write it as a list, below a spec that is a map"
    )
}

/// CONNECT changes nothing; an operation that Kubernetes does not have hides what it changes.
fn other(envelope: &Envelope) -> Result<Option<Request>, String> {
    if envelope.operation == "CONNECT" {
        return Ok(None);
    }
    Err(unreadable(
        envelope,
        "request.operation is missing or unknown",
    ))
}

/// The change, the field manager that the client names, and whether it is a dry run.
fn change<W: FromWire + for<'de> Deserialize<'de>>(
    body: &[u8],
    envelope: &Envelope,
) -> Result<(Change, String, bool), String> {
    let review: Review<W> = parsed(body, envelope)?;
    let object = |wire: W| named(wire.object(), envelope);
    let request = review.request;
    let manager = request
        .options
        .and_then(|options| options.field_manager)
        .unwrap_or_default();
    let dry_run = request.dry_run.unwrap_or_default();
    Ok((
        Change {
            old: request.old_object.map(object),
            new: request.object.map(object),
        },
        manager,
        dry_run,
    ))
}

fn parsed<T: for<'de> Deserialize<'de>>(body: &[u8], envelope: &Envelope) -> Result<T, String> {
    let is_definition = envelope.body_kind() == Kind::Definition;
    let lean = if is_definition {
        lean(body)
    } else {
        Cow::Borrowed(body)
    };
    serde_json::from_slice(&lean).map_err(|error| unreadable(envelope, &shape(&error)))
}

fn unreadable(envelope: &Envelope, why: &str) -> String {
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

/// helm-controller writes finalizers and annotations of its own; only the intent is judged.
fn is_same_spec(request: &Request) -> bool {
    let Subject::Change(change) = &request.subject else {
        return false;
    };
    let spec = |object: &Option<Object>| object.as_ref().and_then(Object::helm_release).cloned();
    let both = spec(&change.old).zip(spec(&change.new));
    both.is_some_and(|(old, new)| old == new)
}

#[derive(Deserialize)]
struct Stored {
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    release: Option<String>,
}

/// Only a record's creation is judged: refusing its update leaves the release pending for ever. And
/// only where it begins something.
fn record(
    body: &[u8],
    envelope: &Envelope,
    operation: Operation,
) -> Result<Option<Request>, String> {
    if operation != Operation::Create {
        return Ok(None);
    }
    let review: Review<Stored> = parsed(body, envelope)?;
    let dry_run = review.request.dry_run.unwrap_or_default();
    let stored = review
        .request
        .object
        .and_then(|stored| stored.data)
        .and_then(|data| data.release);
    let driver = if envelope.kind == "Secret" {
        Driver::Secret
    } else {
        Driver::ConfigMap
    };
    let record = record::read(&stored.unwrap_or_default(), driver);
    let record = record.map_err(|error| unreadable(envelope, &error.to_string()))?;
    if record.is_history() {
        return Ok(None);
    }
    let release = release(&record, envelope)?;
    let subject = Subject::Release(release);
    Ok(Some(Request {
        door: Door::ReleaseRecord,
        operation,
        writer: envelope.writer(),
        dry_run,
        subject,
    }))
}

fn release(record: &Record, envelope: &Envelope) -> Result<Release, String> {
    let home = if record.namespace.is_empty() {
        envelope.namespace.as_deref()
    } else {
        Some(record.namespace.as_str())
    };
    let reading = Reading {
        namespace: home,
        ..Reading::default()
    };
    let read = |text: &str| {
        manifest::read(text, reading)
            .map_err(|error| unreadable(envelope, &format!("its manifest at {error}")))
    };
    let mut objects = read(&record.manifest)?;
    // What Helm applies with the rest is no hook, whatever a post-renderer wrote on it.
    for object in &mut objects {
        object.annotations.remove(HOOK);
    }
    for hook in &record.hooks {
        objects.extend(read(&hook.manifest)?);
    }
    let namespace = home.unwrap_or_default().to_owned();
    Ok(Release {
        owner: Some(Owner {
            name: record.name.clone(),
            namespace,
        }),
        objects,
    })
}
