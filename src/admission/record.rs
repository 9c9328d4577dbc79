//! A release record in a review: the release that Helm is about to install, as far as readable.

use serde_json::Value;

use super::budget::ReviewBudget;
use super::envelope::Envelope;
use super::review::{cannot, enveloped, opaque, parsed};
use crate::case::request::{Gap, Obstacle, Operation, Release, Request, Subject};
use crate::helm::Owner;
use crate::helm::record::{self, Driver, Record};
use crate::manifest::{self, Reading, Unsifted};
use crate::object::paths;
use crate::yaml;

/// Most gaps that are reported: a refusal has room for a few, and each costs a look into the facts.
const MOST_GAPS: usize = 32;

/// Reads a record on its creation only: refusing its update leaves the release pending for ever. A
/// record of a past operation is not judged.
///
/// # Errors
/// If the body is not a review, in words. Unreadable parts of the record are gaps in the request.
pub(super) fn read(
    body: &[u8],
    envelope: &Envelope,
    operation: Operation,
    budget: ReviewBudget,
) -> Result<Option<Request>, String> {
    if operation != Operation::Create {
        return Ok(None);
    }
    let nothing = Subject::Release(Release::default());
    let mut request = enveloped(envelope, operation, nothing);
    let asked = parsed(body, envelope, &paths::RECORD_REVIEW)?;
    request.dry_run = asked.is_dry_run();
    let object = asked.object.unwrap_or_default();
    let release = object.pointer("/data/release").and_then(Value::as_str);
    let driver = if envelope.kind == "Secret" {
        Driver::Secret
    } else {
        Driver::ConfigMap
    };
    match record::read_within(budget.unpacked, release.unwrap_or_default(), driver) {
        Ok(record) if record.is_history() => return Ok(None),
        Ok(record) => {
            let (release, gaps) = unfolded(&record, envelope, budget);
            request.subject = Subject::Release(release);
            request.gaps = gaps;
        }
        Err(error) => request.gaps.push(opaque(envelope, &error.to_string())),
    }
    Ok(Some(request))
}

/// The objects of a record's manifest and hooks within the budget, and the gaps.
fn unfolded(record: &Record, envelope: &Envelope, budget: ReviewBudget) -> (Release, Vec<Gap>) {
    let most = budget.documents;
    let mut nodes = yaml::NodeBudget::of(budget.nodes);
    let home = if record.namespace.is_empty() {
        envelope.namespace.as_deref()
    } else {
        Some(record.namespace.as_str())
    };
    let reading = Reading {
        namespace: home,
        ..Reading::default()
    };
    let sifted = manifest::sift(&record.manifest, reading, most, &mut nodes);
    let mut left = most.saturating_sub(sifted.count);
    let mut objects = sifted.objects;
    // Helm applies every object of the manifest, so a hook annotation there has no effect.
    for object in &mut objects {
        object.applied = true;
    }
    let mut gaps = gapped(sifted.unread, "its manifest", envelope);
    for hook in record.hooks_that_run() {
        if left == 0 {
            let why = format!("more than {most} objects in its manifest and hooks");
            gaps.push(opaque(envelope, &why));
            break;
        }
        let sifted = manifest::sift(&hook.manifest, reading, left, &mut nodes);
        left = left.saturating_sub(sifted.count);
        objects.extend(sifted.objects);
        gaps.extend(gapped(sifted.unread, "a hook", envelope));
    }
    let owner = Owner {
        name: record.name.clone(),
        namespace: home.unwrap_or_default().to_owned(),
    };
    let release = Release {
        owner: Some(owner),
        revision: (record.version > 0).then_some(record.version),
        stored_in: envelope.namespace.clone(),
        objects,
    };
    (release, counted(gaps, envelope))
}

fn gapped(unread: Vec<Unsifted>, text: &str, envelope: &Envelope) -> Vec<Gap> {
    let gap = |Unsifted { object, unread, .. }: Unsifted| {
        let why = format!("{text} at {unread}");
        match object {
            Some(object) => Gap {
                object: *object,
                is_opaque: false,
                is_engines: false,
                obstacle: Obstacle::Text,
                why: cannot(&why),
            },
            None => opaque(envelope, &why),
        }
    };
    unread.into_iter().map(gap).collect()
}

/// Reports the first gaps and counts the rest: a record may hold thousands of unreadable documents.
fn counted(mut gaps: Vec<Gap>, envelope: &Envelope) -> Vec<Gap> {
    let untold = gaps.len().saturating_sub(MOST_GAPS);
    if untold > 0 {
        gaps.truncate(MOST_GAPS);
        gaps.push(opaque(envelope, &format!("{untold} more documents")));
    }
    gaps
}
