//! Losses of rights of the engine's controllers, as CEL conditions.

use fluxkeep::flux::engine::Engine;
use fluxkeep::rules::engine_rights_lost::CORE_GROUPS;

use super::cel::{NEW, OLD, all, any, is_resource_in, list, not};

/// True if a binding loses a ServiceAccount of the engine's namespaces or their group, or a role loses an API
/// group of Flux. Additions do not count.
pub(super) fn loses_rights(engine: &Engine) -> String {
    any([unbinds(engine), empties()])
}

fn unbinds(engine: &Engine) -> String {
    let same = "now.kind == was.kind && now.name == was.name";
    let in_same = "has(now.namespace) && now.namespace == was.namespace";
    let stays = exists(
        &format!("{NEW}.subjects"),
        "now",
        &format!("{same} && (was.kind == 'Group' || {in_same})"),
    );
    let account = "was.kind == 'ServiceAccount' && has(was.namespace)";
    let home = format!("was.namespace in {}", list(&engine.namespaces));
    let group = format!(
        "was.kind == 'Group' && was.name in {}",
        list(&groups(engine))
    );
    let gone = exists(
        &format!("{OLD}.subjects"),
        "was",
        &format!("({account} && {home} || {group}) && {}", not(&stays)),
    );
    all([
        is_resource_in(&["clusterrolebindings", "rolebindings"]),
        gone,
    ])
}

/// The groups of the engine's ServiceAccounts.
fn groups(engine: &Engine) -> Vec<String> {
    let homes = engine.namespaces.iter();
    let mut groups: Vec<String> = homes
        .map(|home| format!("system:serviceaccounts:{home}"))
        .collect();
    groups.extend(["system:serviceaccounts", "system:authenticated"].map(str::to_owned));
    groups
}

fn empties() -> String {
    let covers = |object: &str| {
        let rule = "has(rule.apiGroups) && (group in rule.apiGroups || '*' in rule.apiGroups)";
        exists(&format!("{object}.rules"), "rule", rule)
    };
    let gone = format!(
        "{}.exists(group, {} && {})",
        list(&CORE_GROUPS),
        covers(OLD),
        not(&covers(NEW))
    );
    all([is_resource_in(&["clusterroles", "roles"]), gone])
}

/// True if an item of a list meets a condition; false if the list is absent or null.
fn exists(list: &str, item: &str, condition: &str) -> String {
    format!("(has({list}) && {list} != null && {list}.exists({item}, {condition}))")
}
