//! A CRD that no longer offers a version in which objects may be stored.
//!
//! The apiserver refuses the CRD (`status.storedVersions[0]: Invalid value`), but only during the
//! apply. Helm is then half-way through, and remediation follows. The live storage version counts
//! as stored even if a wrong prune removed it from `storedVersions`. The apiserver then accepts a
//! CRD without that version, and every object becomes unreadable.

mod instance;

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::crd::kube_version::compare;
use crate::crd::migration::{list, move_storage, rewrite_and_prune};
use crate::crd::{Definition, Version, dropped};
use crate::flux::catalogue::{Catalogue, FluxRelease};
use crate::repository::Repository;
use crate::repository::change::Move;
use crate::rules::{Redefined, redefined};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "stored-version-dropped",
    level: Level::Enforce,
    catches: "a CRD that no longer offers a version in `status.storedVersions`",
    breaks: "the apiserver refuses the CRD half-way through the apply, and remediation follows",
    when: Moment::Apply,
    doors: &[
        Door::FluxInstance,
        Door::ReleaseRecord,
        Door::Crd,
        Door::Preflight,
        Door::PostRenderer,
        Door::Check,
    ],
    needs: &[Need::Definitions, Need::FluxOrder, Need::LiveObjects],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    if case.request.door == Door::FluxInstance {
        return instance::check(case);
    }
    let catalogue = &case.engine().catalogue;
    if let Some(repository) = case.repository() {
        return Ok(committed(repository, catalogue));
    }
    Ok(redefined(case)?
        .filter_map(|of| finding(of, catalogue))
        .collect())
}

/// The groups of a repository that a change moves to a Flux without a stored version. A cluster that
/// began with an older Flux may store more versions than the catalogue predicts.
fn committed(repository: &Repository, catalogue: &Catalogue) -> Vec<Finding> {
    let mut findings = Vec::new();
    for moved in repository.moves() {
        let Move { from, to, .. } = &moved;
        let lost = catalogue.lost(from, to);
        if lost.is_empty() {
            continue;
        }
        let groups = repository.of_groups(&[moved.group]);
        let message = format!(
            "the change moves Flux{groups} from {from} to {to}, whose CRDs lack a version that {from} stores: the apiserver refuses {}",
            lost.join(", ")
        );
        let remedy = catalogue.way_past(from, to);
        findings.extend(repository.about_move(&moved, message, remedy));
    }
    findings
}

fn finding(redefined: Redefined<'_>, catalogue: &Catalogue) -> Option<Finding> {
    let Redefined { object, new, live } = redefined;
    let missing: Vec<_> = dropped(live, new).collect();
    let newest = missing.iter().max_by(|left, right| compare(left, right))?;
    let versions = missing.join(", ");
    let message = format!(
        "the cluster holds objects stored as {versions}, which the new CRD no longer offers (it offers {})",
        new.offered()
    );
    let is_older = |offer: &Version| compare(&offer.name, newest).is_lt();
    let remedy = if new.versions.iter().all(is_older) {
        stay(&versions)
    } else {
        forward(redefined, &missing, catalogue)
    };
    let finding = Finding::about(object, "/status/storedVersions", message, remedy);
    Some(finding.with_value(format!("stored as {versions}")))
}

fn stay(versions: &str) -> String {
    format!("Install a release whose CRD offers {versions}: the running version or newer")
}

/// The next safe step: complete `storedVersions`, move the storage flag, rewrite and prune, or
/// install. Each refusal names the step for which the live definition is ready.
fn forward(redefined: Redefined<'_>, missing: &[&str], catalogue: &Catalogue) -> String {
    let Redefined { object, live, .. } = redefined;
    if let Some(storage) = live.unlisted().filter(|_| !live.stored.is_empty()) {
        return format!(
            "storedVersions lacks {storage}, in which objects are stored: put it back first, then try \
             again:\n{}",
            list(&object.name, storage)
        );
    }
    // Objects are rewritten in the live storage version, so that version must stay.
    let storage = live.storage().filter(|storage| !missing.contains(storage));
    let rewrite = storage.and_then(|storage| rewrite_and_prune(&object.name, live, storage));
    match rewrite {
        Some(command) => format!(
            "Migrate, then try again: `fluxkeep migrate --crd {}`, or\n{command}",
            object.name
        ),
        None => store(redefined, missing, catalogue),
    }
}

/// Moves the storage flag: by a release of the catalogue if there is one, else by hand. A tool that
/// applies the live definition again puts the flag back, so a release comes first.
fn store(redefined: Redefined<'_>, missing: &[&str], catalogue: &Catalogue) -> String {
    let Redefined { object, new, live } = redefined;
    let versions = missing.join(", ");
    if let Some((release, storage)) = bridge(redefined, catalogue) {
        return format!(
            "Install Flux {} first, which stores {storage} and still offers {versions}; then try again",
            release.version
        );
    }
    let Some(target) = common(new, live) else {
        return add(new, live, &versions);
    };
    let command = move_storage(&object.name, live, target).unwrap_or_default();
    format!(
        "First make {target} the storage version: install a release that stores {target} and still offers \
         {versions}, or change the live CRD; then try again:\n{command}"
    )
}

/// The newest release that can replace the live definition and whose storage version stays.
fn bridge<'a>(
    redefined: Redefined<'_>,
    catalogue: &'a Catalogue,
) -> Option<(&'a FluxRelease, String)> {
    let Redefined { object, new, live } = redefined;
    let mut releases = catalogue.releases().iter().rev();
    releases.find_map(|release| {
        let between = release.crd(&object.name)?.definition();
        let storage = between.storage()?;
        let leads = new.offers(storage) && dropped(live, &between).next().is_none();
        leads.then(|| (release, storage.to_owned()))
    })
}

/// The version in both definitions: the new storage version, else the newest shared version.
fn common<'a>(new: &'a Definition, live: &Definition) -> Option<&'a str> {
    if let Some(storage) = new.storage().filter(|storage| live.offers(storage)) {
        return Some(storage);
    }
    let offers = new.versions.iter().map(|offer| offer.name.as_str());
    let lives = live.names();
    offers
        .filter(|version| lives.contains(version))
        .max_by(|left, right| compare(left, right))
}

/// The remedy if no version is in both definitions.
fn add(new: &Definition, live: &Definition, versions: &str) -> String {
    let target = new.storage().unwrap_or("a version of the new CRD");
    let old = live.storage().unwrap_or("the version that is stored now");
    format!(
        "Install a release in between that stores {target} and still offers {versions}; fluxkeep knows \
         none. If none exists, add {target} to the live CRD by hand, with storage: true, \
         and set storage: false on {old} (if the two differ, the conversion webhook must know both); \
         then try again"
    )
}
