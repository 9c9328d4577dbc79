//! CEL in the dialect of admission: what the judge knows the engine by, as conditions.
//!
//! A condition that fails to evaluate refuses the request where the webhook fails closed. So
//! everything that may be absent is asked for by `has()` first, `request.namespace` only behind a
//! namespaced resource, and names are the object's: the request of a namespace's content has none.

use fluxkeep::engine::{AGGREGATED, Engine, GROUPS, Known, MEMBERS, Member};
use fluxkeep::object::PART_OF;

/// The object as it lives, on UPDATE and DELETE.
pub(super) const OLD: &str = "oldObject";
/// The object as it is written, on CREATE and UPDATE.
pub(super) const NEW: &str = "object";

/// A string literal.
pub(super) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'").replace('\n', r"\n"))
}

/// A list literal.
pub(super) fn list<T: AsRef<str>>(values: &[T]) -> String {
    let values: Vec<_> = values.iter().map(|value| text(value.as_ref())).collect();
    format!("[{}]", values.join(", "))
}

/// True where one is.
pub(super) fn any(conditions: impl IntoIterator<Item = String>) -> String {
    joined(conditions, " || ")
}

/// True where each is.
pub(super) fn all(conditions: impl IntoIterator<Item = String>) -> String {
    joined(conditions, " && ")
}

/// True where the condition is not.
pub(super) fn not(condition: &str) -> String {
    format!("!({condition})")
}

/// In parentheses, so that each stands by itself wherever it is put.
fn joined(conditions: impl IntoIterator<Item = String>, word: &str) -> String {
    let conditions: Vec<_> = conditions.into_iter().collect();
    match conditions.as_slice() {
        [only] => only.clone(),
        many => format!("({})", many.join(word)),
    }
}

/// Whether the request is about this resource.
pub(super) fn is_resource(resource: &str) -> String {
    format!("request.resource.resource == {}", text(resource))
}

/// Whether the request is about one of these resources.
pub(super) fn is_resource_in(resources: &[&str]) -> String {
    format!("request.resource.resource in {}", list(resources))
}

/// Whether the request comes from one of the engine's namespaces; only for what is namespaced.
pub(super) fn is_inside(engine: &Engine) -> String {
    format!("request.namespace in {}", list(&engine.namespaces))
}

/// Whether the object has this name or another of the list.
pub(super) fn is_named<T: AsRef<str>>(object: &str, names: &[T]) -> String {
    format!("{object}.metadata.name in {}", list(names))
}

/// Whether the object carries this annotation, whatever its value.
pub(super) fn is_annotated(object: &str, key: &str) -> String {
    let marks = format!("{object}.metadata.annotations");
    all([format!("has({marks})"), format!("{} in {marks}", text(key))])
}

/// Whether the object says of itself that it is part of Flux.
pub(super) fn is_labelled(object: &str) -> String {
    let (marks, key) = (format!("{object}.metadata.labels"), text(PART_OF));
    all([format!("has({marks})"), format!("{key} in {marks}"), format!("{marks}[{key}] == 'flux'")])
}

/// Whether a CRD is one of Flux's.
pub(super) fn is_flux_crd(object: &str) -> String {
    any(GROUPS.map(|group| format!("{object}.metadata.name.endsWith({})", text(&format!(".{group}")))))
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
    let inside = all([resources(|known| matches!(known, Known::Inside(_))), is_inside(engine)]);
    all([is_labelled(OLD), any([resources(|known| matches!(known, Known::ClusterWide(_))), inside])])
}

/// Whether a ClusterRole only lends Flux's resources to others; it carries no label.
pub(super) fn is_aggregated(object: &str) -> String {
    let starts = AGGREGATED.map(|start| format!("{object}.metadata.name.startsWith({})", text(start)));
    all([is_resource("clusterroles"), any(starts)])
}
