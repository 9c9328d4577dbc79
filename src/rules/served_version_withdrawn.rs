//! A version that clients may still use and that is no longer served.
//!
//! A request for that version then gets 404. Clients themselves are not visible. Two signs suggest
//! that clients exist: the version is the storage version now, or a known object is written in it.
//! A version without either sign passes in silence.

mod repository;

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::crd::{Definition, dropped};
use crate::object::Object;
use crate::rules::{Redefined, redefined};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "served-version-withdrawn",
    level: Level::Warn,
    catches: "a CRD version that clients may still request and that is no longer served",
    breaks: "clients and controllers that request the version get 404",
    when: Moment::Run,
    doors: &[Door::Crd, Door::ReleaseRecord, Door::Preflight, Door::Check],
    needs: &[Need::Definitions, Need::LiveObjects, Need::FluxOrder],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    if let Some(repository) = case.repository() {
        return Ok(repository::unserved(repository, &case.engine().catalogue));
    }
    let users = LazyCell::new(|| users(case));
    let mut findings = Vec::new();
    for of in redefined(case)? {
        let stays = of.new.served();
        let gone: BTreeSet<&str> = dropped(of.live, of.new).collect();
        for version in of.live.versions.iter().filter(|version| version.served) {
            let name = version.name.as_str();
            // `stored-version-dropped` covers a stored version that is gone altogether.
            if !stays.contains(name) && !gone.contains(name) {
                findings.extend(finding(of, name, &users));
            }
        }
    }
    Ok(findings)
}

/// An object of each API version and kind, written or live: the first by namespace and name.
type Users<'a> = BTreeMap<(&'a str, &'a str), &'a Object>;

fn users<'a>(case: &Case<'a>) -> Users<'a> {
    let written = case.written().map(|(new, _)| new);
    let mut users = Users::new();
    for one in written.chain(case.facts.objects()) {
        let user = users
            .entry((one.api_version.as_str(), one.kind.as_str()))
            .or_insert(one);
        if (&one.namespace, &one.name) < (&user.namespace, &user.name) {
            *user = one;
        }
    }
    users
}

fn finding(
    Redefined { object, new, live }: Redefined<'_>,
    version: &str,
    users: &Users<'_>,
) -> Option<Finding> {
    let sign = sign(live, version, users)?;
    let served = new
        .versions
        .iter()
        .filter(|one| one.served)
        .map(|one| one.name.as_str());
    let served: Vec<_> = served.collect();
    let message =
        format!("{version} is no longer served: clients that request it will get 404 ({sign})");
    let remedy = match served.as_slice() {
        [] => "Serve at least one version".to_owned(),
        _ => format!(
            "First move the manifests and clients that use it to a version that stays served ({})",
            served.join(", ")
        ),
    };
    let finding = Finding::about(object, "/spec/versions", message, remedy);
    Some(finding.with_value(version.to_owned()))
}

/// Says why a client may ask for the version.
fn sign(live: &Definition, version: &str, users: &Users<'_>) -> Option<String> {
    let api_version = format!("{}/{version}", live.group);
    if let Some(one) = users.get(&(api_version.as_str(), live.kind.as_str())) {
        return Some(format!("{one} uses it"));
    }
    (live.storage() == Some(version)).then(|| "it is the storage version now".to_owned())
}
