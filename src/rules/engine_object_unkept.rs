//! An engine object in a release without `helm.sh/resource-policy: keep`.
//!
//! Helm's uninstall reads the annotation from the stored manifest. Without the annotation there,
//! every remediation and every `helm uninstall` deletes the object.

use crate::case::finding::{Finding, Level};
use crate::case::fix::Edit;
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Rule, RuleResult};
use crate::helm::RESOURCE_POLICY;
use crate::helm::post_renderer::addition;
use crate::object::{List, Object};
use crate::repository::Repository;
use crate::repository::release::{Brings, EngineRelease};
use crate::yaml::documents;
use crate::yaml::edit::edit;
use crate::yaml::spans::json;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "engine-object-unkept",
    level: Level::Warn,
    catches: "a Flux object in a release without `helm.sh/resource-policy: keep`",
    breaks: "an uninstall of the release, by hand or by remediation, deletes the object",
    when: Moment::Later,
    doors: &[Door::ReleaseRecord, Door::PostRenderer, Door::Check],
    needs: &[],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    if let Some(repository) = case.repository() {
        return Ok(committed(repository));
    }
    let written = case.engine_written().map(|(_, new, _)| new);
    Ok(written
        .filter(|object| !object.is_hook() && !object.is_kept())
        .map(finding)
        .collect())
}

/// The HelmReleases of a repository that bring Flux and do not write the annotation.
fn committed(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for one in repository.flux_releases() {
        let release = one.resource.helm_release();
        let is_inert = release.is_suspended() || release.is_remote();
        if one.brings != Brings::Flux || is_inert || release.keeps_everything() {
            continue;
        }
        let object = one.text.object(one.resource, "/spec");
        let message = format!(
            "no post-renderer writes {RESOURCE_POLICY}: keep, so that uninstalling the release deletes Flux"
        );
        let remedy = format!(
            "Add the post-renderer:\nfluxkeep-postrenderer hook --for '{}' --name '{}' --write",
            one.text.path, one.resource.name
        );
        let path = "/spec/postRenderers";
        let description = format!("Keep the objects of {}", one.resource.told());
        let finding = Finding::about(&object, path, message, remedy);
        findings.push(finding.with_fix(description, keeping(&one)));
    }
    findings
}

/// The edits that add the post-renderer to a HelmRelease that is a document of its own.
fn keeping(one: &EngineRelease<'_>) -> Vec<Edit> {
    let node = &one.resource.node;
    let is_root = one.text.nodes.iter().any(|root| root.span == node.span);
    let mut documents = documents(&one.text.text);
    let document = documents.find(|document| {
        let end = document.offset + document.text.len();
        (document.offset..end).contains(&node.span.start)
    });
    let (Some(document), Some(patch), true) = (document, addition(&json(node)), is_root) else {
        return Vec::new();
    };
    let splices = edit(&document, &patch).unwrap_or_default();
    let edits = splices.into_iter();
    edits
        .map(|splice| one.text.edit(splice.range, splice.text))
        .collect()
}

fn finding(object: &Object) -> Finding {
    let (message, remedy) = match &object.list {
        Some(list) => listed(list),
        None => alone(object.annotations.get(RESOURCE_POLICY)),
    };
    Finding::about(
        object,
        "/metadata/annotations/helm.sh~1resource-policy",
        message,
        remedy,
    )
}

fn alone(policy: Option<&String>) -> (String, String) {
    let state = match policy {
        Some(value) => format!("{RESOURCE_POLICY} is {value:?}"),
        None => format!("{RESOURCE_POLICY} is missing"),
    };
    (
        format!("{state}, so that uninstalling the release deletes it"),
        format!("Write {RESOURCE_POLICY}: keep on it with fluxkeep-postrenderer"),
    )
}

/// Helm's uninstall reads the annotations of a document, but not of a list's items.
fn listed(list: &List) -> (String, String) {
    let kind = &list.kind;
    let state = match &list.policy {
        Some(value) => format!("{RESOURCE_POLICY} of its {kind} is {value:?}"),
        None => format!("{RESOURCE_POLICY} is missing on its {kind}"),
    };
    let remedy = if list.takes_annotations() {
        format!("Write {RESOURCE_POLICY}: keep on the {kind} itself: Helm ignores it on items")
    } else {
        format!("Move it out of the {kind}, which has no annotations: Helm ignores those of items")
    };
    (
        format!("{state}, so that uninstalling the release deletes it"),
        remedy,
    )
}
