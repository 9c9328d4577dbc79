//! The RBAC rights for following a cluster, derived from the collections.

use std::collections::BTreeMap;

use fluxkeep::case::rule::Rule;
use k8s_openapi::api::rbac::v1::PolicyRule;

use crate::collections::{Collection, ObjectScope, needed};

/// The verbs on each collection. `get` is absent, since nothing is read by name.
const VERBS: [&str; 2] = ["list", "watch"];

/// The rules of a ClusterRole, for collections that are not limited to the engine's namespaces.
#[must_use]
pub fn cluster_rules(rules: &[&Rule]) -> Vec<PolicyRule> {
    policy(needed(rules).filter(|collection| collection.scope != ObjectScope::Engine))
}

/// The rules of a Role in each of the engine's namespaces.
#[must_use]
pub fn engine_rules(rules: &[&Rule]) -> Vec<PolicyRule> {
    policy(needed(rules).filter(|collection| collection.scope == ObjectScope::Engine))
}

/// One rule per API group.
fn policy(collections: impl Iterator<Item = Collection>) -> Vec<PolicyRule> {
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for collection in collections {
        groups
            .entry(collection.group)
            .or_default()
            .push(collection.resource.to_owned());
    }
    let rule = |(group, resources): (&str, Vec<String>)| PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(resources),
        verbs: VERBS.map(str::to_owned).to_vec(),
        ..PolicyRule::default()
    };
    groups.into_iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fluxkeep::rules::{RULES, find};

    fn written(rules: &[PolicyRule]) -> Vec<String> {
        let list = |texts: &Option<Vec<String>>| texts.clone().unwrap_or_default().join(",");
        rules
            .iter()
            .map(|rule| format!("{}/{}", list(&rule.api_groups), list(&rule.resources)))
            .collect()
    }

    #[test]
    fn the_rights_are_those_for_what_the_rules_need_and_no_other() {
        let expected = [
            "/namespaces",
            "apiextensions.k8s.io/customresourcedefinitions",
            "fluxcd.controlplane.io/fluxinstances",
            "helm.toolkit.fluxcd.io/helmreleases",
            "rbac.authorization.k8s.io/clusterroles,clusterrolebindings",
        ];
        assert_eq!(written(&cluster_rules(&RULES)), expected);
        let expected = [
            "/serviceaccounts,services,resourcequotas",
            "apps/deployments",
            "kustomize.toolkit.fluxcd.io/kustomizations",
            "networking.k8s.io/networkpolicies",
            "rbac.authorization.k8s.io/roles,rolebindings",
            "source.toolkit.fluxcd.io/buckets,gitrepositories,helmrepositories,ocirepositories",
        ];
        assert_eq!(written(&engine_rules(&RULES)), expected);
        let storage = [find("stored-version-dropped").unwrap()];
        assert_eq!(
            written(&cluster_rules(&storage)),
            ["apiextensions.k8s.io/customresourcedefinitions"]
        );
        assert!(engine_rules(&storage).is_empty());
    }

    #[test]
    fn all_that_is_read_is_listed_and_watched_and_nothing_is_written() {
        let rules = [cluster_rules(&RULES), engine_rules(&RULES)].concat();
        assert!(
            rules
                .iter()
                .all(|rule| rule.verbs == VERBS && rule.resource_names.is_none())
        );
        let granted: Vec<_> = rules
            .iter()
            .filter_map(|rule| rule.resources.clone())
            .flatten()
            .collect();
        for collection in needed(&RULES) {
            assert!(
                granted.contains(&collection.resource.to_owned()),
                "{}",
                collection.resource
            );
        }
        assert_eq!(granted.len(), needed(&RULES).count());
    }
}
