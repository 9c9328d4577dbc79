//! FluxInstances and Kustomizations, as conditions: what installs Flux besides Helm.

use fluxkeep::engine::GROUPS;
use fluxkeep::owners::RECONCILE;
use fluxkeep::rules::engine_deleted;

use super::cel::{NEW, OLD, all, any, is_annotated, is_named, is_resource, not, optional, text};

pub(super) const FLUX_GROUP: &str = "fluxcd.controlplane.io";
pub(super) const FLUX_INSTANCES: &str = "fluxinstances";
/// Whatever its case: flux-operator takes it so.
const DISABLED: &str = "(?i)^disabled$";
pub(super) const KUSTOMIZATIONS: &str = "kustomizations";

/// The resources whose deletion may take Flux along.
pub(super) fn appliers() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![
        (FLUX_GROUP, vec![FLUX_INSTANCES]),
        ("kustomize.toolkit.fluxcd.io", vec![KUSTOMIZATIONS]),
    ]
}

/// Whether flux-operator leaves a FluxInstance alone, its deletion included.
pub(super) fn is_paused(object: &str) -> String {
    let value = format!("{object}.metadata.annotations[{}]", text(RECONCILE));
    all([
        is_annotated(object, RECONCILE),
        format!("{value}.matches({})", text(DISABLED)),
    ])
}

/// Whether a FluxInstance's deletion uninstalls what it applied.
pub(super) fn uninstalls() -> String {
    all([
        is_resource(FLUX_INSTANCES),
        not(&is_paused(OLD)),
        has_applied(),
    ])
}

/// Whether a Kustomization's deletion deletes CRDs of Flux that it applied. An inventory may list
/// thousands, and a condition may cost only so much: one short question an entry.
pub(super) fn prunes_flux() -> String {
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
            any(GROUPS.map(is_definition_of))
        ),
    ])
}

/// Whether the CRD of FluxInstances is deleted, and they with it.
pub(super) fn is_instance_definition() -> String {
    all([
        is_resource("customresourcedefinitions"),
        is_named(OLD, &[engine_deleted::INSTANCES]),
    ])
}

/// Whether the status lists anything that was applied.
fn has_applied() -> String {
    let inventory = format!("{OLD}.status.inventory");
    all([
        format!("has({OLD}.status)"),
        format!("has({inventory})"),
        format!("has({inventory}.entries)"),
        format!("size({inventory}.entries) > 0"),
    ])
}

fn is_definition_of(group: &str) -> String {
    let end = format!(".{group}_apiextensions.k8s.io_CustomResourceDefinition");
    format!("entry.id.endsWith({})", text(&end))
}

/// Whether an update of a FluxInstance makes flux-operator act otherwise: another version, other
/// controllers, or it is resumed.
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
