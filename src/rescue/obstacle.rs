//! Reasons for which a rescue may not write yet, each with the way out.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::release::LiveRelease;
use super::{Left, Record, record_key};
use crate::object::Key;
use crate::recovery::{Point, key};

/// Custom resources that are named one by one.
const MOST_HELD: usize = 20;

/// A reason for which nothing may be written yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The object that stands in the way.
    pub object: Key,
    /// The reason, and the way out as commands.
    pub why: String,
}

/// A custom resource whose finalizer keeps its CRD from going.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The name of the CRD.
    pub definition: String,
    /// The custom resource.
    pub key: Key,
    /// The Kustomization that brings it back from Git.
    pub from: Option<String>,
}

impl Held {
    /// Reads a custom resource of a CRD. `None` if no finalizer holds it.
    #[must_use]
    pub fn of(definition: &str, live: &Value) -> Option<Self> {
        let finalizers = live.pointer("/metadata/finalizers")?.as_array()?;
        if finalizers.is_empty() {
            return None;
        }
        let label = |part: &str| {
            let labels = live.pointer("/metadata/labels")?;
            let label = format!("kustomize.toolkit.fluxcd.io/{part}");
            labels.get(label)?.as_str()
        };
        let from = label("namespace").zip(label("name"));
        Some(Self {
            definition: definition.to_owned(),
            key: key(live),
            from: from.map(|(namespace, name)| format!("{namespace}/{name}")),
        })
    }
}

/// The objects of the point that are being deleted.
pub(super) fn deleted(point: &Point, left: &Left) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    let wanted = point.keys();
    for live in &left.objects {
        let object = key(live);
        if live.pointer("/metadata/deletionTimestamp").is_none() || !wanted.contains(&object) {
            continue;
        }
        let why = match object.kind.as_str() {
            "CustomResourceDefinition" => definition(&object.name, &left.held),
            "Namespace" => namespace(&object.name, live),
            _ => "it is being deleted. Run the command again when it is gone".to_owned(),
        };
        obstacles.push(Obstacle { object, why });
    }
    obstacles
}

/// A HelmRelease that would uninstall the engine as soon as helm-controller runs.
pub(super) fn uninstalls(release: &LiveRelease) -> Option<Obstacle> {
    if !release.is_deleted || release.is_suspended {
        return None;
    }
    Some(Obstacle {
        object: release.key.clone(),
        why: format!(
            "it is being deleted, so helm-controller would uninstall Helm release {} again as soon as it runs. \
             Take its finalizer off, which deletes nothing else:\n{}",
            release.installs,
            release.freed()
        ),
    })
}

/// An operation that Helm may still carry out.
pub(super) fn running(record: &Record, now: Timestamp, most: SignedDuration) -> Option<Obstacle> {
    let age = now.duration_since(record.written?);
    if !record.is_pending() || age >= most {
        return None;
    }
    Some(Obstacle {
        object: record_key(record),
        why: format!(
            "Helm wrote {} {} s ago and may still be at work. Wait until {} minutes have passed, or end that Helm",
            record.status,
            age.as_secs().max(0),
            most.as_mins()
        ),
    })
}

fn definition(name: &str, held: &[Held]) -> String {
    let held: Vec<&Held> = held.iter().filter(|held| held.definition == name).collect();
    if held.is_empty() {
        return "it is being deleted with all its custom resources. Run the command again when it is gone"
            .to_owned();
    }
    let first = "it is being deleted with all its custom resources, and their finalizers wait for controllers that are \
                 gone. These objects are lost in any case; without their finalizers, what they manage stays:";
    let mut lines = vec![first.to_owned()];
    lines.extend(held.iter().take(MOST_HELD).map(|held| freed(name, held)));
    if held.len() > MOST_HELD {
        lines.push(format!("and {} more", held.len() - MOST_HELD));
    }
    lines.join("\n")
}

/// The command that takes off the finalizers of a custom resource, and its way back.
fn freed(definition: &str, held: &Held) -> String {
    let namespace = held.key.namespace.as_deref().unwrap_or_default();
    let origin = match &held.from {
        Some(from) => format!("Kustomization {from} brings it back from Git"),
        None => "no Kustomization applied it: save it, as Git may not have it".to_owned(),
    };
    format!(
        "kubectl patch {definition} -n {namespace} {} --type=merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'  # {origin}",
        held.key.name
    )
}

/// The conditions of the Namespace name the objects that keep it.
fn namespace(name: &str, live: &Value) -> String {
    let conditions = live
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let remaining = conditions.iter().filter(|condition| {
        condition
            .get("status")
            .is_some_and(|status| status == "True")
    });
    let messages = remaining.filter_map(|condition| condition.get("message")?.as_str());
    let messages: Vec<&str> = messages.collect();
    let mut lines = vec![
        "it is being deleted. Run the command again when it is gone:".to_owned(),
        format!("kubectl wait --for=delete namespace/{name} --timeout=10m"),
    ];
    if !messages.is_empty() {
        lines.push(format!("It waits: {}", messages.join("; ")));
    }
    lines.join("\n")
}
