//! Two places of a repository that would install different Flux releases on one cluster.
//!
//! The first release boots the node, the second is reconciled over it: the cluster goes up or down
//! while it is adopted, and the apiserver may refuse half of it. Two clusters may differ: that is
//! staging.

use semver::Version;

use crate::case::finding::{Finding, Level};
use crate::case::fix::Edit;
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::flux::catalogue::{Catalogue, FluxRelease};
use crate::repository::align::Deviation;
use crate::repository::comes::UnknownFlux;
use crate::repository::plan::Target;
use crate::repository::{Comes, Pin, PinRole, Repository, Scale, minor};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "pin-mismatch",
    level: Level::Enforce,
    catches: "two places in a repository that install different Flux releases on one cluster",
    breaks: "the cluster boots one Flux and is moved to another while it is adopted; downwards, the apiserver refuses CRDs half-way",
    when: Moment::Apply,
    doors: &[Door::Check],
    needs: &[Need::PinValue],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    let Some(repository) = case.repository() else {
        return Ok(Vec::new());
    };
    let catalogue = &case.engine().catalogue;
    let mut findings = Vec::new();
    for deviation in repository.deviations() {
        findings.extend(deviating(repository, &deviation, catalogue));
    }
    findings.extend(limited(repository));
    findings.extend(operators(repository));
    findings.extend(clients(repository));
    Ok(findings)
}

fn deviating(
    repository: &Repository,
    deviation: &Deviation<'_>,
    catalogue: &Catalogue,
) -> Option<Finding> {
    let (first, rest) = deviation.pins.split_first()?;
    let anchor = deviation.anchors.first()?;
    let (found, expected) = (&deviation.found, &deviation.expected);
    let groups = repository.of_groups(&deviation.groups);
    let brings = if deviation.at_boot { "boots" } else { "brings" };
    let mut message = format!(
        "{} comes to Flux {found}{groups}, and {} {brings} Flux {expected}",
        first.told(),
        anchor.told(),
    );
    message += &consequence(deviation, &repository.names(&deviation.groups), catalogue);
    let mut others = rest.to_vec();
    others.extend(&deviation.anchors);
    let level = if deviation.is_staged {
        Level::Warn
    } else {
        Level::Enforce
    };
    let finding = Finding::at(
        repository.place(first),
        message,
        remedy(deviation, catalogue),
    );
    let newest = found.max(expected);
    let edits = aligned(repository, deviation, newest, catalogue);
    Some(
        finding
            .with_related(repository.related(&others))
            .with_fix(format!("Move every pin to Flux {newest}"), edits)
            .with_value(format!("Flux {found}"))
            .at_most(level),
    )
}

/// The edits that move a group's pins to a release. None if some are left to a person.
fn aligned(
    repository: &Repository,
    deviation: &Deviation<'_>,
    newest: &Version,
    catalogue: &Catalogue,
) -> Vec<Edit> {
    let [group] = deviation.groups.as_slice() else {
        return Vec::new();
    };
    let name = repository
        .groups
        .get(*group)
        .map(|group| group.name.as_str());
    let Ok(plan) = repository.plan(&Target::of(newest), name, catalogue) else {
        return Vec::new();
    };
    if !plan.left.is_empty() {
        return Vec::new();
    }
    let mut edits = Vec::new();
    for (file, splices) in plan.edits {
        let Some(text) = repository.texts.get(file) else {
            continue;
        };
        let splices = splices.into_iter();
        edits.extend(splices.map(|splice| text.edit(splice.range, splice.text)));
    }
    edits
}

fn consequence(deviation: &Deviation<'_>, groups: &[&str], catalogue: &Catalogue) -> String {
    let (found, expected) = (&deviation.found, &deviation.expected);
    if deviation.is_staged {
        let way = if found < expected { "down" } else { "up" };
        return format!(
            "; if this boots cluster {}, it goes {way} from {expected} to {found}",
            groups.join(", ")
        );
    }
    if found > expected {
        return if deviation.at_boot {
            "; the first reconcile upgrades while it adopts".to_owned()
        } else {
            "; the last one to be applied wins".to_owned()
        };
    }
    let refused = catalogue.lost(expected, found);
    let start = if deviation.at_boot {
        "; the first reconcile goes down"
    } else {
        "; the last one to be applied wins"
    };
    if refused.is_empty() {
        return start.to_owned();
    }
    format!(
        "{start}, and the apiserver refuses {} of Flux {found}",
        refused.join(", ")
    )
}

