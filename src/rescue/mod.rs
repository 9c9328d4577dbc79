//! Bringing a lost engine back: from a recovery point and what is left of the engine to the steps.
//!
//! The order is suspend → apply → wait → delete records → resume. Records go last: without them
//! helm-controller installs the same chart again. Nothing is remembered between runs: the steps
//! follow from the cluster alone, so a run that was cut off goes on.

mod obstacle;
mod record;
mod release;
mod resume;
mod rights;
#[cfg(test)]
mod tests;

pub use obstacle::{Held, Obstacle};
pub use record::Record;
pub use release::LiveRelease;
pub use resume::{NextInstall, next_install};
pub use rights::{Right, rights};

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::flux::engine::Engine;
use crate::helm::{Owner, RELEASE_NAME, RELEASE_NAMESPACE};
use crate::object::Key;
use crate::recovery::{How, Point, difference_of, key};

/// Helm's default timeout: an operation that was written this recently may still run.
const MAY_RUN: SignedDuration = SignedDuration::from_mins(5);

/// The state of a cluster, as far as a rescue needs it.
#[derive(Debug, Clone, Default)]
pub struct Left {
    /// The live objects of the point, whole.
    pub objects: Vec<Value>,
    /// The Helm releases that own live objects of the engine.
    pub owners: BTreeSet<Owner>,
    /// HelmReleases of all namespaces.
    pub releases: Vec<LiveRelease>,
    /// Release records of the namespaces that matter.
    pub records: Vec<Record>,
    /// Custom resources that keep a CRD from going.
    pub held: Vec<Held>,
}

/// An action on an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Sets `spec.suspend`.
    Suspend,
    /// Applies the point's object, which is missing.
    Create,
    /// Applies the point's object over one that differs.
    Change,
    /// Saves and deletes a release record.
    DeleteRecord,
}

/// A step of a rescue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The action.
    pub action: Action,
    /// The object.
    pub object: Key,
    /// The object's state, in a few words.
    pub left: String,
    /// The reason for the step.
    pub why: String,
}

/// The steps of a rescue, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// The reasons for which nothing may be written yet.
    pub obstacles: Vec<Obstacle>,
    /// The HelmReleases that hold the engine.
    pub releases: Vec<LiveRelease>,
    /// The number of objects that are as the point says.
    pub equal: usize,
}

impl Plan {
    /// The steps with one of these actions.
    pub fn of<'a>(&'a self, actions: &'a [Action]) -> impl Iterator<Item = &'a Step> {
        let steps = self.steps.iter();
        steps.filter(|step| actions.contains(&step.action))
    }

    /// The custom resources that went with their CRDs, in words. `None` if no CRD is missing.
    #[must_use]
    pub fn lost(&self) -> Option<String> {
        let missing = self.of(&[Action::Create]);
        let is_definition = |step: &&Step| step.object.kind == "CustomResourceDefinition";
        let missing: Vec<&Step> = missing.filter(is_definition).collect();
        let kinds = missing
            .iter()
            .filter_map(|step| step.object.name.split('.').next());
        let kinds: Vec<&str> = kinds.collect();
        if kinds.is_empty() {
            return None;
        }
        Some(format!(
            "All objects of these kinds are gone with their CRDs: {}. Git brings back those that it holds, once \
             the GitRepository and the Kustomization of Flux are applied again (`flux bootstrap` keeps them in \
             gotk-sync.yaml). Correct the chart in Git before that. Objects that were applied by hand, and \
             Secrets, do not come from Git",
            kinds.join(", ")
        ))
    }
}

/// Plans the way from what is left to the point.
#[must_use]
pub fn plan(point: &Point, left: &Left, engine: &Engine) -> Plan {
    let mut owners = left.owners.clone();
    owners.extend(point.objects().iter().filter_map(owner));
    let releases = concerned(left, &owners, engine);
    let mut plan = Plan {
        obstacles: obstacle::deleted(point, left),
        ..Plan::default()
    };
    for wanted in point.objects() {
        match restored(wanted, left) {
            Some(step) => plan.steps.push(step),
            None => plan.equal += 1,
        }
    }
    let of_engine = |record: &&Record| record.holds(engine) || owners.contains(&record.release);
    let records = left.records.iter().filter(of_engine);
    plan.steps
        .extend(records.filter(|record| record.is_unsound()).map(deleted));
    plan.quieten(releases);
    plan
}

