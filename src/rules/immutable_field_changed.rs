//! A field that can never change, differing from the live object.
//!
//! Selector, roleRef and clusterIP: the apiserver refuses the object half-way through the apply.

use crate::finding::{Finding, Level};
use crate::object::{Body, Object};
use crate::request::Door;
use crate::rule::{Case, Found, Rule};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "immutable-field-changed",
    level: Level::Enforce,
    catches: "selector, roleRef, clusterIP differing from the live object",
    breaks: "the apiserver refuses the object half-way through the apply, and remediation follows",
    doors: &[Door::ReleaseRecord, Door::Preflight, Door::PostRenderer],
    needs: &[],
    check,
};

fn check(case: &Case<'_>) -> Found {
    Ok(case.rewritten().filter_map(|(new, live)| finding(new, live)).collect())
}

fn finding(new: &Object, live: &Object) -> Option<Finding> {
    let (path, was, is) = difference(&new.body, &live.body)?;
    let message = format!("it is {was} in the cluster and {is} in the release; it can never change");
    let remedy = format!("Render {was} (the chart's values may have a setting for it)");
    Some(Finding::about(new, path, message, remedy))
}

/// What is left out of the manifest does not change the live object.
fn difference(new: &Body, live: &Body) -> Option<(&'static str, String, String)> {
    let (path, was, is) = match (new, live) {
        (Body::Workload(new), Body::Workload(live)) if !new.selector.is_empty() => {
            ("/spec/selector/matchLabels", labels(&live.selector), labels(&new.selector))
        }
        (Body::Binding(new), Body::Binding(live)) => ("/roleRef", live.clone(), new.clone()),
        (Body::Service(Some(new)), Body::Service(Some(live))) if !new.is_empty() => {
            ("/spec/clusterIP", live.clone(), new.clone())
        }
        _ => return None,
    };
    (was != is).then_some((path, was, is))
}

fn labels(labels: &std::collections::BTreeMap<String, String>) -> String {
    let pairs = labels.iter().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join(",")
}
