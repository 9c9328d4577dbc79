//! The RBAC rights that a migration needs.

use serde_json::{Value, json};

use super::select::Chosen;

/// A ClusterRole for the migration of these CRDs. `lists` adds the right to find CRDs by their
/// group.
pub(super) fn role(chosen: &[Chosen], lists: bool) -> Value {
    let names: Vec<_> = chosen.iter().map(|chosen| &chosen.live.name).collect();
    let is_moved = |chosen: &&Chosen| {
        let plan = chosen.plan.as_ref().ok().and_then(Option::as_ref);
        plan.is_some_and(|plan| plan.moves_from.is_some())
    };
    let flagged: Vec<_> = chosen
        .iter()
        .filter(is_moved)
        .map(|chosen| &chosen.live.name)
        .collect();
    let on_crds = |resource: &str, names: &[&String], verb: &str| {
        json!({"apiGroups": ["apiextensions.k8s.io"], "resources": [resource],
            "resourceNames": names, "verbs": [verb]})
    };
    let mut rules = vec![
        on_crds("customresourcedefinitions", &names, "get"),
        on_crds("customresourcedefinitions/status", &names, "patch"),
    ];
    if lists {
        rules.push(
            json!({"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"],
            "verbs": ["list"]}),
        );
    }
    if !flagged.is_empty() {
        rules.push(on_crds("customresourcedefinitions", &flagged, "patch"));
    }
    for Chosen { live, .. } in chosen {
        rules.push(
            json!({"apiGroups": [live.definition.group], "resources": [live.definition.plural],
            "verbs": ["list", "patch"]}),
        );
    }
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "fluxkeep-migrate"}, "rules": rules})
}
