//! A version that clients may still use and that is no longer served.
//!
//! A request for that version then gets 404. Clients themselves are not visible. Two signs suggest
//! that clients exist: the version is the storage version now, or a known object is written in it.
//! A version without either sign passes in silence.

use crate::crd::Definition;
use crate::finding::{Finding, Level};
use crate::request::Door;
use crate::rule::{Case, Found, Moment, Need, Rule};
use crate::rules::{Redefined, redefined};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "served-version-withdrawn",
    level: Level::Warn,
    catches: "a version that clients may still ask for no longer served",
    breaks: "clients and controllers that ask for the version get 404",
    when: Moment::Run,
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

/// `stored-version-dropped` covers a stored version that is gone altogether.
fn finding(
    case: &Case<'_>,
    Redefined { object, new, live }: Redefined<'_>,
    version: &str,
) -> Option<Finding> {
    if live.held().any(|stored| stored == version) && !new.offers(version) {
        return None;
    }
    let sign = sign(case, live, version)?;
    let served = new
        .versions
        .iter()
        .filter(|one| one.served)
        .map(|one| one.name.as_str());
    let served: Vec<_> = served.collect();
    let message = format!(
        "{version} is no longer served: clients that ask for it get 404 from then on ({sign})"
    );
    let remedy = match served.as_slice() {
        [] => "Serve one version at least".to_owned(),
        _ => format!(
            "First move the manifests and clients that name it to a version that stays served ({})",
            served.join(", ")
        ),
    };
    let finding = Finding::about(object, "/spec/versions", message, remedy);
    Some(finding.with_value(version.to_owned()))
}

/// Says why a client may ask for the version.
fn sign(case: &Case<'_>, live: &Definition, version: &str) -> Option<String> {
    let api_version = format!("{}/{version}", live.group);
    let written = case
        .written()
        .map(|(new, _)| new)
        .chain(case.facts.objects());
    let users = written.filter(|one| one.api_version == api_version && one.kind == live.kind);
    let user = users.min_by_key(|one| one.key());
    if let Some(one) = user {
        return Some(format!("{one} is written in it"));
    }
    (live.storage() == Some(version)).then(|| "it is the storage version now".to_owned())
}
