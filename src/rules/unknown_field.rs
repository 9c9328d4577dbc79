//! A field that the pinned Flux does not have.
//!
//! Server-side apply, and with it kustomize-controller, refuses an object with a field that its CRD
//! does not declare. A field that no known release has passes: it may be newer than this fluxkeep.

use std::collections::BTreeMap;

use crate::case::finding::{Finding, Level, Related};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::flux::catalogue::fields::{Lack, lacking};
use crate::flux::catalogue::{Catalogue, Offer};
use crate::object::SourceLocation;
use crate::repository::Repository;
use crate::repository::objects::{FluxObject, PinnedEngine};
use crate::yaml::spans::field;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "unknown-field",
    level: Level::Enforce,
    catches: "a field of a Flux object that the cluster's Flux does not have yet, or has no more",
    breaks: "the apiserver refuses the object, and with it the Kustomization that applies it",
    when: Moment::Apply,
    doors: &[Door::Check],
    needs: &[Need::FluxOrder],
    check,
};

/// A field that engines lack, and the objects that have it.
struct Unknown<'a> {
    objects: Vec<(FluxObject<'a>, SourceLocation)>,
    engines: Vec<PinnedEngine<'a>>,
    lack: Lack,
    level: Level,
}

fn check(case: &Case<'_>) -> RuleResult {
    let Some(repository) = case.repository() else {
        return Ok(Vec::new());
    };
    let catalogue = &case.engine().catalogue;
    let mut found: BTreeMap<(String, String, &str, Vec<usize>), Unknown<'_>> = BTreeMap::new();
    for object in repository.flux_objects() {
        for (path, place, engines, lack) in unknown(&object, catalogue) {
            let is_certain = engines.len() == object.engines.len()
                && engines.iter().any(|engine| engine.is_fixed);
            let level = if is_certain {
                Level::Enforce
            } else {
                Level::Warn
            };
            let groups = engines.iter().map(|engine| engine.group).collect();
            let resource = object.resource;
            let key = (
                resource.api_version.clone(),
                resource.kind.clone(),
                path,
                groups,
            );
            let unknown = found.entry(key).or_insert(Unknown {
                objects: Vec::new(),
                engines,
                lack,
                level,
            });
            unknown.objects.push((object.clone(), place));
        }
    }
    let findings = found.iter();
    Ok(findings
        .filter_map(|((_, _, path, _), unknown)| finding(repository, path, unknown))
        .collect())
}

type UnknownField<'a> = (&'static str, SourceLocation, Vec<PinnedEngine<'a>>, Lack);

/// The fields of an object that an engine lacks: the first place of each.
fn unknown<'a>(object: &FluxObject<'a>, catalogue: &Catalogue) -> Vec<UnknownField<'a>> {
    let resource = object.resource;
    let Some((_, version)) = resource.api_version.split_once('/') else {
        return Vec::new();
    };
    let mut fields: BTreeMap<&'static str, UnknownField<'a>> = BTreeMap::new();
    for engine in &object.engines {
        let crds = catalogue
            .release(engine.release)
            .map_or(&[][..], |one| one.crds.as_slice());
        let serves = |offer: &&Offer| {
            let group = offer.name.split_once('.').map(|(_, group)| group);
            let mut versions = offer.versions.iter();
            offer.kind == resource.kind
                && group == Some(resource.group.as_str())
                && versions.any(|one| one.served && one.name == version)
        };
        // `served-version-withdrawn` covers a version that the engine does not serve.
        let Some(offer) = crds.iter().find(serves) else {
            continue;
        };
        for (path, lack) in lacking(&offer.name, version, engine.release) {
            let Some(key) = field(&resource.node, path) else {
                continue;
            };
            let place = object.text.range(&key.span);
            let known = fields
                .entry(path)
                .or_insert((path, place, Vec::new(), lack));
            known.2.push(*engine);
        }
    }
    fields.into_values().collect()
}

fn finding(repository: &Repository, path: &str, unknown: &Unknown<'_>) -> Option<Finding> {
    let ((first, place), others) = unknown.objects.split_first()?;
    let engine = unknown.engines.first()?;
    let resource = first.resource;
    let groups: Vec<usize> = unknown.engines.iter().map(|engine| engine.group).collect();
    let groups = repository.of_groups(&groups);
    let why = match &unknown.lack {
        Lack::Later(since) => format!("it is there since Flux {since}"),
        Lack::Dropped(until) => format!("Flux {until} dropped it"),
        Lack::OtherVersion => format!("{} does not have it", resource.api_version),
    };
    let more = match others.len() {
        0 => String::new(),
        more => format!("; {more} more objects have it"),
    };
    let message = format!(
        "Flux {}{groups} has no field {path} in {}: {why}{more}",
        engine.release, resource.kind
    );
    let remedy = match &unknown.lack {
        Lack::Later(since) => format!("Take it out, or raise Flux to {since} or newer"),
        Lack::Dropped(_) | Lack::OtherVersion => "Take it out".to_owned(),
    };
    let mut object = first.text.object(resource, "");
    object.source = Some(place.clone());
    let mut related: Vec<Related> = others
        .iter()
        .map(|(other, source)| Related {
            message: other.resource.told(),
            source: source.clone(),
        })
        .collect();
    related.extend(repository.related_engines(&unknown.engines));
    let pointer = format!("/{}", path.replace("[]", "/0").replace('.', "/"));
    let finding = Finding::about(&object, &pointer, message, remedy);
    Some(finding.with_related(related).at_most(unknown.level))
}
