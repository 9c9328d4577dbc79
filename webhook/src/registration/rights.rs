//! The RBAC rights for keeping the registration.

use fluxkeep::case::policy::Policy;
use k8s_openapi::api::rbac::v1::PolicyRule;

use super::manifest::kinds;
use super::references;

/// RBAC checks all verbs against the object's name. A watch sends the name in its field selector, a
/// create by server-side apply in its path.
const VERBS: [&str; 5] = ["get", "watch", "create", "patch", "delete"];

/// The rules of a ClusterRole, for the engine's namespaces of a policy.
///
/// Without names, the rules would allow a webhook for anything, Secrets first. The apiserver
/// demands of a policy's writer the right to read all objects of its parameter's kind. The twin's
/// parameter is the engine's Namespace, for overrides.
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

/// A rule of a role.
pub(crate) fn rule(group: &str, resource: &str, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    }
}
