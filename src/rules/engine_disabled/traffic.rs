//! NetworkPolicies that together let no traffic to or from Flux's controllers.
//!
//! Policies only add up: a policy that denies all is harmless beside one that allows, as Flux's own
//! `allow-egress` does. So the policies of the namespace count together. Other rules, which allow some
//! addresses, are not judged: they may name the apiserver.

use crate::case::finding::{Finding, Level};
use crate::case::rule::Case;
use crate::flux::engine::CORE;
use crate::object::{Body, NetworkPolicy, Object, Traffic, Workload};

/// The core controllers that others call.
const CALLED: [&str; 2] = ["notification-controller", "source-controller"];

/// The traffic of a direction, as one policy restricts it.
type Direction = fn(&NetworkPolicy) -> Traffic;

/// The findings if a written policy leaves controllers without any traffic, in either direction. A
/// policy that denied the same before changes nothing. One command undoes it, so it only warns.
pub(super) fn cut(
    case: &Case<'_>,
    new: &Object,
    now: &NetworkPolicy,
    old: Option<&Object>,
) -> Vec<Finding> {
    let was = old.and_then(|old| policy(old));
    let near = near(case, new, now);
    let egress: Direction = |policy| policy.egress;
    let ingress: Direction = |policy| policy.ingress;
    let mut findings = Vec::new();
    for (direction, is_egress) in [(egress, true), (ingress, false)] {
        if direction(now) != Traffic::Denied {
            continue;
        }
        let mut cut = Vec::new();
        for (controller, pods) in controllers(case, new) {
            let is_concerned = is_egress || CALLED.contains(&controller.name.as_str());
            let did_deny = |was: &NetworkPolicy| {
                direction(was) == Traffic::Denied && was.selector.matches(&pods.labels)
            };
            if is_concerned && !was.is_some_and(did_deny) && is_cut(&near, now, pods, direction) {
                cut.push(controller.name.as_str());
            }
        }
        if !cut.is_empty() {
            findings.push(finding(new, &cut, is_egress));
        }
    }
    findings
}

fn policy(object: &Object) -> Option<&NetworkPolicy> {
    match &object.body {
        Body::NetworkPolicy(policy) => Some(policy),
        _ => None,
    }
}

/// The policies of the namespace once the written one is in force.
fn near<'a>(case: &Case<'a>, new: &Object, now: &'a NetworkPolicy) -> Vec<&'a NetworkPolicy> {
    let mut near = vec![now];
    for live in case.facts.objects() {
        let is_beside = live.namespace == new.namespace && live.name != new.name;
        near.extend(policy(live).filter(|_| is_beside));
    }
    near
}

/// The live core controllers in the policy's namespace.
fn controllers<'a>(case: &Case<'a>, new: &Object) -> Vec<(&'a Object, &'a Workload)> {
    let mut controllers = Vec::new();
    for live in case.facts.objects() {
        let is_core = live.namespace == new.namespace && CORE.contains(&live.name.as_str());
        if let Body::Workload(workload) = &live.body
            && is_core
        {
            controllers.push((live, workload));
        }
    }
    controllers
}

/// True if the written policy selects these pods, and no policy that selects them allows anything.
fn is_cut(
    near: &[&NetworkPolicy],
    now: &NetworkPolicy,
    pods: &Workload,
    direction: Direction,
) -> bool {
    let selects = |policy: &NetworkPolicy| policy.selector.matches(&pods.labels);
    let is_allowed = near
        .iter()
        .any(|policy| direction(policy) == Traffic::Limited && selects(policy));
    selects(now) && !is_allowed
}

fn finding(new: &Object, controllers: &[&str], is_egress: bool) -> Finding {
    let names = controllers.join(", ");
    let (message, path) = if is_egress {
        let message = format!("no policy would let Flux reach the apiserver: {names}");
        (message, "/spec/egress")
    } else {
        let message = format!("no policy would let Flux's controllers be reached: {names}");
        (message, "/spec/ingress")
    };
    let remedy = format!(
        "Keep Flux's NetworkPolicy allow-egress beside it, or leave out Flux's pods: \
         podSelector.matchExpressions: [{{key: app, operator: NotIn, values: [{}]}}]",
        CORE.join(", ")
    );
    Finding::about(new, path, message, remedy).at_most(Level::Warn)
}
