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
    /// The Helm releases that never fail closed, by name: the one that fluxkeep itself is installed by, and
    /// others that bring the server back.
    pub releases: &'a [String],
    /// What is known of other Helm releases.
    pub known: &'a super::Known,
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

/// Whether the object as it lives is a part of the engine: by name or group, or by its label where it
/// is no hook. Helm creates and removes hooks on its own; refusing that fails the release.
pub(super) fn is_engine(engine: &Engine) -> String {
    is_engine_as(OLD, engine)
}

/// As [`is_engine`], of the object as it lives or as it is written.
pub(super) fn is_engine_as(object: &str, engine: &Engine) -> String {
    let mut lines = names(object, engine);
    lines.push(is_known_by_label(object, engine));
    lines.join(" ||\n")
}

/// Whether the object as it lives is known by its label alone, and no longer guarded without it.
pub(super) fn is_known_by_label_alone(engine: &Engine) -> String {
    let named = names(OLD, engine).join(" ||\n");
    format!("{} &&\n{}", is_known_by_label(OLD, engine), not(&named))
}

/// By what each kind's objects are known by name or group, which no label and no mark changes.
fn names(object: &str, engine: &Engine) -> Vec<String> {
    let known = MEMBERS
        .iter()
        .filter_map(|member| is_known(object, member, engine));
    known.collect()
}

fn is_known(object: &str, member: &Member, engine: &Engine) -> Option<String> {
    let known = match member.known {
        Known::Group => is_flux_crd(object),
        Known::Home => is_named(object, &engine.namespaces),
        Known::Inside([]) | Known::ClusterWide([]) => return None,
        Known::Inside(names) => all([is_inside(engine), is_named(object, names)]),
        Known::ClusterWide(names) => is_named(object, &engine.cluster_wide(names)),
    };
    Some(all([is_resource(member.resource), known]))
}

fn is_known_by_label(object: &str, engine: &Engine) -> String {
    let resources = |is: fn(&Known) -> bool| {
        let members = MEMBERS.iter().filter(|member| is(&member.known));
        is_resource_in(&members.map(|member| member.resource).collect::<Vec<_>>())
    };
    let inside = all([
        resources(|known| matches!(known, Known::Inside(_))),
        is_inside(engine),
    ]);
    all([
        is_labelled(object),
        any([
            resources(|known| matches!(known, Known::ClusterWide(_))),
            inside,
        ]),
        not(&is_annotated(object, HOOK)),
    ])
}

/// Whether a ClusterRole only lends Flux's resources to others; it carries no label.
pub(super) fn is_aggregated(object: &str) -> String {
    let starts =
        AGGREGATED.map(|start| format!("{object}.metadata.name.startsWith({})", text(start)));
    all([is_resource("clusterroles"), any(starts)])
}

/// Whether Flux runs on without an object of it, so that its deletion warns.
pub(super) fn is_spare(engine: &Engine) -> String {
    let shields = |member: &&Member| member.weight("") == Part::Shield;
    let shields = MEMBERS.iter().filter(shields);
    let shields: Vec<_> = shields.map(|member| member.resource).collect();
    any([
        is_optional(),
        is_resource_in(&shields),
        is_known_by_label_alone(engine),
    ])
}

/// What an optional controller consists of.
fn is_optional() -> String {
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
fn becomes_hook() -> String {
    all([is_annotated(NEW, HOOK), not(&is_annotated(OLD, HOOK))])
}