/// Plans the way of one release out of an operation that did not end.
#[must_use]
pub fn mend(release: &Owner, left: &Left, now: Timestamp) -> Plan {
    let is_its = |live: &&LiveRelease| live.installs == *release;
    let releases: Vec<LiveRelease> = left.releases.iter().filter(is_its).cloned().collect();
    let mut plan = Plan::default();
    let records = left.records.iter();
    for record in records.filter(|record| record.release == *release && record.is_stuck()) {
        if let Some(obstacle) = obstacle::running(record, now, MAY_RUN) {
            plan.obstacles.push(obstacle);
        }
        plan.steps.push(deleted(record));
    }
    plan.quieten(releases);
    plan
}

impl Plan {
    /// Suspends the HelmReleases before all other steps, if there are any.
    fn quieten(&mut self, releases: Vec<LiveRelease>) {
        if !self.steps.is_empty() {
            let uninstalling = releases.iter().filter_map(obstacle::uninstalls);
            self.obstacles.extend(uninstalling);
            let suspends = releases.iter().filter_map(suspended);
            self.steps.splice(..0, suspends);
        }
        self.releases = releases;
    }
}

/// The Helm release that owns an object, by its annotations.
fn owner(object: &Value) -> Option<Owner> {
    let annotations = object.pointer("/metadata/annotations")?;
    let text = |key: &str| Some(annotations.get(key)?.as_str()?.to_owned());
    Some(Owner {
        name: text(RELEASE_NAME)?,
        namespace: text(RELEASE_NAMESPACE)?,
    })
}

/// The HelmReleases that own the engine or would install it. Without any record a HelmRelease that
/// installs beside the engine may install anything, so it counts.
fn concerned(left: &Left, owners: &BTreeSet<Owner>, engine: &Engine) -> Vec<LiveRelease> {
    let is_concerned = |release: &&LiveRelease| {
        let mut records = left.records.iter().filter(|record| {
            record.stored_in == release.stores_in && record.release.name == release.installs.name
        });
        let is_beside = engine.is_home(&release.installs.namespace);
        if owners.contains(&release.installs) {
            return true;
        }
        match records.next() {
            Some(first) => first.holds(engine) || records.any(|record| record.holds(engine)),
            None => is_beside,
        }
    };
    let releases = left.releases.iter().filter(is_concerned);
    releases.cloned().collect()
}

fn suspended(release: &LiveRelease) -> Option<Step> {
    if release.is_suspended {
        return None;
    }
    Some(Step {
        action: Action::Suspend,
        object: release.key.clone(),
        left: "active".to_owned(),
        why: format!(
            "helm-controller would install or uninstall Helm release {} again",
            release.installs
        ),
    })
}

/// The step for an object of the point. `None` if the live object has all that the point says.
fn restored(wanted: &Value, left: &Left) -> Option<Step> {
    let object = key(wanted);
    let live = left.objects.iter().find(|live| key(live) == object);
    let difference = difference_of(wanted, live)?;
    let (action, left, why) = match &difference.how {
        How::Fields(fields) => {
            let first = fields.first().map(ToString::to_string);
            let more = match fields.len() {
                0 | 1 => String::new(),
                all => format!(", and {} more", all - 1),
            };
            let why = format!("{}{more}", first.unwrap_or_default());
            (Action::Change, "differs", why)
        }
        How::Missing | How::Additional => {
            let why = "the recovery point has it".to_owned();
            (Action::Create, "missing", why)
        }
    };
    Some(Step {
        action,
        object,
        left: left.to_owned(),
        why,
    })
}

fn deleted(record: &Record) -> Step {
    let chart = record.chart.as_ref();
    let chart = chart.map(|chart| format!(" of chart {} {}", chart.name, chart.version));
    Step {
        action: Action::DeleteRecord,
        object: record_key(record),
        left: record.status.clone(),
        why: format!(
            "Helm cannot go on from revision {}{} of {}; it is saved first",
            record.revision,
            chart.unwrap_or_default(),
            record.release
        ),
    }
}

/// The Secret of a record.
#[must_use]
pub fn record_key(record: &Record) -> Key {
    Key {
        group: String::new(),
        kind: "Secret".to_owned(),
        namespace: Some(record.stored_in.clone()),
        name: record.name.clone(),
    }
}
