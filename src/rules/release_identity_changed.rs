//! A HelmRelease that owns the engine and changes what makes it this release.
//!
//! Another chart name, release name, target or storage namespace makes helm-controller uninstall the
//! old release before it installs the new one.

use crate::finding::{Finding, Level};
use crate::helm::release::HelmRelease;
use crate::object::Object;
use crate::request::Door;
use crate::rule::{Case, Found, Need, Rule};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "release-identity-changed",
    level: Level::Enforce,
    catches: "chart name, releaseName, targetNamespace, storageNamespace changes that uninstall the engine",
    breaks: "helm-controller uninstalls Flux, itself included, before it installs the new release",
    doors: &[Door::HelmRelease],
    needs: &[Need::RunningFlux],
    check,
};

fn check(case: &Case<'_>) -> Found {
    let change = case.change();
    let pair = change.and_then(|change| Some((change.old.as_ref()?, change.new.as_ref()?)));
    let Some((old, new)) = pair else {
        return Ok(Vec::new());
    };
    let Some((was, is)) = old.helm_release().zip(new.helm_release()) else {
        return Ok(Vec::new());
    };
    let namespace = old.namespace.as_deref().unwrap_or_default();
    let Some(owner) = was.release(namespace, &old.name) else { return Ok(Vec::new()) };
    if !case.owners()?.contains(&owner) {
        return Ok(Vec::new());
    }
    Ok(changes(namespace, old, was, is).into_iter().map(|change| finding(new, change)).collect())
}

/// Path, old value, new value.
type Changed = (&'static str, String, String);

fn changes(namespace: &str, object: &Object, was: &HelmRelease, is: &HelmRelease) -> Vec<Changed> {
    let owner = |release: &HelmRelease| release.release(namespace, &object.name).unwrap_or_default();
    let (from, to) = (owner(was), owner(is));
    let storage = |release: &HelmRelease| release.storage_namespace(namespace).to_owned();
    let chart = |release: &HelmRelease| release.chart_identity().unwrap_or_default();
    let chart_from = chart(was);
    let chart_to = if is.reinstalls_on_chart_change() { chart(is) } else { chart_from.clone() };
    let fields = [
        ("/spec/chart/spec/chart", chart_from, chart_to),
        ("/spec/releaseName", from.name, to.name),
        ("/spec/targetNamespace", from.namespace, to.namespace),
        ("/spec/storageNamespace", storage(was), storage(is)),
    ];
    fields.into_iter().filter(|(_, from, to)| from != to).collect()
}

fn finding(object: &Object, (path, from, to): Changed) -> Finding {
    let message = format!("{from:?} would become {to:?}: helm-controller uninstalls the release that owns Flux");
    let remedy = format!("Keep {from:?}; to move Flux to another release, suspend this one and adopt with the new one");
    Finding::about(object, path, message, remedy)
}
