//! Losses of rights of the engine's controllers, as CEL conditions.

use fluxkeep::flux::engine::{CORE, Engine};
use fluxkeep::flux::needs::{Needed, rights};
use fluxkeep::object::UNNAMED;

use super::KnownReleases;
use super::cel::{NEW, OLD, all, any, is_named, is_resource, is_resource_in, items, list, not};

/// True if a binding loses a ServiceAccount of the engine's namespaces or their group, or a role a
/// right that a controller uses. Additions do not count.
pub(super) fn loses_rights(engine: &Engine) -> String {
    any([unbinds(engine), narrows(|_| true)])
}

/// As [`loses_rights`], of the rights without which a core controller stops.
pub(super) fn loses_vital_rights(engine: &Engine) -> String {
    let is_core = |needed: &Needed| needed.controllers.iter().any(|name| CORE.contains(name));
    any([
        unbinds(engine),
        narrows(|needed| needed.is_vital && is_core(needed)),
    ])
}

/// True for the ClusterRole by which helm-controller and kustomize-controller usually apply anything,
/// and for those to which Flux's bindings refer.
pub(super) fn is_bound_role(known: &KnownReleases) -> String {
    let mut names = vec!["cluster-admin".to_owned()];
    names.extend(
        known
            .roles
            .iter()
            .filter(|name| *name != "cluster-admin")
            .cloned(),
    );
    all([is_resource("clusterroles"), is_named(OLD, &names)])
}

fn unbinds(engine: &Engine) -> String {
    let gone = format!(
        "{}.exists(was, {} && !(was in {}))",
        subjects(OLD),
        is_engines(engine),
        subjects(NEW)
    );
    all([
        "request.operation == 'UPDATE'".to_owned(),
        is_resource_in(&["clusterrolebindings", "rolebindings"]),
        gone,
    ])
}

/// The subjects of a binding. A ServiceAccount has the name of its user, so both spellings are the
/// same; a group has a prefix, which no other subject has.
fn subjects(object: &str) -> String {
    let user =
        "'system:serviceaccount:' + (has(one.namespace) ? one.namespace : '') + ':' + one.name";
    let other = "one.kind == 'Group' ? 'group ' + one.name : one.name";
    let name = format!("one.kind == 'ServiceAccount' ? {user} : {other}");
    format!("{}.map(one, {name})", items(&format!("{object}.subjects")))
}

/// True if a subject is an account of the engine's namespaces, or a group with all of them.
fn is_engines(engine: &Engine) -> String {
    let mut groups = vec![
        "group system:serviceaccounts".to_owned(),
        "group system:authenticated".to_owned(),
    ];
    let mut accounts = Vec::new();
    for home in &engine.namespaces {
        groups.push(format!("group system:serviceaccounts:{home}"));
        accounts.push(format!("system:serviceaccount:{home}:"));
    }
    any([
        format!("{}.exists(home, was.startsWith(home))", list(&accounts)),
        format!("was in {}", list(&groups)),
    ])
}

/// True if a role loses one of these rights.
fn narrows(is_meant: impl Fn(&Needed) -> bool) -> String {
    let meant = rights().iter().filter(|needed| is_meant(needed));
    let rights: Vec<String> = meant
        .map(|needed| {
            let right = &needed.right;
            list(&[right.group, &right.resource, right.verb])
        })
        .collect();
    let gone = format!(
        "[{}].exists(need, {} && {})",
        rights.join(", "),
        grants(OLD),
        not(&grants(NEW))
    );
    // A deletion has no new object.
    let is_deleted = "request.operation == 'DELETE'";
    let kept = all([not(&format!("has({NEW}.aggregationRule)")), gone]);
    let lost = format!("[{}].exists(need, {})", rights.join(", "), grants(OLD));
    all([
        is_resource_in(&["clusterroles", "roles"]),
        format!("({is_deleted} ? {lost} : {kept})"),
    ])
}

/// True if a role grants the right `need`. A rule limited to some names grants nothing on whole
/// collections.
fn grants(object: &str) -> String {
    let holds = |field: &str, index: u8| {
        format!("has(rule.{field}) && (need[{index}] in rule.{field} || '*' in rule.{field})")
    };
    let status = "need[1].endsWith('/status') && '*/status' in rule.resources";
    let resources = format!(
        "({} || has(rule.resources) && {status})",
        holds("resources", 1)
    );
    let named = "has(rule.resourceNames) && size(rule.resourceNames) > 0";
    let limited = format!("{named} && need[2] in {}", list(&UNNAMED));
    let rule = all([
        holds("apiGroups", 0),
        resources,
        holds("verbs", 2),
        not(&limited),
    ]);
    format!("{}.exists(rule, {rule})", items(&format!("{object}.rules")))
}
