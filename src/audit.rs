//! The judge's findings about a cluster as it lives, without a request.
//!
//! Three questions: Is the live Flux one that the judge would let in? Is each HelmRelease and
//! FluxInstance that installs Flux? Would the apiserver accept the CRDs of the newest release of
//! each newer minor?

use std::collections::BTreeMap;

use jiff::Timestamp;
use semver::Version;

use crate::case::facts::Facts;
use crate::case::finding::{Finding, Level};
use crate::case::policy::Policy;
use crate::case::request::{Change, Door, Operation, Release, Request, Subject, Writer};
use crate::case::target_flux::installs_engine;
use crate::case::verdict::Verdict;
use crate::flux::Flux;
use crate::flux::catalogue::{Catalogue, FluxRelease};
use crate::judge::judge;
use crate::object::{Body, Object};
use crate::rules::stored_version_dropped;
use crate::upgrade::judged;
use crate::upgrade::offer::unexcused;

/// Most HelmReleases and FluxInstances that an audit judges. Each costs a walk over the cluster, and
/// any tenant may create more.
const INSTALLERS: usize = 20;

/// The findings of an audit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// The findings about what lives. A CRD that blocks upgrades is one warning, about the first
    /// release that it blocks.
    pub verdict: Verdict,
    /// The newest release of each newer minor, and the CRDs that the apiserver would refuse.
    pub upgrades: BTreeMap<Version, Vec<String>>,
}

/// Judges what lives. Without a readable Flux version, no upgrade is judged.
#[must_use]
pub fn audit(facts: &Facts, policy: &Policy, now: Timestamp) -> Audit {
    let mut verdict = judge(&live_engine(facts, policy), facts, policy, now);
    for (door, object) in installers(facts, policy) {
        verdict.join(judge(&written(door, object), facts, policy, now));
    }
    let mut upgrades = BTreeMap::new();
    let mut blocking: BTreeMap<String, Finding> = BTreeMap::new();
    for release in newer(facts, policy) {
        let mut blocked = Vec::new();
        for finding in judged(facts, policy, release, now).findings {
            if finding.rule != stored_version_dropped::RULE.id || finding.excused.is_some() {
                continue;
            }
            let name = finding.object.name.clone();
            blocked.push(name.clone());
            blocking
                .entry(name)
                .or_insert_with(|| about_upgrade(finding, release));
        }
        upgrades.insert(release.version.clone(), blocked);
    }
    verdict.join(Verdict {
        findings: blocking.into_values().collect(),
        abstained: Vec::new(),
    });
    Audit { verdict, upgrades }
}

/// The live objects of the engine, as a release of their owner.
fn live_engine(facts: &Facts, policy: &Policy) -> Request {
    let mut objects: Vec<Object> = facts.engine(&policy.engine).cloned().collect();
    objects.iter_mut().for_each(unexcused);
    let mut controllers = objects.iter().filter(|object| object.kind == "Deployment");
    let owner = controllers.find_map(Object::owner);
    request(
        Door::Preflight,
        Subject::Release(Release {
            owner,
            revision: None,
            stored_in: None,
            objects,
        }),
    )
}

/// The HelmReleases and FluxInstances that install Flux, those that own the live Flux first.
fn installers<'a>(facts: &'a Facts, policy: &Policy) -> Vec<(Door, &'a Object)> {
    let owners = facts.owners(&policy.engine);
    let (mut installers, mut others) = (Vec::new(), Vec::new());
    for object in facts.objects() {
        match &object.body {
            Body::HelmRelease(_) if installs_engine(object, &owners, &policy.engine) => {
                if object
                    .installs()
                    .is_some_and(|owner| owners.contains(&owner))
                {
                    installers.push((Door::HelmRelease, object));
                } else {
                    others.push((Door::HelmRelease, object));
                }
            }
            Body::FluxInstance(_) => others.push((Door::FluxInstance, object)),
            _ => {}
        }
    }
    installers.append(&mut others);
    installers.truncate(INSTALLERS);
    installers
}

/// The question about a live object, as if it were written now.
fn written(door: Door, object: &Object) -> Request {
    let change = Change {
        old: None,
        new: Some(object.clone()),
    };
    request(door, Subject::Change(Box::new(change)))
}

fn request(door: Door, subject: Subject) -> Request {
    Request {
        door,
        operation: Operation::Create,
        writer: Writer::default(),
        dry_run: false,
        subject,
        gaps: Vec::new(),
    }
}

/// The newest release of each minor that is newer than the running Flux.
fn newer<'a>(facts: &Facts, policy: &'a Policy) -> Vec<&'a FluxRelease> {
    let catalogue: &Catalogue = &policy.engine.catalogue;
    let Some(running) = facts.running(&policy.engine) else {
        return Vec::new();
    };
    let mut newest: BTreeMap<(u64, u64), &FluxRelease> = BTreeMap::new();
    for release in catalogue.releases() {
        let order = Flux::of_release(release).compare(&running);
        let minor = (release.version.major, release.version.minor);
        if order.is_some_and(std::cmp::Ordering::is_gt) && Some(minor) != running.minor() {
            newest.insert(minor, release);
        }
    }
    newest.into_values().collect()
}

/// The finding as a warning: nothing is refused before somebody upgrades.
fn about_upgrade(finding: Finding, release: &FluxRelease) -> Finding {
    let message = format!("Flux {}: {}", release.version, finding.message);
    Finding { message, ..finding }.at_most(Level::Warn)
}