fn remedy(deviation: &Deviation<'_>, catalogue: &Catalogue) -> String {
    let newest = deviation.found.clone().max(deviation.expected.clone());
    let pins = deviation.pins.iter().chain(&deviation.anchors);
    let mut behind = pins.filter(|pin| pin.flux() != Some(&newest));
    let needs_chart = behind.any(|pin| matches!(pin.scale, Scale::Chart | Scale::Local(_)));
    let chart = catalogue
        .release(&newest)
        .and_then(|release: &FluxRelease| release.charts.last());
    let hint = match (needs_chart, chart) {
        (false, _) => String::new(),
        (true, Some(chart)) => format!("; chart flux2 {chart} brings it"),
        (true, None) => format!("; no chart flux2 that is known brings Flux {newest}"),
    };
    format!("Name Flux {newest} in every place{hint}")
}

/// FluxInstances whose operator or artifact holds no Flux of their minor.
fn limited(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let instances = repository
        .pins
        .iter()
        .filter(|pin| pin.scale == Scale::Instance && pin.installs_flux());
    for instance in instances {
        let Some((operator, held)) = repository.limit_of(instance) else {
            continue;
        };
        let is_beyond = match &instance.comes {
            Comes::One(wanted) => minor(wanted) > minor(held),
            Comes::Unknown(UnknownFlux::BeyondOperator { .. }) => true,
            _ => false,
        };
        if !is_beyond {
            continue;
        }
        let message = format!(
            "{} cannot come up: {} holds Flux up to {held}",
            instance.told(),
            operator.told(),
        );
        let remedy = "Raise flux-operator, or name a Flux release that it holds".to_owned();
        let finding = Finding::at(repository.place(instance), message, remedy);
        findings.push(finding.with_related(repository.related(&[operator])));
    }
    findings
}

/// Parts of flux-operator at different minors in one group.
fn operators(repository: &Repository) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for group in 0..repository.groups.len() {
        let parts: Vec<(&Pin, Version)> = repository
            .of_group(group)
            .filter(|pin| pin.installs_operator())
            .filter_map(|pin| Some((pin, crate::repository::comes::exact(pin.text())?)))
            .collect();
        let newest = parts.iter().max_by(|left, right| left.1.cmp(&right.1));
        let Some((newest, version)) = newest else {
            continue;
        };
        for (pin, own) in parts.iter().filter(|(_, own)| minor(own) != minor(version)) {
            let twin = parts
                .iter()
                .filter(|(other, of)| other.thing == pin.thing && minor(of) != minor(own));
            let twin = twin
                .max_by(|left, right| left.1.cmp(&right.1))
                .map(|(twin, _)| *twin);
            let level = if twin.is_some() {
                Level::Enforce
            } else {
                Level::Warn
            };
            let other = twin.unwrap_or(newest);
            let groups = repository.of_groups(&[group]);
            let message = format!(
                "{} and {} differ by minors{groups}: the operator goes back and forth",
                pin.told(),
                other.told(),
            );
            let remedy = format!("Name {} in both places", other.text());
            let finding = Finding::at(repository.place(pin), message, remedy).at_most(level);
            let finding = finding.with_related(repository.related(&[other]));
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    findings
}

/// Programs `flux` of another minor than every engine of their groups.
fn clients(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for client in repository
        .pins
        .iter()
        .filter(|pin| pin.counts && pin.role == PinRole::Client)
    {
        let Some(own) = client.comes.only() else {
            continue;
        };
        let shares = |pin: &&Pin| pin.groups.iter().any(|group| client.groups.contains(group));
        let engines: Vec<&Pin> = repository
            .pins
            .iter()
            .filter(|pin| pin.installs_flux())
            .filter(shares)
            .collect();
        if engines.is_empty() || engines.iter().any(|engine| may_be(engine, own)) {
            continue;
        }
        let engine = engines.iter().filter_map(|engine| engine.flux()).max();
        let engine = engine.map(ToString::to_string).unwrap_or_default();
        let message = format!(
            "{} is of another minor than the cluster's Flux {engine}",
            client.told()
        );
        let remedy = format!("Name a version of the minor of {engine}");
        let finding = Finding::at(repository.place(client), message, remedy).at_most(Level::Warn);
        findings.push(finding.with_related(repository.related(&engines)));
    }
    findings
}

/// True if an engine may be of the minor of this release, or is not known.
fn may_be(engine: &Pin, release: &Version) -> bool {
    match &engine.comes {
        Comes::One(own) => minor(own) == minor(release),
        Comes::Range { releases, .. } => releases.iter().any(|own| minor(own) == minor(release)),
        Comes::Floating { .. } | Comes::Unknown(_) => true,
    }
}
