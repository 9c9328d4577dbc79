//! A version that something still uses is no longer served.
//!
//! Whatever asks for it gets 404 from then on. "Uses" means what can be seen: the cluster stores
//! objects in it, or a known object is written in it.

use crate::crd::Definition;
use crate::finding::{Finding, Level};
use crate::request::Door;
use crate::rule::{Case, Found, Need, Rule};
use crate::rules::{Redefined, redefined};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "served-version-withdrawn",
    level: Level::Warn,
    catches: "a version that objects or controllers still use no longer served",
    breaks: "clients and controllers that ask for the version get 404",
    doors: &[Door::Crd, Door::ReleaseRecord, Door::Preflight],
    needs: &[Need::Definitions, Need::LiveObjects],
    check,
};

fn check(case: &Case<'_>) -> Found {
    let findings = redefined(case)?.flat_map(|of| {
        let withdrawn = of
            .live
            .versions
            .iter()
            .filter(move |version| version.served && !of.new.serves(&version.name));
        withdrawn.filter_map(move |version| finding(case, of, &version.name))
    });
    Ok(findings.collect())
}

/// A version that is stored and gone altogether is `stored-version-dropped`'s.
fn finding(
    case: &Case<'_>,
    Redefined { object, new, live }: Redefined<'_>,
    version: &str,
) -> Option<Finding> {
    if live.stored.iter().any(|stored| stored == version) && !new.offers(version) {
        return None;
    }
    let user = user(case, live, version)?;
    let served = new
        .versions
        .iter()
        .filter(|one| one.served)
        .map(|one| one.name.as_str());
    let served: Vec<_> = served.collect();
    let message = format!("{version} is no longer served, but {user}");
    let remedy = match served.as_slice() {
        [] => "Serve one version at least".to_owned(),
        _ => format!(
            "Move what uses it to a version that stays served ({}) first",
            served.join(", ")
        ),
    };
    Some(Finding::about(object, "/spec/versions", message, remedy))
}

fn user(case: &Case<'_>, live: &Definition, version: &str) -> Option<String> {
    if live.storage() == Some(version) {
        return Some("the cluster's controllers store their objects in it".to_owned());
    }
    let api_version = format!("{}/{version}", live.group);
    let written = case
        .written()
        .map(|(new, _)| new)
        .chain(case.facts.objects());
    let users = written.filter(|one| one.api_version == api_version && one.kind == live.kind);
    users
        .min_by_key(|one| one.key())
        .map(|one| format!("{one} is written in it"))
}
