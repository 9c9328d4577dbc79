//! The rights that keeping the registration takes.

use fluxkeep::policy::Policy;
use k8s_openapi::api::rbac::v1::PolicyRule;

use super::manifest::kinds;
use super::references;

/// Each is authorised with the object's name: a watch by its field selector, a create because it is a
/// server-side apply.
const VERBS: [&str; 5] = ["get", "watch", "create", "patch", "delete"];

/// The rules of a ClusterRole, for the engine's namespaces of a policy.
///
/// Without names they would let their holder register a webhook for anything, Secrets first. The
/// apiserver lets nobody write a policy with a parameter who may not read every object of the
/// parameter's kind: the twin's is the engine's Namespace, which may excuse it.
#[must_use]
pub fn rights(policy: &Policy) -> Vec<PolicyRule> {
    let known = references(policy);
    let mut rules = Vec::new();
    for kind in kinds() {
        let of_kind = known.iter().filter(|reference| reference.resource == kind);
        let names = of_kind.map(|reference| reference.name.clone()).collect();
        rules.push(PolicyRule {
            resource_names: Some(names),
            ..rule(&kind.group, &kind.plural, &VERBS)
        });
    }
    rules.push(rule("", "namespaces", &["get"]));
    rules
}

/// One rule of a role.
pub(crate) fn rule(group: &str, resource: &str, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    }
}
