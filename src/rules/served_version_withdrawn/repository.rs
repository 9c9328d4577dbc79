//! Flux objects of a repository whose version the pinned Flux does not serve.

use std::collections::BTreeMap;

use crate::case::finding::{Finding, Level, Related};
use crate::case::fix::Edit;
use crate::crd::kube_version::compare;
use crate::flux::catalogue::fields::lacking;
use crate::flux::catalogue::{Catalogue, FluxRelease, Offer};
use crate::repository::objects::{FluxObject, PinnedEngine};
use crate::repository::{Repository, minor};
use crate::yaml::spans::field;

/// Objects of one version and kind, which the same engines do not serve.
struct Unserved<'a> {
    objects: Vec<FluxObject<'a>>,
    engines: Vec<PinnedEngine<'a>>,
    /// The versions that the first of the engines serves, oldest first; empty without the kind.
    served: Vec<String>,
    level: Level,
}

/// The objects that the pinned Flux does not serve, a finding for each version and kind.
pub(super) fn unserved(repository: &Repository, catalogue: &Catalogue) -> Vec<Finding> {
    let mut found: BTreeMap<(String, String, Vec<usize>), Unserved<'_>> = BTreeMap::new();
    for object in repository.flux_objects() {
        let Some((engines, served)) = refusing(&object, catalogue) else {
            continue;
        };
        let is_certain =
            engines.len() == object.engines.len() && engines.iter().any(|engine| engine.is_fixed);
        let level = if is_certain {
            Level::Enforce
        } else {
            Level::Warn
        };
        let groups = engines.iter().map(|engine| engine.group).collect();
        let resource = object.resource;
        let key = (resource.api_version.clone(), resource.kind.clone(), groups);
        let unserved = found.entry(key).or_insert(Unserved {
            objects: Vec::new(),
            engines,
            served,
            level,
        });
        unserved.objects.push(object);
    }
    let findings = found.values();
    findings
        .filter_map(|unserved| finding(repository, catalogue, unserved))
        .collect()
}

/// The engines that do not serve an object's version, and what the first of them serves.
fn refusing<'a>(
    object: &FluxObject<'a>,
    catalogue: &Catalogue,
) -> Option<(Vec<PinnedEngine<'a>>, Vec<String>)> {
    let mut engines = Vec::new();
    let mut first = None;
    for engine in &object.engines {
        let Some(release) = catalogue.release(engine.release) else {
            continue;
        };
        let served = served(object, release, catalogue)?;
        let (_, version) = object.resource.api_version.split_once('/')?;
        if !served.iter().any(|one| one == version) {
            engines.push(*engine);
            first = first.or(Some(served));
        }
    }
    first.map(|served| (engines, served))
}

/// The versions of an object's kind that a release serves, oldest first. `None` for a kind that no
/// release has.
fn served(
    object: &FluxObject<'_>,
    release: &FluxRelease,
    catalogue: &Catalogue,
) -> Option<Vec<String>> {
    let mut releases = catalogue.releases().iter();
    if !releases.any(|one| offer(object, one).is_some()) {
        return None;
    }
    let offer = offer(object, release);
    let versions = offer.map_or(&[][..], |offer| offer.versions.as_slice());
    let served = versions.iter().filter(|version| version.served);
    let mut served: Vec<String> = served.map(|version| version.name.clone()).collect();
    served.sort_by(|left, right| compare(left, right));
    Some(served)
}

