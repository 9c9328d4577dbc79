//! What the judge knows the engine by, as conditions.

use fluxkeep::engine::{AGGREGATED, Engine, GROUPS, Known, MEMBERS, Member, OPTIONAL, Part};
use fluxkeep::helm::HOOK;
use fluxkeep::object::PART_OF;

use super::cel::{
    NEW, OLD, all, any, is_annotated, is_named, is_resource, is_resource_in, list, not,
    starts_with, text,
};

/// By what gates tell the engine from everything else.
#[derive(Debug, Clone, Copy)]
pub struct Profile<'a> {
    /// By what the engine is known.
    pub engine: &'a Engine,
    /// The Helm release that fluxkeep itself is installed by. It never fails closed: it is what
    /// brings the server back.
    pub release: Option<&'a str>,
}

/// The engine's resources, by group in the table's order.
pub(super) fn members() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for member in &MEMBERS {
        match groups.iter_mut().find(|(group, _)| *group == member.group) {
            Some((_, resources)) => resources.push(member.resource),
            None => groups.push((member.group, vec![member.resource])),
        }
    }
    groups
}

/// Whether the request comes from one of the engine's namespaces; only for what is namespaced.
pub(super) fn is_inside(engine: &Engine) -> String {
    format!("request.namespace in {}", list(&engine.namespaces))
}

/// Whether the object says of itself that it is part of Flux.
pub(super) fn is_labelled(object: &str) -> String {
    let (marks, key) = (format!("{object}.metadata.labels"), text(PART_OF));
    all([
        format!("has({marks})"),
        format!("{key} in {marks}"),
        format!("{marks}[{key}] == 'flux'"),
    ])
}

/// Whether a CRD is one of Flux's.
pub(super) fn is_flux_crd(object: &str) -> String {
    any(GROUPS.map(|group| {
        format!(
            "{object}.metadata.name.endsWith({})",
            text(&format!(".{group}"))
        )
    }))
}

/// Whether the object as it lives is a part of the engine: by what its kind is known, or by its label.
pub(super) fn is_engine(engine: &Engine) -> String {
    let known = MEMBERS.iter().filter_map(|member| is_known(member, engine));
    let lines: Vec<_> = known.chain([is_known_by_label(engine)]).collect();
    lines.join(" ||\n")
}

fn is_known(member: &Member, engine: &Engine) -> Option<String> {
    let known = match member.known {
        Known::Group => is_flux_crd(OLD),
        Known::Home => is_named(OLD, &engine.namespaces),
        Known::Inside([]) | Known::ClusterWide([]) => return None,
        Known::Inside(names) => all([is_inside(engine), is_named(OLD, names)]),
        Known::ClusterWide(names) => is_named(OLD, &engine.cluster_wide(names)),
    };
    Some(all([is_resource(member.resource), known]))
}

fn is_known_by_label(engine: &Engine) -> String {
    let resources = |is: fn(&Known) -> bool| {
        let members = MEMBERS.iter().filter(|member| is(&member.known));
        is_resource_in(&members.map(|member| member.resource).collect::<Vec<_>>())
    };
    let inside = all([
        resources(|known| matches!(known, Known::Inside(_))),
        is_inside(engine),
    ]);
    all([
        is_labelled(OLD),
        any([
            resources(|known| matches!(known, Known::ClusterWide(_))),
            inside,
        ]),
    ])
}

/// Whether a ClusterRole only lends Flux's resources to others; it carries no label.
pub(super) fn is_aggregated(object: &str) -> String {
    let starts =
        AGGREGATED.map(|start| format!("{object}.metadata.name.startsWith({})", text(start)));
    all([is_resource("clusterroles"), any(starts)])
}

/// Helm creates and removes hooks on its own; refusing that fails the release.
pub(super) fn not_a_hook() -> (&'static str, String) {
    ("not-a-hook", not(&is_annotated(OLD, HOOK)))
}

/// What an optional controller consists of: its deletion warns.
pub(super) fn is_optional() -> String {
    let optional = |member: &&Member| {
        OPTIONAL
            .iter()
            .all(|name| member.weight(name) == Part::Optional)
    };
    let resources: Vec<_> = MEMBERS
        .iter()
        .filter(optional)
        .map(|member| member.resource)
        .collect();
    all([
        is_resource_in(&resources),
        any(OPTIONAL.map(|name| starts_with(OLD, name))),
    ])
}

/// The label taken off, or the mark of a hook put on.
pub(super) fn is_loosened() -> String {
    let taken = all([
        is_labelled(OLD),
        not(&is_labelled(NEW)),
        not(&is_aggregated(OLD)),
    ]);
    any([taken, becomes_hook()])
}

/// Helm or helm-controller writes.
pub(super) fn is_helm() -> String {
    let manager = "request.options.fieldManager";
    let named = all([
        format!("has(request.options) && has({manager})"),
        format!("{manager}.startsWith('helm')"),
    ]);
    any([
        "request.userInfo.username.endsWith(':helm-controller')".to_owned(),
        named,
    ])
}

/// The mark of a hook put on.
pub(super) fn becomes_hook() -> String {
    all([is_annotated(NEW, HOOK), not(&is_annotated(OLD, HOOK))])
}
