//! A HelmRelease that owns the engine and changes its release's identity.
//!
//! A new chart name, release name, target or storage namespace starts a new release.
//! helm-controller uninstalls the old release first. A suspended HelmRelease does the same when
//! resumed. Its earlier identity is no longer visible then, so the change itself is refused.

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::helm::release::HelmRelease;
use crate::object::Object;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "release-identity-changed",
    level: Level::Enforce,
    catches: "a change of chart name, releaseName, targetNamespace or storageNamespace that uninstalls Flux",
    breaks: "helm-controller uninstalls Flux, itself included, before it installs the new release",
    when: Moment::Done,
    doors: &[Door::HelmRelease],
    needs: &[Need::RunningFlux, Need::ChartName],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
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
    let storage = |release: &HelmRelease| release.storage_namespace(namespace).to_owned();
    let fields = [
        ("/spec/releaseName", from.name, to.name),
        ("/spec/targetNamespace", from.namespace, to.namespace),
        ("/spec/storageNamespace", storage(was), storage(is)),
    ];
    let changed: Vec<Changed> = fields
        .into_iter()
        .filter(|(_, from, to)| from != to)
        .collect();
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
