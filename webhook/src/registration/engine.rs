//! The marks of the engine, as CEL conditions.

use fluxkeep::flux::engine::{
    AGGREGATED, Engine, EngineKind, GROUPS, IdentifiedBy, MEMBERS, OPTIONAL, Part,
};
use fluxkeep::helm::HOOK;
use fluxkeep::object::PART_OF;

use super::cel::{
    NEW, OLD, all, any, is_annotated, is_named, is_resource, is_resource_in, list, not,
    starts_with, text,
};

/// The data by which gates tell the engine from everything else.
#[derive(Debug, Clone, Copy)]
pub struct Profile<'a> {
    /// The engine's definition: its namespaces and names.
    pub engine: &'a Engine,
    /// Helm releases that never fail closed, by name: fluxkeep's own, and others that bring the
    /// server back.
    pub releases: &'a [String],
    /// Facts about other Helm releases.
    pub known: &'a super::KnownReleases,
}

/// The engine's resources by group, in the order of `MEMBERS`.
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

/// True if the request's namespace is the engine's. Valid for namespaced resources only.
pub(super) fn is_inside(engine: &Engine) -> String {
    format!("request.namespace in {}", list(&engine.namespaces))
}

/// True if the object's label says that it is part of Flux.
pub(super) fn is_labelled(object: &str) -> String {
    let (marks, key) = (format!("{object}.metadata.labels"), text(PART_OF));
    all([
        format!("has({marks})"),
        format!("{key} in {marks}"),
        format!("{marks}[{key}] == 'flux'"),
    ])
}

/// True if a CRD belongs to one of Flux's API groups.
pub(super) fn is_flux_crd(object: &str) -> String {
    any(GROUPS.map(|group| {
        format!(
            "{object}.metadata.name.endsWith({})",
            text(&format!(".{group}"))
        )
    }))
}

/// True if the live object is part of the engine, by name, group or label. A label does not count
/// on a hook: Helm deletes hooks itself, and a refusal would fail the release.
pub(super) fn is_engine(engine: &Engine) -> String {
    is_engine_as(OLD, engine)
}

/// As [`is_engine`], for the given object: live or written.
pub(super) fn is_engine_as(object: &str, engine: &Engine) -> String {
    let mut lines = names(object, engine);
    lines.push(is_known_by_label(object, engine));
    lines.join(" ||\n")
}

/// True if only its label marks the live object as the engine's.
pub(super) fn is_known_by_label_alone(engine: &Engine) -> String {
    let named = names(OLD, engine).join(" ||\n");
    format!("{} &&\n{}", is_known_by_label(OLD, engine), not(&named))
}

/// A condition for each kind that is known by name or group; labels and annotations play no part.
fn names(object: &str, engine: &Engine) -> Vec<String> {
    let known = MEMBERS
        .iter()
        .filter_map(|member| is_known(object, member, engine));
    known.collect()
}

fn is_known(object: &str, member: &EngineKind, engine: &Engine) -> Option<String> {
    let known = match member.known {
        IdentifiedBy::Group => is_flux_crd(object),
        IdentifiedBy::Home => is_named(object, &engine.namespaces),
        IdentifiedBy::Inside([]) | IdentifiedBy::ClusterWide([]) => return None,
        IdentifiedBy::Inside(names) => all([is_inside(engine), is_named(object, names)]),
        IdentifiedBy::ClusterWide(names) => is_named(object, &engine.cluster_wide(names)),
    };
    Some(all([is_resource(member.resource), known]))
}

fn is_known_by_label(object: &str, engine: &Engine) -> String {
    let resources = |is: fn(&IdentifiedBy) -> bool| {
        let members = MEMBERS.iter().filter(|member| is(&member.known));
        is_resource_in(&members.map(|member| member.resource).collect::<Vec<_>>())
    };
    let inside = all([
        resources(|known| matches!(known, IdentifiedBy::Inside(_))),
        is_inside(engine),
    ]);
    all([
        is_labelled(object),
        any([
            resources(|known| matches!(known, IdentifiedBy::ClusterWide(_))),
            inside,
        ]),
        not(&is_annotated(object, HOOK)),
    ])
}

/// True for a ClusterRole that only aggregates Flux's rights for others. It carries no label.
pub(super) fn is_aggregated(object: &str) -> String {
    let starts =
        AGGREGATED.map(|start| format!("{object}.metadata.name.startsWith({})", text(start)));
    all([is_resource("clusterroles"), any(starts)])
}

/// True if Flux runs on without the live object, so that its deletion only warns.
pub(super) fn is_spare(engine: &Engine) -> String {
    let shields = |member: &&EngineKind| member.weight("") == Part::Shield;
    let shields = MEMBERS.iter().filter(shields);
    let shields: Vec<_> = shields.map(|member| member.resource).collect();
    any([
        is_optional(),
        is_resource_in(&shields),
        is_known_by_label_alone(engine),
    ])
}

/// True if the live object belongs to an optional controller.
fn is_optional() -> String {
    let optional = |member: &&EngineKind| {
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

/// True if an update removes the label or adds the hook annotation.
pub(super) fn is_loosened() -> String {
    let taken = all([
        is_labelled(OLD),
        not(&is_labelled(NEW)),
        not(&is_aggregated(OLD)),
    ]);
    any([taken, becomes_hook()])
}

/// True if Helm or helm-controller makes the request.
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

/// True if an update adds the hook annotation.
fn becomes_hook() -> String {
    all([is_annotated(NEW, HOOK), not(&is_annotated(OLD, HOOK))])
}
