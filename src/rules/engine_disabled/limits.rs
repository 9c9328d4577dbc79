//! A ResourceQuota or LimitRange that lets no pod of Flux start.

use std::collections::BTreeSet;

use crate::case::finding::{Finding, Level};
use crate::object::{Body, Object};

/// The resources without which no pod of Flux starts, or no controller is created anew.
pub const STOPPING: [&str; 10] = [
    "count/deployments.apps",
    "count/pods",
    "count/replicasets.apps",
    "cpu",
    "limits.cpu",
    "limits.memory",
    "memory",
    "pods",
    "requests.cpu",
    "requests.memory",
];

/// The finding if a write newly allows none of a resource. Running pods go on, so it only warns.
pub(super) fn forbidden(
    new: &Object,
    now: &BTreeSet<String>,
    old: Option<&Object>,
) -> Option<Finding> {
    let did_forbid = |resource: &str| {
        let was = old.map(|old| &old.body);
        matches!(was, Some(Body::Forbids(was)) if was.contains(resource))
    };
    let mut stopping = Vec::new();
    for resource in STOPPING {
        if now.contains(resource) && !did_forbid(resource) {
            stopping.push(resource);
        }
    }
    let resources = stopping.join(", ");
    let message =
        format!("it allows no {resources}: a controller of Flux that stops does not start again");
    let remedy = format!(
        "Allow some {resources}, or keep applications that need the limit in another namespace"
    );
    let finding = Finding::about(new, "/spec", message, remedy).at_most(Level::Warn);
    (!stopping.is_empty()).then_some(finding)
}
