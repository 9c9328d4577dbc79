//! FluxInstances and Kustomizations, which install Flux without Helm, as CEL conditions.

use fluxkeep::adoption::owners::RECONCILE;
use fluxkeep::flux::engine::{CORE, Engine, GROUPS};
use fluxkeep::rules::engine_deleted;

use super::cel::{
    NEW, OLD, all, any, is_annotated, is_named, is_resource, list, not, optional, text,
};

pub(super) const FLUX_GROUP: &str = "fluxcd.controlplane.io";
pub(super) const FLUX_INSTANCES: &str = "fluxinstances";
/// flux-operator ignores the value's case.
const DISABLED: &str = "(?i)^disabled$";
pub(super) const KUSTOMIZATIONS: &str = "kustomizations";

/// The end of an inventory's entry for a Deployment.
const DEPLOYMENT: &str = "_apps_Deployment";

/// The resources whose deletion may delete Flux too.
pub(super) fn appliers() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![
        (FLUX_GROUP, vec![FLUX_INSTANCES]),
        ("kustomize.toolkit.fluxcd.io", vec![KUSTOMIZATIONS]),
    ]
}

/// True if flux-operator ignores a FluxInstance and its deletion.
pub(super) fn is_paused(object: &str) -> String {
    let value = format!("{object}.metadata.annotations[{}]", text(RECONCILE));
    all([
        is_annotated(object, RECONCILE),
        format!("{value}.matches({})", text(DISABLED)),
    ])
}

/// True if the deletion of a FluxInstance uninstalls Flux.
pub(super) fn uninstalls() -> String {
    all([
        is_resource(FLUX_INSTANCES),
        not(&is_paused(OLD)),
        has_applied(),
    ])
}

/// True if the deletion of a Kustomization deletes CRDs or core controllers of Flux. An inventory may
/// list thousands of entries and CEL's cost is limited, so the question per entry is short.
pub(super) fn prunes_flux(engine: &Engine) -> String {
    let spec = format!("{OLD}.spec");
    let deletes = format!("(has({spec}.deletionPolicy) ? {spec}.deletionPolicy : 'MirrorPrune')");
    let prunes = all([
        format!("{deletes} == 'MirrorPrune'"),
        format!("has({spec}.prune)"),
        format!("{spec}.prune"),
    ]);
    let by_policy = format!("{deletes} in ['Delete', 'WaitForTermination']");
    let suspended = all([
        format!("has({spec}.suspend)"),
        format!("{spec}.suspend == true"),
    ]);
    all([
        is_resource(KUSTOMIZATIONS),
        format!("has({spec})"),
        not(&suspended),
        not(&format!("has({spec}.kubeConfig)")),
        any([prunes, by_policy]),
        has_applied(),
        format!(
            "{OLD}.status.inventory.entries.exists(entry, {})",
            any([any(GROUPS.map(is_definition_of)), is_controller(engine)])
        ),
    ])
}

/// True if the CRD of FluxInstances is deleted, which deletes all FluxInstances.
pub(super) fn is_instance_definition() -> String {
    all([
        is_resource("customresourcedefinitions"),
        is_named(OLD, &[engine_deleted::INSTANCES]),
    ])
}

/// True if the status lists an applied object.
fn has_applied() -> String {
    let inventory = format!("{OLD}.status.inventory");
    all([
        format!("has({OLD}.status)"),
        format!("has({inventory})"),
        format!("has({inventory}.entries)"),
        format!("size({inventory}.entries) > 0"),
    ])
}

/// True if an entry is the Deployment of a core controller in a namespace of the engine. Most entries
/// fail the first, short question.
fn is_controller(engine: &Engine) -> String {
    let ids = CORE.map(|name| format!("home + {}", text(&format!("_{name}{DEPLOYMENT}"))));
    format!(
        "entry.id.endsWith({}) && {}.exists(home, entry.id in [{}])",
        text(&format!("-controller{DEPLOYMENT}")),
        list(&engine.namespaces),
        ids.join(", ")
    )
}

fn is_definition_of(group: &str) -> String {
    let end = format!(".{group}_apiextensions.k8s.io_CustomResourceDefinition");
    format!("entry.id.endsWith({})", text(&end))
}

/// True if an update makes flux-operator act: a new version, new controllers, or the end of a
/// pause.
pub(super) fn is_redirected() -> String {
    let version = |object| optional(object, "distribution.version");
    let components = |object: &str| {
        let list = format!("{object}.spec.components");
        format!("(has({object}.spec) && has({list}) ? {list} : [])")
    };
    any([
        format!("{} != {}", version(OLD), version(NEW)),
        format!("{} != {}", components(OLD), components(NEW)),
        is_paused(OLD),
    ])
}
