//! A CRD that no longer offers a version in which objects may be stored.
//!
//! The apiserver refuses exactly this (`status.storedVersions[0]: Invalid value`), but at the moment
//! of the apply: Helm is then half-way through, and the release's remediation follows.

use crate::catalogue::{Catalogue, Release};
use crate::crd::{Definition, dropped};
use crate::finding::{Finding, Level};
use crate::kube_version::compare;
use crate::object::Object;
use crate::request::Door;
use crate::rule::{Case, Found, Need, Rule};
use crate::rules::{Redefined, redefined};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "stored-version-dropped",
    level: Level::Enforce,
    catches: "a CRD that no longer offers a version in `status.storedVersions`",
    breaks: "the apiserver refuses the CRD half-way through the apply, and remediation follows",
    doors: &[
        Door::ReleaseRecord,
        Door::Crd,
        Door::Preflight,
        Door::PostRenderer,
    ],
    needs: &[Need::Definitions, Need::LiveObjects],
    check,
};

fn check(case: &Case<'_>) -> Found {
    let catalogue = &case.engine().catalogue;
    Ok(redefined(case)?
        .filter_map(|of| finding(of, catalogue))
        .collect())
}

fn finding(
    Redefined { object, new, live }: Redefined<'_>,
    catalogue: &Catalogue,
) -> Option<Finding> {
    let missing: Vec<_> = dropped(&live.stored, new).collect();
    let first = missing.first()?;
    let message = format!(
        "the cluster holds objects stored as {}, which the new definition no longer offers (it offers {})",
        missing.join(", "),
        new.offered()
    );
    let older = new
        .versions
        .iter()
        .all(|offer| compare(&offer.name, first).is_lt());
    let remedy = if older {
        stay(first)
    } else {
        migrate(object, new, live, &missing, catalogue)
    };
    Some(Finding::about(
        object,
        "/status/storedVersions",
        message,
        remedy,
    ))
}

fn stay(version: &str) -> String {
    format!("Install a release whose definition offers {version}: not older than what runs now")
}

/// The way that Kubernetes documents: rewrite the objects, then prune the status.
fn migrate(
    object: &Object,
    new: &Definition,
    live: &Definition,
    missing: &[&str],
    catalogue: &Catalogue,
) -> String {
    let kind = format!("{}.{}", live.plural, live.group);
    let target = live.storage().filter(|storage| !missing.contains(storage));
    let Some(target) = target.or_else(|| new.storage().filter(|storage| live.offers(storage)))
    else {
        return step(object, new, missing, catalogue);
    };
    format!(
        "Rewrite the objects as {target} and prune the status, then try again: \
         kubectl get {kind} -A -o json | kubectl replace -f - && kubectl patch crd {} \
         --subresource=status --type=merge -p '{{\"status\":{{\"storedVersions\":[\"{target}\"]}}}}'",
        object.name
    )
}

/// No version is on both sides, so a release between has to offer both.
fn step(object: &Object, new: &Definition, missing: &[&str], catalogue: &Catalogue) -> String {
    let bridges = |release: &&Release| {
        let offers = |version: &str| {
            release
                .crd(&object.name)
                .is_some_and(|crd| crd.definition().offers(version))
        };
        new.storage().is_some_and(offers) && missing.iter().all(|version| offers(version))
    };
    let (versions, storage) = (missing.join(", "), new.storage().unwrap_or("the new one"));
    match catalogue.releases().iter().rfind(bridges) {
        Some(release) => {
            format!(
                "Install Flux {} first, which offers {versions} and {storage}, and migrate there",
                release.version
            )
        }
        None => format!(
            "Install a release between that offers {versions} and {storage} first, and migrate there"
        ),
    }
}
