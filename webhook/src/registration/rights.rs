//! The rights that keeping the registration takes.

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::manifest::kinds;

const VERBS: [&str; 5] = ["get", "list", "create", "patch", "delete"];

/// The rules of a ClusterRole. The apiserver lets nobody write a policy with a parameter who may not
/// read every object of the parameter's kind: the twin's is the engine's Namespace, which may excuse it.
#[must_use]
pub fn rights() -> Vec<PolicyRule> {
    let written = kinds().map(|kind| rule(&kind.group, &kind.plural, &VERBS));
    written
        .into_iter()
        .chain([rule("", "namespaces", &["get"])])
        .collect()
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
