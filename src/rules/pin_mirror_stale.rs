//! A value that repeats a version and was left behind when that version moved.

use crate::case::finding::{Finding, Level, Related};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Rule, RuleResult};
use crate::repository::{LocalChart, Original, Pin, PinRole, Repository, Scale, includes};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "pin-mirror-stale",
    level: Level::Enforce,
    catches: "a value that repeats the version of Flux or of a chart that brings it, and names another",
    breaks: "people and tools read a version that is not installed, and a release may name a chart that is not there",
    when: Moment::Run,
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
        .filter(|pin| pin.counts && !pin.version.is_empty())
    {
        match &pin.of {
            Some(Original::Chart) => findings.extend(of_chart(repository, pin)),
            Some(Original::FluxOf(chart)) => findings.extend(of_flux(repository, pin, *chart)),
            Some(Original::VersionOf(chart)) => {
                findings.extend(of_version(repository, pin, *chart));
            }
            None => {}
        }
    }
    findings.extend(outputs(repository));
    Ok(findings)
}

/// Outputs that their generator would write anew. The cluster runs the output.
fn outputs(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for output in repository.pins.iter().filter(|pin| pin.counts) {
        let Some(generator) = repository.generator_of(output) else {
            continue;
        };
        let (Some(written), Some(pinned)) = (output.comes.only(), generator.comes.only()) else {
            continue;
        };
        if written == pinned {
            continue;
        }
        let message = format!(
            "{} holds Flux {written}, and {} writes Flux {pinned}",
            output.thing,
            generator.told()
        );
        let remedy = "Run the generator, and commit what it writes".to_owned();
        let finding = Finding::at(repository.place(output), message, remedy).at_most(Level::Warn);
        findings.push(finding.with_related(repository.related(&[generator])));
    }
    findings
}

/// A mirror of a pin of the chart `flux2`: any pin of its group, those in its folder first.
fn of_chart(repository: &Repository, pin: &Pin) -> Option<Finding> {
    let shares = |other: &&Pin| other.groups.iter().any(|group| pin.groups.contains(group));
    let is_chart = |other: &&Pin| {
        other.counts && other.role == PinRole::Installs && other.scale == Scale::Chart
    };
    let mut originals: Vec<&Pin> = repository
        .pins
        .iter()
        .filter(is_chart)
        .filter(shares)
        .collect();
    let folder = |one: &Pin| {
        repository
            .path(one)
            .rsplit_once('/')
            .map(|(folder, _)| folder.to_owned())
    };
    let own = folder(pin);
    originals.sort_by_key(|original| folder(original) != own);
    let beside = originals.first().is_some_and(|first| folder(first) == own);
    if beside {
        originals.retain(|original| folder(original) == own);
    }
    if originals.iter().any(|original| fits(pin, original)) {
        return None;
    }
    let original = originals.first()?;
    Some(stale(repository, pin, original))
}

fn fits(pin: &Pin, original: &Pin) -> bool {
    match pin.scale {
        Scale::Flux => original.flux().is_none() || pin.flux() == original.flux(),
        _ => includes(original.text(), pin.text()),
    }
}

fn of_flux(repository: &Repository, pin: &Pin, chart: usize) -> Option<Finding> {
    let original = repository.flux_of(chart)?;
    (!fits(pin, original)).then(|| stale(repository, pin, original))
}

fn stale(repository: &Repository, pin: &Pin, original: &Pin) -> Finding {
    let flux = original
        .flux()
        .map(|flux| format!(", which is Flux {flux}"));
    let message = format!(
        "{} repeats {}{}",
        pin.told(),
        original.told(),
        flux.unwrap_or_default()
    );
    let right = match pin.scale {
        Scale::Flux => original.flux().map(ToString::to_string).unwrap_or_default(),
        _ => original.text().to_owned(),
    };
    let finding = Finding::at(repository.place(pin), message, format!("Write {right}"));
    finding.with_related(repository.related(&[original]))
}

/// A place that names the version of a chart of this repository.
fn of_version(repository: &Repository, pin: &Pin, chart: usize) -> Option<Finding> {
    let chart: &LocalChart = repository.index.charts.get(chart)?;
    let version = chart.version.as_ref()?;
    if includes(pin.text(), &version.text) || pin.text().contains(['$', '{']) {
        return None;
    }
    let message = format!(
        "{}, and chart {} is at {}",
        pin.told(),
        chart.name,
        version.text
    );
    let finding = Finding::at(
        repository.place(pin),
        message,
        format!("Write {}", version.text),
    );
    let source = repository.texts.get(chart.file)?.place(version.span.start);
    let place = Related {
        message: format!("chart {} {}", chart.name, version.text),
        source,
    };
    Some(finding.with_related(vec![place]))
}
