//! Changes that stop a controller of the engine or lower its version, as CEL conditions.
//!
//! Restarts, limits, arguments and autoscalers are not sent. Only changes that may be refused fail
//! closed. Upgrades are none of these, so they continue while the server is down.

use fluxkeep::flux::engine::{CONTROLLERS, CORE, Engine};
use fluxkeep::rules::engine_disabled::{SERVICES, STOPPING};

use super::cel::{NEW, OLD, all, any, is_named, is_resource, items, list, not, optional, text};
use super::engine::is_inside;

/// True for a change in which the rule may find something.
pub(super) fn disables(engine: &Engine) -> String {
    let deployment = all([
        is_deployment(),
        is_named(OLD, &CONTROLLERS),
        has_pods(),
        any([changes_images(), stops(), is_paused(), changes_place()]),
    ]);
    let scale = all([is_scale(), is_named(OLD, &CORE), scales_to_zero()]);
    let service = all([
        is_resource("services"),
        is_named(OLD, &SERVICES),
        any([redirects(), leads_away()]),
    ]);
    let updated = all([
        "request.operation == 'UPDATE'".to_owned(),
        any([deployment, scale, service]),
    ]);
    all([
        is_inside(engine),
        any([updated, forbids_pods(), denies_traffic()]),
    ])
}

/// True for a change that the rule may refuse: an older image, or a lost controller container.
pub(super) fn takes_down() -> String {
    all([is_deployment(), has_pods(), any([looks_older(), is_gone()])])
}

/// True if a CRD's status takes away a condition by which its objects are served, or ends the CRD.
pub(super) fn is_hidden() -> String {
    let is = |object: &str, name: &str| {
        let conditions = items(&format!("{object}.status.conditions"));
        let named = format!("one.type == {} && one.status == 'True'", text(name));
        format!("(has({object}.status) && {conditions}.exists(one, {named}))")
    };
    let lost = |name: &str| all([is(OLD, name), not(&is(NEW, name))]);
    let gained = |name: &str| all([is(NEW, name), not(&is(OLD, name))]);
    any([
        lost("Established"),
        lost("NamesAccepted"),
        gained("Terminating"),
    ])
}

fn is_scale() -> String {
    let sub = "has(request.subResource) && request.subResource == 'scale'";
    all([is_resource("deployments"), format!("({sub})")])
}

fn is_deployment() -> String {
    all([is_resource("deployments"), not(&is_scale())])
}

/// Both objects have containers, as the apiserver demands; the conditions below rely on this.
fn has_pods() -> String {
    let has = |object: &str| {
        let pods = format!("{object}.spec.template.spec");
        format!(
            "has({object}.spec) && has({object}.spec.template) && has({pods}) && has({pods}.containers)"
        )
    };
    format!("({} && {})", has(OLD), has(NEW))
}

fn containers(object: &str) -> String {
    format!("{object}.spec.template.spec.containers")
}

fn changes_images() -> String {
    let images = |object: &str| {
        format!(
            "{}.map(one, has(one.image) ? one.image : '')",
            containers(object)
        )
    };
    format!("{} != {}", images(NEW), images(OLD))
}

fn stops() -> String {
    let zero = |object: &str| format!("has({object}.spec.replicas) && {object}.spec.replicas == 0");
    format!("({} && {})", zero(NEW), not(&zero(OLD)))
}

/// Kubernetes omits a Scale's replicas if they are 0.
fn scales_to_zero() -> String {
    let runs = |object: &str| {
        let replicas = format!("{object}.spec.replicas");
        format!("has({object}.spec) && has({replicas}) && {replicas} > 0")
    };
    format!("({} && {})", not(&runs(NEW)), runs(OLD))
}

fn is_paused() -> String {
    let paused = |object: &str| format!("has({object}.spec.paused) && {object}.spec.paused");
    format!("({} && {})", paused(NEW), not(&paused(OLD)))
}

/// True if the ServiceAccount or the node selector changes.
fn changes_place() -> String {
    let account = |object: &str| optional(object, "template.spec.serviceAccountName");
    let [now, was] = [NEW, OLD].map(|object| format!("{object}.spec.template.spec.nodeSelector"));
    let nodes = format!("(has({now}) && (!has({was}) || {now} != {was}))");
    any([format!("{} != {}", account(NEW), account(OLD)), nodes])
}

fn redirects() -> String {
    let [now, was] = [NEW, OLD].map(|object| format!("{object}.spec.selector"));
    let has = |object: &str| format!("has({object}.spec) && has({object}.spec.selector)");
    format!("({} && (!({}) || {now} != {was}))", has(OLD), has(NEW))
}

/// True if a Service becomes an alias of another name.
fn leads_away() -> String {
    format!("{} == 'ExternalName'", optional(NEW, "type"))
}

/// True if a ResourceQuota or LimitRange allows none of what Flux's pods need.
fn forbids_pods() -> String {
    let stops = |map: &str| {
        format!(
            "has({map}) && {map}.exists(key, key in {} && {map}[key] == '0')",
            list(&STOPPING)
        )
    };
    let spec = format!("{NEW}.spec");
    let scoped = format!("has({spec}.scopes) || has({spec}.scopeSelector)");
    let quota = all([
        is_resource("resourcequotas"),
        format!("has({spec})"),
        not(&scoped),
        stops(&format!("{spec}.hard")),
    ]);
    let limits = all([
        is_resource("limitranges"),
        format!("has({spec})"),
        format!("has({spec}.limits)"),
        format!("{spec}.limits.exists(limit, {})", stops("limit.max")),
    ]);
    any([quota, limits])
}

/// True if a NetworkPolicy restricts a direction of traffic and allows none of it.
fn denies_traffic() -> String {
    let spec = format!("{NEW}.spec");
    let types = items(&format!("{spec}.policyTypes"));
    let denies = |name: &str, rules: &str| {
        let rules = items(&format!("{spec}.{rules}"));
        all([
            format!("{} in {types}", text(name)),
            format!("size({rules}) == 0"),
        ])
    };
    all([
        is_resource("networkpolicies"),
        format!("has({spec})"),
        any([denies("Egress", "egress"), denies("Ingress", "ingress")]),
    ])
}

/// True if an image's version falls. An image without a version never counts.
fn looks_older() -> String {
    let version = |container: &str| {
        let written = r"':v?[0-9]{1,6}[.][0-9]{1,6}[.][0-9]{1,6}'";
        format!("{container}.image.find({written}).findAll('[0-9]+').map(part, int(part))")
    };
    let lower = "size(pair[0]) == 3 && size(pair[1]) == 3 && (pair[0][0] < pair[1][0] || \
         pair[0][0] == pair[1][0] && (pair[0][1] < pair[1][1] || \
         pair[0][1] == pair[1][1] && pair[0][2] < pair[1][2]))";
    let pair = format!("[[{}, {}]]", version("now"), version("was"));
    let same = "was.name == now.name && has(was.image) && has(now.image)";
    format!(
        "{}.exists(now, {}.exists(was, {same} && {pair}.exists(pair, {lower})))",
        containers(NEW),
        containers(OLD)
    )
}

fn is_gone() -> String {
    let stays = format!("{}.exists(now, now.name == was.name)", containers(NEW));
    let runs = format!("has(was.image) && was.image.contains({OLD}.metadata.name)");
    format!("{}.exists(was, {runs} && {})", containers(OLD), not(&stays))
}
