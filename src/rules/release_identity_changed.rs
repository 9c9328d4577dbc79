//! A HelmRelease that owns the engine and changes its release's identity.
//!
//! A new chart name, release name, target or storage namespace starts a new release.
//! helm-controller uninstalls the old release first. A suspended HelmRelease does the same when
//! resumed. Its earlier identity is no longer visible then, so the change itself is refused.

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::helm::Owner;
use crate::helm::release::HelmRelease;
use crate::object::Object;
use crate::repository::release::{Brings, EngineRelease};
use crate::repository::{Repository, Resource};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "release-identity-changed",
    level: Level::Enforce,
    catches: "a change of chart name, releaseName, targetNamespace or storageNamespace that uninstalls Flux",
    breaks: "helm-controller uninstalls Flux, itself included, before it installs the new release",
    when: Moment::Done,
    doors: &[Door::HelmRelease, Door::Check],
    needs: &[Need::RunningFlux, Need::ChartName],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    if let Some(repository) = case.repository() {
        return Ok(committed(repository));
    }
    let change = case.change();
    let pair = change.and_then(|change| Some((change.old.as_ref()?, change.new.as_ref()?)));
    let Some((old, new)) = pair else {
        return Ok(Vec::new());
    };
    let Some((was, is)) = old.helm_release().zip(new.helm_release()) else {
        return Ok(Vec::new());
    };
    let namespace = old.namespace.as_deref().unwrap_or_default();
    let Some((from, to)) = old.installs().zip(new.installs()) else {
        return Ok(Vec::new());
    };
    if !case.owners()?.contains(&from) {
        return Ok(Vec::new());
    }
    let changed = renamed([was, is], namespace, from, to);
    let chart = chart(was, is);
    if changed.is_empty() && chart.is_err() {
        return Err(Need::ChartName);
    }
    Ok(changed
        .into_iter()
        .chain(chart.ok().flatten())
        .map(|changed| finding(new, changed))
        .collect())
}

/// The changed names and namespaces of a release.
fn renamed(releases: [&HelmRelease; 2], namespace: &str, from: Owner, to: Owner) -> Vec<Changed> {
    let [was, is] = releases.map(|release| release.storage_namespace(namespace).to_owned());
    let fields = [
        ("/spec/releaseName", from.name, to.name),
        ("/spec/targetNamespace", from.namespace, to.namespace),
        ("/spec/storageNamespace", was, is),
    ];
    let changed = fields.into_iter().filter(|(_, from, to)| from != to);
    changed.collect()
}

/// The HelmReleases of a repository that bring Flux, and whose identity a change alters.
fn committed(repository: &Repository) -> Vec<Finding> {
    let Some(base) = &repository.base else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let brings_flux = |one: &EngineRelease<'_>| one.brings == Brings::Flux;
    for old in base.flux_releases().into_iter().filter(brings_flux) {
        for (text, new) in repository.same(old.resource) {
            let namespace = new.namespace.as_deref().unwrap_or_default();
            let [was, is] = [old.resource, new].map(Resource::helm_release);
            let names = [&was, &is].map(|release| release.release(namespace, &new.name));
            let [Some(from), Some(to)] = names else {
                continue;
            };
            let mut changed = renamed([&was, &is], namespace, from, to);
            changed.extend(chart(&was, &is).ok().flatten());
            for (path, from, to) in changed {
                let object = text.object(new, path);
                findings.push(finding(&object, (path, from, to)));
            }
        }
    }
    findings
}

/// Path, old value, new value.
type Changed = (&'static str, String, String);

/// Compares chart names. The same chart may come from another source.
fn chart(was: &HelmRelease, is: &HelmRelease) -> Result<Option<Changed>, Need> {
    if was.chart_source() == is.chart_source() || !is.reinstalls_on_chart_change() {
        return Ok(None);
    }
    let (from, to) = was.chart().zip(is.chart()).ok_or(Need::ChartName)?;
    Ok((from != to).then(|| ("/spec/chart/spec/chart", from.to_owned(), to.to_owned())))
}

fn finding(object: &Object, (path, from, to): Changed) -> Finding {
    let message = format!(
        "{from:?} would become {to:?}: helm-controller uninstalls the release that owns Flux"
    );
    let remedy = format!(
        "Keep {from:?}; to move Flux to another release, suspend this HelmRelease and adopt with the new one"
    );
    Finding::about(object, path, message, remedy)
}
