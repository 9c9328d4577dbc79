//! A CRD of Flux that its controllers can no longer read through the apiserver.

use std::collections::BTreeMap;

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::Case;
use crate::crd::{Conditions, Definition, Schema, Version};
use crate::flux::engine::{self, Part};
use crate::object::Object;

/// The findings for every CRD of Flux that is written over a live one.
pub(super) fn unreadable(case: &Case<'_>) -> Vec<Finding> {
    // Looked up once: a release may write thousands of CRDs.
    let (running, _) = case.facts.controllers(case.engine());
    let mut findings = Vec::new();
    for (new, live) in case.rewritten() {
        let is_flux = case.engine().part(live) == Some(Part::Definition);
        let Some((now, was)) = new.definition().zip(live.definition()) else {
            continue;
        };
        if is_flux {
            findings.extend(unserved(case, &running, new, now, was));
            findings.extend(stripped(case, &running, new, now, was));
            findings.extend(converted(case, new, now, was));
        }
    }
    findings
}

/// The storage version, which stays that and is no longer served. Flux's controllers ask for the
/// version that their release stores. A release that moves the storage version brings controllers
/// that ask for the new one.
fn unserved(
    case: &Case<'_>,
    running: &[&str],
    object: &Object,
    now: &Definition,
    was: &Definition,
) -> Option<Finding> {
    let version = now.storage()?;
    if was.storage() != Some(version) || !was.serves(version) || now.serves(version) {
        return None;
    }
    let place = now.place(version)?;
    let message = format!(
        "{version} would no longer be served: Flux's controllers request it, get 404 and stop"
    );
    let remedy = format!("Keep served: true on {version}");
    let path = format!("/spec/versions/{place}/served");
    let finding = Finding::about(object, &path, message, remedy);
    let level = level(case, running, now);
    Some(finding.with_value(version.to_owned()).at_most(level))
}

/// The finding for a status of a CRD of Flux by which the apiserver stops serving the objects. The
/// apiserver itself writes these conditions, and writes none back that somebody else takes away.
pub(super) fn unestablished(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if case.request.writer.is_apiserver() {
        return findings;
    }
    let (running, _) = case.facts.controllers(case.engine());
    for (new, live) in case.rewritten() {
        let is_flux = case.engine().part(live) == Some(Part::Definition);
        let Some((now, was)) = new.definition().zip(live.definition()) else {
            continue;
        };
        for change in hidden(now.conditions, was.conditions)
            .into_iter()
            .filter(|_| is_flux)
        {
            let Hidden {
                condition,
                status,
                effect,
            } = change;
            let message = format!("condition {condition} would be {status}: {effect}");
            let remedy =
                format!("Leave status.conditions to the apiserver, which sets {condition} itself");
            let finding = Finding::about(new, "/status/conditions", message, remedy);
            let finding = finding.with_value(condition.to_owned());
            findings.push(finding.at_most(level(case, &running, was)));
        }
    }
    findings
}

/// A changed condition by which the apiserver stops serving objects.
struct Hidden {
    condition: &'static str,
    status: &'static str,
    effect: &'static str,
}

fn hidden(now: Conditions, was: Conditions) -> Vec<Hidden> {
    let mut hidden = Vec::new();
    let unserved = "Flux's controllers get 404 for every object of the kind and stop";
    for (condition, now, was) in [
        ("Established", now.established, was.established),
        ("NamesAccepted", now.names_accepted, was.names_accepted),
    ] {
        if was && !now {
            hidden.push(Hidden {
                condition,
                status: "no longer True",
                effect: unserved,
            });
        }
    }
    if now.terminating && !was.terminating {
        hidden.push(Hidden {
            condition: "Terminating",
            status: "True",
            effect: "the apiserver refuses each new object of the kind",
        });
    }
    hidden
}

/// Enforced unless Helm is half-way through a release, or no core controller asks for the CRD.
fn level(case: &Case<'_>, running: &[&str], now: &Definition) -> Level {
    let is_half_way = case.request.door == Door::Crd && case.request.writer.is_helm();
    if is_half_way || !is_in_use(running, &now.group) {
        Level::Warn
    } else {
        Level::Enforce
    }
}

/// A version that loses its schema's fields or the status subresource. Only a direct write is
/// judged: Flux's releases and skeletons in tests differ in it.
fn stripped(
    case: &Case<'_>,
    running: &[&str],
    object: &Object,
    now: &Definition,
    was: &Definition,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if case.request.door != Door::Crd {
        return findings;
    }
    let level = level(case, running, now);
    // Looked up by name: a walk over the old versions for each new one would cost their product.
    let olds = was.versions.iter().map(|old| (old.name.as_str(), old));
    let olds: BTreeMap<&str, &Version> = olds.collect();
    for (place, version) in now.versions.iter().enumerate() {
        let Some(old) = olds.get(version.name.as_str()) else {
            continue;
        };
        let name = &version.name;
        let lost = old.schema.lost(version.schema);
        if !lost.is_empty() {
            let message = if version.schema == Schema::Empty {
                format!(
                    "the schema of {name} would name no field: the apiserver drops the spec of each object that it \
                     reads or writes as {name}"
                )
            } else {
                let lost = lost.join(" and ");
                format!(
                    "the schema of {name} would no longer name {lost}: the apiserver drops the {lost} of each object \
                     that it reads or writes as {name}"
                )
            };
            let path = format!("/spec/versions/{place}/schema");
            let remedy = "Leave the schema in it";
            findings.push(Finding::about(object, &path, message, remedy.to_owned()).at_most(level));
        }
        if old.status && !version.status && version.storage {
            let message = format!(
                "{name} would have no subresource status: Flux's controllers get 404 for each status that they write"
            );
            let path = format!("/spec/versions/{place}/subresources");
            let remedy = format!("Leave subresources: {{status: {{}}}} on {name}");
            findings.push(Finding::about(object, &path, message, remedy).at_most(level));
        }
    }
    findings
}

/// False if the group is that of an optional controller, or of one that does not run beside others.
fn is_in_use(running: &[&str], group: &str) -> bool {
    let first = group.split('.').next().unwrap_or_default();
    let controller = format!("{first}-controller");
    engine::CORE.contains(&controller.as_str())
        && (running.is_empty() || running.contains(&controller.as_str()))
}

/// A conversion webhook on a CRD of Flux, which has none. It warns: the change is undone with one
/// command. A release's is `crd-invalid`'s.
fn converted(
    case: &Case<'_>,
    object: &Object,
    now: &Definition,
    was: &Definition,
) -> Option<Finding> {
    let is_new = calls_webhook(now) && !calls_webhook(was);
    let has_several = now.versions.iter().filter(|one| is_known(one)).count() > 1;
    if case.request.door != Door::Crd || !is_new || !has_several {
        return None;
    }
    let message =
        "a webhook would convert its objects, but Flux brings none: unless the webhook answers, \
                   every request in a version other than the stored one fails"
            .to_owned();
    let remedy = "Keep spec.conversion.strategy: None".to_owned();
    let finding = Finding::about(object, "/spec/conversion", message, remedy);
    Some(finding.at_most(Level::Warn))
}

fn is_known(version: &Version) -> bool {
    version.served || version.storage
}

fn calls_webhook(definition: &Definition) -> bool {
    let conversion = definition.conversion.as_deref();
    conversion.is_some_and(|conversion| conversion.strategy.as_deref() == Some("Webhook"))
}
