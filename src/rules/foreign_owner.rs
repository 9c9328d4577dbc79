//! An object that another release or tool owns.
//!
//! Two owners undo each other's work, and whichever is removed first takes the object along.

use std::fmt;

use crate::finding::{Finding, Level};
use crate::helm::Owner;
use crate::object::Object;
use crate::request::Door;
use crate::rule::{Case, Found, Need, Rule};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "foreign-owner",
    level: Level::Enforce,
    catches: "an object that another release or tool owns",
    breaks: "two owners revert each other, and removing one deletes the engine; strangers' objects only warn",
    doors: &[Door::ReleaseRecord, Door::Preflight],
    needs: &[Need::ReleaseName, Need::LiveObjects],
    check,
};

/// On an object that a Kustomization applied: that one's namespace and name.
pub(crate) const KUSTOMIZATION: [&str; 2] = [
    "kustomize.toolkit.fluxcd.io/namespace",
    "kustomize.toolkit.fluxcd.io/name",
];

fn check(case: &Case<'_>) -> Found {
    let owner = case.owner();
    let mut findings = Vec::new();
    for (new, live) in case.rewritten() {
        let Some(holder) = holder(live, owner.as_ref())? else {
            continue;
        };
        let level = if case.engine().part(live).is_some() {
            Level::Enforce
        } else {
            Level::Warn
        };
        findings.push(finding(new, &holder).at_most(level));
    }
    Ok(findings)
}

/// Who else holds a live object.
pub(crate) enum Holder {
    Release(Owner),
    /// By its namespace and name.
    Kustomization(String),
}

impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(owner) => write!(out, "Helm release {owner}"),
            Self::Kustomization(name) => write!(out, "Kustomization {name}"),
        }
    }
}

pub(crate) fn holder(live: &Object, owner: Option<&Owner>) -> Result<Option<Holder>, Need> {
    if let Some(other) = live.owner() {
        let owner = owner.ok_or(Need::ReleaseName)?;
        return Ok((other != *owner).then_some(Holder::Release(other)));
    }
    let label = |key| live.labels.get(key).map(String::as_str);
    let [namespace, name] = KUSTOMIZATION.map(label);
    Ok(name.map(|name| Holder::Kustomization(format!("{}/{name}", namespace.unwrap_or_default()))))
}

fn finding(new: &Object, holder: &Holder) -> Finding {
    let way = match holder {
        Holder::Release(owner) => {
            format!("first end Helm release {owner}'s hold on it without deleting it")
        }
        Holder::Kustomization(name) => freed(new, name),
    };
    let remedy = format!("Take it out of this release, or {way}");
    Finding::about(
        new,
        "/metadata",
        format!("{holder} owns it in the cluster"),
        remedy,
    )
}

/// Its labels stay behind when a Kustomization lets go of an object.
fn freed(new: &Object, kustomization: &str) -> String {
    let [namespace, name] = KUSTOMIZATION;
    let space = new
        .namespace
        .as_ref()
        .map(|space| format!("-n {space} "))
        .unwrap_or_default();
    let kind = new.kind.to_lowercase();
    format!(
        "take it out of Kustomization {kustomization} with prune: false, then: \
         kubectl label {kind} {space}{} {name}- {namespace}-",
        new.name
    )
}
