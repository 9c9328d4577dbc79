//! An immutable field that differs from the live object.
//!
//! Selector, roleRef and clusterIP: the apiserver refuses the object half-way through the apply.

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::object::{Body, Object};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "immutable-field-changed",
    level: Level::Enforce,
    catches: "a selector, roleRef or clusterIP that differs from the live object",
    breaks: "the apiserver refuses the object half-way through the apply, and remediation follows",
    when: Moment::Apply,
    doors: &[Door::ReleaseRecord, Door::Preflight, Door::PostRenderer],
    needs: &[Need::LiveObjects],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    Ok(case
        .rewritten()
        .filter_map(|(new, live)| finding(new, live))
        .collect())
}

fn finding(new: &Object, live: &Object) -> Option<Finding> {
    let (path, was, is) = difference(&new.body, &live.body)?;
    let message = format!("the cluster has {was} and the release {is}, but the field is immutable");
    let remedy = format!("Render {was}; the chart's values may have a setting for it");
    Some(Finding::about(new, path, message, remedy))
}

/// Compares immutable fields. A field absent from the manifest leaves the live object unchanged.
fn difference(new: &Body, live: &Body) -> Option<(&'static str, String, String)> {
    let (path, was, is) = match (new, live) {
        (Body::Workload(new), Body::Workload(live)) if !new.selector.is_empty() => (
            "/spec/selector/matchLabels",
            labels(&live.selector),
            labels(&new.selector),
        ),
        (Body::Binding(new), Body::Binding(live)) => {
            ("/roleRef", live.role.clone(), new.role.clone())
        }
        (Body::Service(new), Body::Service(live)) => {
            let (new, live) = (new.cluster_ip.as_ref(), live.cluster_ip.as_ref());
            (
                "/spec/clusterIP",
                live?.clone(),
                new.filter(|new| !new.is_empty())?.clone(),
            )
        }
        _ => return None,
    };
    (was != is).then_some((path, was, is))
}

fn labels(labels: &std::collections::BTreeMap<String, String>) -> String {
    let pairs = labels.iter().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::manifest::{Reading, read};

    /// The path of the immutable field that differs, with both values.
    fn told(head: &str, live: &str, new: &str) -> Option<(&'static str, String, String)> {
        let body = |rest: &str| {
            let text = format!("apiVersion: {head}\nmetadata: {{name: a}}\n{rest}\n");
            read(&text, Reading::default())
                .unwrap()
                .into_iter()
                .next()
                .unwrap()
                .body
        };
        difference(&body(new), &body(live))
    }

    #[test]
    fn selector_role_and_address_are_compared_and_what_is_left_out_is_not() {
        let selector = |app: &str| format!("spec: {{selector: {{matchLabels: {{app: {app}}}}}}}");
        let role = |name: &str| format!("roleRef: {{kind: ClusterRole, name: {name}}}");
        let address = |ip: &str| format!("spec: {{clusterIP: {ip}}}");
        let binding = "rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding";
        for (head, path, live, new) in [
            (
                "apps/v1\nkind: Deployment",
                "/spec/selector/matchLabels",
                selector("a"),
                selector("b"),
            ),
            (binding, "/roleRef", role("a"), role("b")),
            (
                "v1\nkind: Service",
                "/spec/clusterIP",
                address("10.0.0.1"),
                address("None"),
            ),
        ] {
            assert_eq!(told(head, &live, &new).unwrap().0, path);
            assert_eq!(told(head, &live, &live), None);
        }
        for new in ["spec: {}", "spec: {clusterIP: ''}"] {
            assert_eq!(told("v1\nkind: Service", &address("10.0.0.1"), new), None);
        }
        assert_eq!(
            told("apps/v1\nkind: Deployment", &selector("a"), "spec: {}"),
            None
        );
    }
}
