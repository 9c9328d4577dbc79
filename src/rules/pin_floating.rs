//! A pin that may come to another Flux release tomorrow, without a commit.

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Rule, RuleResult};
use crate::repository::{Comes, Pin, PinRole, Product, Repository, Scale, spans_minors};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "pin-floating",
    level: Level::Enforce,
    catches: "a range, a branch or `latest` where a cluster's Flux is pinned",
    breaks: "the cluster gets a Flux that no commit names, beside another place that names its own",
    when: Moment::Later,
    doors: &[Door::Check],
    needs: &[],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    let Some(repository) = case.repository() else {
        return Ok(Vec::new());
    };
    let mut findings = Vec::new();
    for pin in repository
        .pins
        .iter()
        .filter(|pin| pin.counts && !pin.text().is_empty())
    {
        let Some(level) = level(repository, pin) else {
            continue;
        };
        let today = pin
            .flux()
            .map(|flux| format!(": today it comes to Flux {flux}"));
        let groups = repository.of_groups(&pin.groups);
        let message = format!("{} floats{groups}{}", pin.told(), today.unwrap_or_default());
        let other = peer(repository, pin).filter(|other| other.flux() != pin.flux());
        let message = match other.and_then(|other| Some((other, other.flux()?))) {
            Some((other, flux)) => {
                format!("{message}, which is not Flux {flux} of {}", other.told())
            }
            None => message,
        };
        let remedy = "Name one version".to_owned();
        findings.push(Finding::at(repository.place(pin), message, remedy).at_most(level));
    }
    Ok(findings)
}

/// The weight of a pin without one version. `None` for a pin with one.
pub(super) fn level(repository: &Repository, pin: &Pin) -> Option<Level> {
    // A tag is fixed, even if several releases have it.
    if matches!(pin.scale, Scale::Controller(_)) && pin.role == PinRole::Installs {
        return None;
    }
    let releases = match &pin.comes {
        Comes::One(_) | Comes::Unknown(_) => return None,
        Comes::Range { releases, .. } => releases.as_slice(),
        Comes::Floating { .. } => &[],
    };
    let is_floating = matches!(pin.comes, Comes::Floating { .. });
    let is_light = pin.role != PinRole::Installs
        || pin.product() == Product::FluxOperator
        || pin.scale == Scale::Instance
        || releases.len() == 1;
    if is_light {
        return Some(Level::Audit);
    }
    let spans = is_floating || spans_minors(releases);
    if is_floating && repository.is_boot(pin) && pin.scale == Scale::Flux {
        return Some(Level::Enforce);
    }
    let has_peer = peer(repository, pin).is_some();
    Some(if spans && has_peer {
        Level::Enforce
    } else {
        Level::Warn
    })
}

/// Another pin that installs Flux in a group of this one.
fn peer<'a>(repository: &'a Repository, pin: &Pin) -> Option<&'a Pin> {
    let shares = |other: &&Pin| other.groups.iter().any(|group| pin.groups.contains(group));
    let mut others = repository
        .pins
        .iter()
        .filter(|other| other.installs_flux())
        .filter(shares);
    others.find(|other| (other.file, &other.span) != (pin.file, &pin.span))
}
