//! Two HelmReleases of one cluster that bring Flux.
//!
//! helm-controller adopts: the second release takes over what the first one installed, CRDs
//! included, and deletes it when it is uninstalled.

use crate::case::finding::{Finding, Level, Related};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Rule, RuleResult};
use crate::repository::Repository;
use crate::repository::release::{Brings, EngineRelease};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "engine-in-two-releases",
    level: Level::Enforce,
    catches: "two HelmReleases of one cluster that bring Flux",
    breaks: "the second one takes over the first one's CRDs, and deletes them when it is uninstalled; the rule only warns unless one of them is uninstalled when it fails",
    when: Moment::Later,
    doors: &[Door::Check],
    needs: &[],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    let Some(repository) = case.repository() else {
        return Ok(Vec::new());
    };
    let brings_flux = |one: &EngineRelease<'_>| {
        let release = one.resource.helm_release();
        one.brings == Brings::Flux && !release.is_remote() && !release.is_suspended()
    };
    let releases = repository.flux_releases().into_iter().filter(brings_flux);
    let releases: Vec<EngineRelease<'_>> = releases.collect();
    let mut findings: Vec<Finding> = Vec::new();
    for (number, second) in releases.iter().enumerate() {
        let mut earlier = releases.iter().take(number);
        let first =
            earlier.find(|first| !is_same(first, second) && is_together(repository, first, second));
        findings.extend(first.map(|first| finding(first, second)));
    }
    Ok(findings)
}

/// True for two files of one HelmRelease: a base and its patch. A patch may lack the namespace.
fn is_same(first: &EngineRelease<'_>, second: &EngineRelease<'_>) -> bool {
    let namespaces = [&first.resource.namespace, &second.resource.namespace];
    let may_agree =
        namespaces.contains(&&None) || first.resource.namespace == second.resource.namespace;
    first.resource.name == second.resource.name && may_agree
}

/// True if one cluster gets both. A file that several clusters share may belong to one of them
/// alone.
fn is_together(
    repository: &Repository,
    first: &EngineRelease<'_>,
    second: &EngineRelease<'_>,
) -> bool {
    let groups = [first, second].map(|one| repository.groups_of(&one.text.path));
    let [one, other] = groups.each_ref().map(Vec::as_slice);
    matches!((one, other), ([one], [other]) if one == other)
}

fn finding(first: &EngineRelease<'_>, second: &EngineRelease<'_>) -> Finding {
    let is_removed = [first, second].iter().any(|one| {
        let release = one.resource.helm_release();
        !release.hazards().is_empty() && !release.keeps_everything()
    });
    let message = format!(
        "{} brings Flux, and so does {}: the second takes over what the first installed",
        second.resource.told(),
        first.resource.told()
    );
    let remedy =
        "Bring Flux by one HelmRelease; suspend the other before you take it out".to_owned();
    let object = second.text.object(second.resource, "/metadata/name");
    let source = first.text.object(first.resource, "/metadata/name").source;
    let related = source.map(|source| Related {
        message: first.resource.told(),
        source,
    });
    let level = if is_removed {
        Level::Enforce
    } else {
        Level::Warn
    };
    let finding = Finding::about(&object, "/metadata/name", message, remedy);
    finding
        .with_related(related.into_iter().collect())
        .at_most(level)
}
