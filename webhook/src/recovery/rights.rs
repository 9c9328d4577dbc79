//! The RBAC rights for keeping recovery points.

use fluxkeep::flux::engine::MEMBERS;
use fluxkeep::recovery::store::names;
use k8s_openapi::api::rbac::v1::PolicyRule;

use crate::registration::rule;

/// The rights to read the engine's objects whole, and the Namespace `kube-system`, whose uid tells
/// clusters apart.
#[must_use]
pub fn engine_rights() -> Vec<PolicyRule> {
    let members = MEMBERS.iter();
    members
        .map(|member| rule(member.group, member.resource, &["get"]))
        .collect()
}

/// The rights on the ConfigMaps of one engine, in the server's own namespace. Server-side apply
/// creates an object by its name, so no right on other ConfigMaps is needed.
#[must_use]
pub fn store_rights(namespace: &str) -> PolicyRule {
    PolicyRule {
        resource_names: Some(names(namespace)),
        ..rule("", "configmaps", &["get", "create", "patch"])
    }
}