fn finding(
    repository: &Repository,
    catalogue: &Catalogue,
    unserved: &Unserved<'_>,
) -> Option<Finding> {
    let (first, others) = unserved.objects.split_first()?;
    let engine = unserved.engines.first()?;
    let resource = first.resource;
    let groups: Vec<usize> = unserved.engines.iter().map(|engine| engine.group).collect();
    let groups = repository.of_groups(&groups);
    let today = if engine.is_fixed { "" } else { " today" };
    let more = match others.len() {
        0 => String::new(),
        more => format!(", here and in {more} more objects"),
    };
    let newest = unserved.served.last();
    let serves = match newest {
        None => format!("has no {}", resource.kind),
        Some(_) => format!("does not serve (it serves {})", unserved.served.join(", ")),
    };
    let which = if newest.is_some() {
        ", which "
    } else {
        ", but "
    };
    let message = format!(
        "{} is written in {}{which}Flux {}{groups}{today} {serves}{more}",
        resource.kind, resource.api_version, engine.release
    );
    let object = first.text.object(resource, "/apiVersion");
    let finding = Finding::about(
        &object,
        "/apiVersion",
        message,
        remedy(catalogue, first, engine, newest),
    );
    let mut related: Vec<Related> = others
        .iter()
        .filter_map(|other| {
            let source = other.text.object(other.resource, "/apiVersion").source?;
            let message = other.resource.told();
            Some(Related { message, source })
        })
        .collect();
    related.extend(repository.related_engines(&unserved.engines));
    let edits = newest.map_or(Vec::new(), |newest| rewritten(catalogue, unserved, newest));
    let description = format!(
        "Write {}/{}",
        resource.group,
        newest.map_or("", String::as_str)
    );
    Some(
        finding
            .with_related(related)
            .with_fix(description, edits)
            .with_value(resource.api_version.clone())
            .at_most(unserved.level),
    )
}

/// The edits that write objects of an older version in the newest served one, if it has every field
/// of theirs.
fn rewritten(catalogue: &Catalogue, unserved: &Unserved<'_>, newest: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    for object in &unserved.objects {
        let resource = object.resource;
        let version = resource.node.get("apiVersion");
        let written = resource
            .api_version
            .split_once('/')
            .map(|(_, version)| version);
        let is_older = written.is_some_and(|written| compare(written, newest).is_lt());
        let mut engines = object.engines.iter();
        let fits = engines.all(|engine| {
            let release = catalogue.release(engine.release);
            let offer = release.and_then(|release| offer(object, release));
            offer.is_some_and(|offer| {
                let mut versions = offer.versions.iter();
                let serves = versions.any(|one| one.served && one.name == newest);
                let mut lacking = lacking(&offer.name, newest, engine.release).into_iter();
                serves && lacking.all(|(path, _)| field(&resource.node, path).is_none())
            })
        });
        if let (true, true, Some(node)) = (is_older, fits, version) {
            let text = format!("{}/{newest}", resource.group);
            edits.push(object.text.edit(node.inner(), text));
        }
    }
    edits
}

/// The CRD of an object's kind in a release.
fn offer<'a>(object: &FluxObject<'_>, release: &'a FluxRelease) -> Option<&'a Offer> {
    release.crds.iter().find(|offer| is_kind(object, offer))
}

fn is_kind(object: &FluxObject<'_>, offer: &Offer) -> bool {
    let group = offer.name.split_once('.').map(|(_, group)| group);
    offer.kind == object.resource.kind && group == Some(object.resource.group.as_str())
}

fn remedy(
    catalogue: &Catalogue,
    object: &FluxObject<'_>,
    engine: &PinnedEngine<'_>,
    newest: Option<&String>,
) -> String {
    let resource = object.resource;
    let version = resource
        .api_version
        .split_once('/')
        .map_or("", |(_, version)| version);
    if let Some(newest) = newest.filter(|newest| compare(version, newest).is_lt()) {
        let (major, minor) = minor(engine.release);
        return format!(
            "Write {}/{newest}:\nflux migrate -f . -v {major}.{minor}",
            resource.group
        );
    }
    let serves = |release: &&FluxRelease| {
        let served = served(object, release, catalogue).unwrap_or_default();
        served.iter().any(|one| one == version)
    };
    let first = catalogue.releases().iter().find(serves);
    let later = first.filter(|release| release.version > *engine.release);
    let raise = later.map(|release| format!("Raise Flux to {} or newer", release.version));
    let lower = newest.map(|newest| format!("write {}/{newest}", resource.group));
    match (raise, lower) {
        (Some(raise), Some(lower)) => format!("{raise}, or {lower}"),
        (Some(raise), None) => raise,
        (None, Some(lower)) => format!("Here, {lower}"),
        (None, None) => format!("Take the {} out", resource.kind),
    }
}
