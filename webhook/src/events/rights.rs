//! The rights that telling takes.

use fluxkeep::engine::MEMBERS;
use k8s_openapi::api::rbac::v1::PolicyRule;

use crate::registration::rule;

/// The rules of a ClusterRole: Events are written beside HelmReleases, wherever those are, and an object's
/// uid, by which `kubectl describe` finds what is told of it, is read by its name.
#[must_use]
pub fn rights() -> Vec<PolicyRule> {
    let told_of = MEMBERS
        .iter()
        .map(|member| rule(member.group, member.resource, &["get"]));
    let release = rule("helm.toolkit.fluxcd.io", "helmreleases", &["get"]);
    let events = rule("", "events", &["create", "patch"]);
    told_of.chain([release, events]).collect()
}
