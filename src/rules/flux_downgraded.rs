//! A release that would move the engine to an older Flux.
//!
//! The rule warns if every CRD of the older Flux still offers the stored versions (2.8 to 2.7
//! does): a rollback must stay possible. It refuses if a stored version would be lost, or if that
//! cannot be known.

use semver::Version;

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::case::target_flux;
use crate::crd::{Definition, dropped};
use crate::flux::Flux;
use crate::flux::catalogue::{Catalogue, FluxRelease};
use crate::object::{Key, Object};
use crate::repository::Repository;
use crate::repository::change::Move;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "flux-downgraded",
    level: Level::Enforce,
    catches: "a release that would move Flux to an older version",
    breaks: "the apiserver refuses CRDs half-way, or older controllers cannot read stored objects; the rule \
             only warns if no stored version is lost",
    when: Moment::Run,
    doors: &[
        Door::HelmRelease,
        Door::FluxInstance,
        Door::ReleaseRecord,
        Door::Preflight,
        Door::Check,
    ],
    needs: &[Need::RunningFlux, Need::ChartFlux, Need::FluxOrder],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    if let Some(repository) = case.repository() {
        return Ok(committed(repository, &case.engine().catalogue));
    }
    let Some((target, running)) = target_flux::over_running(case)? else {
        return Ok(Vec::new());
    };
    if target.is_beside {
        return Ok(Vec::new());
    }
    let order = target.flux.compare(&running).ok_or(Need::FluxOrder)?;
    if order.is_ge() {
        return target.passes();
    }
    let offered = match case.release() {
        Some(_) => Some(shipped(case)),
        None => known(&target.flux, &case.engine().catalogue),
    };
    let (level, why) = weighed(case, offered);
    let message = format!("{} would replace the running {running}; {why}", target.flux);
    let remedy = format!("Install a release of {running} or newer");
    let finding = Finding::about(target.object, &target.path, message, remedy).at_most(level);
    if is_idle_elsewhere(case, target.object) {
        return Ok(vec![finding.at_most(Level::Warn)]);
    }
    Ok(vec![finding])
}

/// The groups of a repository that a change moves to an older Flux.
fn committed(repository: &Repository, catalogue: &Catalogue) -> Vec<Finding> {
    let mut findings = Vec::new();
    for moved in repository.moves() {
        let Move { from, to, .. } = &moved;
        if to >= from {
            continue;
        }
        let groups = repository.of_groups(&[moved.group]);
        let is_known = [from, to].map(|one| catalogue.release(one).is_some()) == [true, true];
        let lost = catalogue.lost(from, to);
        let (level, why) = match (is_known, lost.as_slice()) {
            (false, _) => (
                Level::Enforce,
                "whether stored versions are lost is unknown".to_owned(),
            ),
            (true, []) => (Level::Warn, "no stored version is lost".to_owned()),
            (true, lost) => (
                Level::Enforce,
                format!("the apiserver refuses {}", lost.join(", ")),
            ),
        };
        let message = format!("the change moves Flux{groups} from {from} down to {to}; {why}");
        let remedy = format!("Name Flux {from} or newer");
        let finding = repository.about_move(&moved, message, remedy);
        findings.extend(finding.map(|finding| finding.at_most(level)));
    }
    findings
}

/// True for a FluxInstance outside of the engine's namespaces that has applied no Flux.
/// flux-operator takes the one in its own namespace alone, and whether it runs there cannot be
/// seen.
pub(crate) fn is_idle_elsewhere(case: &Case<'_>, object: &Object) -> bool {
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let instance = object.flux_instance();
    instance.is_some_and(|instance| !instance.applied.holds_flux())
        && !case.engine().is_home(namespace)
}

/// Weighs a move to an older Flux with these CRDs, and says why. `None`: CRDs unknown.
fn weighed(case: &Case<'_>, offered: Option<Vec<(String, Definition)>>) -> (Level, String) {
    let is_unread = |name: &str| case.facts.is_unread(&Key::of_definition(name));
    let known = offered
        .filter(|_| case.facts.knows_definitions())
        .filter(|offered| !offered.iter().any(|(name, _)| is_unread(name)));
    let Some(offered) = known else {
        let why = "whether stored versions are lost is unknown";
        return (Level::Enforce, why.to_owned());
    };
    let lost = lost(case, &offered);
    if lost.is_empty() {
        (Level::Warn, "no stored version is lost".to_owned())
    } else {
        let why = format!("stored versions are lost: {}", lost.join(", "));
        (Level::Enforce, why)
    }
}

/// The stored versions that the older Flux does not offer, as `crd: version`.
fn lost(case: &Case<'_>, offered: &[(String, Definition)]) -> Vec<String> {
    let live = |name: &str| case.facts.definition(name).and_then(Object::definition);
    let lost = offered.iter().filter_map(|(name, target)| {
        let lost: Vec<_> = dropped(live(name)?, target).collect();
        (!lost.is_empty()).then(|| format!("{name}: {}", lost.join(", ")))
    });
    let mut lost: Vec<_> = lost.collect();
    lost.sort();
    lost
}

/// The CRDs that the release brings. It leaves all other CRDs unchanged.
fn shipped(case: &Case<'_>) -> Vec<(String, Definition)> {
    let written = case.written().map(|(new, _)| new);
    written
        .filter_map(|new| Some((new.name.clone(), new.definition()?.clone())))
        .collect()
}

/// The CRDs of a Flux that ships none with the request. `None` if the catalogue cannot place the
/// Flux. Controllers of an unknown patch release have the CRDs of their minor.
pub(crate) fn known(flux: &Flux, catalogue: &Catalogue) -> Option<Vec<(String, Definition)>> {
    let is_of_minor = |release: &&FluxRelease| {
        let same = |name: &String, version: &Version| {
            release.controllers.iter().any(|one| {
                let (own, version) = (&one.version, version);
                one.name == *name && (own.major, own.minor) == (version.major, version.minor)
            })
        };
        let mut controllers = flux.controllers.iter();
        !flux.controllers.is_empty() && controllers.all(|(name, version)| same(name, version))
    };
    let release = match flux.versions.last() {
        Some(version) => catalogue.release(version),
        None => catalogue.releases().iter().rev().find(is_of_minor),
    };
    let crds = release?.crds.iter();
    Some(
        crds.map(|crd| (crd.name.clone(), crd.definition()))
            .collect(),
    )
}
