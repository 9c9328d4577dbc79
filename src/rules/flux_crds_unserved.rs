//! Controllers of Flux whose CRDs the cluster does not serve in the version that they read.
//!
//! Helm never upgrades the CRDs of a chart's `crds/`, and `kubectl set image` brings none. A
//! controller that watches a version which is not served exits, and starts again for ever. A
//! release's CRDs come from the catalogue. CRDs that the request brings itself are other rules'
//! matter.
//!
//! A first install passes: its CRDs may have come a moment ago. So does the Flux that runs already. A
//! chart may apply CRDs by a hook Job, which runs after the record and before the controllers: the
//! rule then only warns.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::case::target_flux;
use crate::crd::kube_version::compare;
use crate::flux::Flux;
use crate::flux::engine::{CORE, is_flux_group};
use crate::flux::needs::USES;
use crate::helm::HOOK;
use crate::object::{Key, Object};
use crate::rules::flux_downgraded::known;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "flux-crds-unserved",
    level: Level::Enforce,
    catches: "a Flux release whose controllers read CRD versions that the cluster does not serve",
    breaks: "the new controllers find no match for the kind and exit, again and again; for optional controllers the \
             rule only warns",
    when: Moment::Run,
    doors: &[Door::ReleaseRecord, Door::Preflight],
    needs: &[
        Need::RunningFlux,
        Need::ChartFlux,
        Need::FluxOrder,
        Need::Definitions,
    ],
    check,
};

/// End of the name of the community chart's Job, which runs `flux check --pre`.
const CHECK: &str = "flux-check";

/// A CRD that is not served in the version that a controller reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unserved {
    /// For example `buckets.source.toolkit.fluxcd.io`.
    pub(crate) name: String,
    /// The version that the controller reads.
    pub(crate) version: String,
    /// True if a core controller of this Flux reconciles the CRD's objects: it surely fails.
    pub(crate) is_vital: bool,
    /// True if the cluster stores a newer version: no CRD of this Flux can come to its aid.
    pub(crate) is_past: bool,
}

fn check(case: &Case<'_>) -> RuleResult {
    let Some((target, running)) = target_flux::over_running(case)? else {
        return Ok(Vec::new());
    };
    if target.is_beside || target.flux.compare(&running) == Some(Ordering::Equal) {
        return Ok(Vec::new());
    }
    let unserved = match unserved(case, &target.flux) {
        // A release that the catalogue lacks knows its own CRDs, if it brings any.
        Err(Need::FluxOrder) if !brought_crds(case).is_empty() => return Ok(Vec::new()),
        unserved => unserved?,
    };
    if unserved.is_empty() {
        return target.passes();
    }
    let is_vital = unserved.iter().any(|one| one.is_vital);
    let job = hook_job(case);
    let level = if is_vital && job.is_none() {
        Level::Enforce
    } else {
        Level::Warn
    };
    let unless = job.map_or(String::new(), |job| {
        format!(", unless hook {job} applies it")
    });
    let message = format!(
        "{} reads {}, which the cluster does not serve and the release does not bring{unless}",
        target.flux,
        listed(&unserved)
    );
    let remedy = if unserved.iter().any(|one| one.is_past) {
        format!("Install a release of {running} or newer")
    } else {
        format!(
            "Apply the CRDs of {} first; Helm never upgrades a chart's crds/ (in a HelmRelease: \
             spec.upgrade.crds: CreateReplace)",
            target.flux
        )
    };
    let finding = Finding::about(target.object, &target.path, message, remedy);
    Ok(vec![finding.at_most(level)])
}

/// The hook Job of the release that runs before its controllers and may apply CRDs. The community's
/// chart has a Job that only checks the cluster.
fn hook_job<'a>(case: &Case<'a>) -> Option<&'a Object> {
    case.brought().find(|object| {
        let events = object.annotations.get(HOOK);
        let runs_before = |events: &String| {
            let mut events = events.split(',').map(str::trim);
            events.any(|event| event == "pre-install" || event == "pre-upgrade")
        };
        let is_job = object.kind == "Job" && object.group() == "batch";
        let is_check = object.name.ends_with(CHECK);
        is_job && !is_check && object.is_hook() && events.is_some_and(runs_before)
    })
}

/// The CRDs whose version in this Flux the cluster does not serve, for the controllers that the
/// Flux has. A controller reads the version that its release stores.
///
/// # Errors
/// If the catalogue lacks the Flux. If the cluster's CRDs are not known, or one that counts was not
/// readable and no other is unserved.
pub(crate) fn unserved(case: &Case<'_>, flux: &Flux) -> Result<Vec<Unserved>, Need> {
    let crds = known(flux, &case.engine().catalogue).ok_or(Need::FluxOrder)?;
    if !case.facts.knows_definitions() {
        return Err(Need::Definitions);
    }
    let brought = brought_crds(case);
    let mut unserved = Vec::new();
    let mut is_unread = false;
    for (name, definition) in crds {
        let Some(version) = definition.storage() else {
            continue;
        };
        let Some(is_vital) = vital(&name, flux).filter(|_| !brought.contains(name.as_str())) else {
            continue;
        };
        if case.facts.is_unread(&Key::of_definition(&name)) {
            is_unread = true;
            continue;
        }
        let live = case.facts.definition(&name);
        let live = live.and_then(|live| live.definition());
        if live.is_some_and(|live| live.serves(version)) {
            continue;
        }
        let stored = live.and_then(|live| live.storage());
        unserved.push(Unserved {
            version: version.to_owned(),
            is_vital,
            is_past: stored.is_some_and(|stored| compare(stored, version).is_gt()),
            name,
        });
    }
    if unserved.is_empty() && is_unread {
        return Err(Need::Definitions);
    }
    Ok(unserved)
}

/// Tells if a CRD is a core controller's own. `None` if no controller of this Flux reads it.
fn vital(crd: &str, flux: &Flux) -> Option<bool> {
    let needs = USES.iter().find(|needs| needs.crd == crd)?;
    let runs = |name: &str| flux.controllers.contains_key(name);
    if runs(needs.owner) {
        return Some(CORE.contains(&needs.owner));
    }
    let is_watched = needs.watchers.iter().any(|name| runs(name));
    is_watched.then_some(false)
}

/// The names of Flux's CRDs that the request writes.
fn brought_crds<'a>(case: &Case<'a>) -> BTreeSet<&'a str> {
    let written = case.written().map(|(new, _)| new);
    let crds = written.filter(|new| new.definition().is_some() && is_flux_group(&new.name));
    crds.map(|new| new.name.as_str()).collect()
}

/// The versions and names of CRDs, for messages.
pub(crate) fn listed(unserved: &[Unserved]) -> String {
    let names = unserved
        .iter()
        .map(|one| format!("{} {}", one.name, one.version));
    names.collect::<Vec<_>>().join(", ")
}
