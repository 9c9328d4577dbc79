//! The RBAC rights for writing Events.

use fluxkeep::flux::engine::MEMBERS;
use k8s_openapi::api::rbac::v1::PolicyRule;

use crate::registration::rule;

/// The rules of a ClusterRole. Events are written in any namespace, beside the applier of Flux.
/// Reading objects by name gives their uid, by which `kubectl describe` finds Events.
#[must_use]
pub fn rights() -> Vec<PolicyRule> {
    let told_of = MEMBERS
        .iter()
        .map(|member| rule(member.group, member.resource, &["get"]));
    let appliers = [
        ("helm.toolkit.fluxcd.io", "helmreleases"),
        ("fluxcd.controlplane.io", "fluxinstances"),
        ("kustomize.toolkit.fluxcd.io", "kustomizations"),
    ];
    let appliers = appliers.map(|(group, resource)| rule(group, resource, &["get"]));
    let events = rule("", "events", &["create", "patch"]);
    told_of.chain(appliers).chain([events]).collect()
}
