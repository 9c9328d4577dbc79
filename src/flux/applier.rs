//! The owners that apply Flux besides Helm: flux-operator's FluxInstance and kustomize-controller's
//! Kustomization. Both list the applied objects in their status and delete them in the end.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::adoption::owners::RECONCILE;
use crate::flux::engine::{CORE, is_controller, is_flux_group};
use crate::object::Object;

/// The API group of flux-operator.
pub const OPERATOR: &str = "fluxcd.controlplane.io";

/// A FluxInstance (`fluxcd.controlplane.io`), from which flux-operator installs Flux.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FluxInstance {
    /// `spec.distribution.version`: a version or a range, as written.
    pub version: String,
    /// `spec.components`, or the core controllers if missing.
    pub components: Vec<String>,
    /// The parts of Flux that flux-operator applied.
    pub applied: Applied,
}

/// A Kustomization (`kustomize.toolkit.fluxcd.io`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kustomization {
    /// True if deleting the Kustomization deletes the objects that it applied in this cluster.
    pub prunes: bool,
    /// `spec.suspend`: a suspended Kustomization applies nothing.
    pub suspended: bool,
    /// `spec.sourceRef`, as `[kind, namespace, name]`; the namespace is empty if missing.
    pub source: [String; 3],
    /// The parts of Flux that kustomize-controller applied.
    pub applied: Applied,
}

/// The parts of Flux in `status.inventory`. Other entries are dropped: an inventory may list
/// thousands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The names of Flux's CRDs.
    pub definitions: Vec<String>,
    /// The names of Deployments that are named like Flux's controllers.
    pub controllers: Vec<String>,
}

/// True if an annotation makes flux-operator leave the applied objects alone, even when the
/// FluxInstance is deleted.
#[must_use]
pub fn is_paused(object: &Object) -> bool {
    let value = object.annotations.get(RECONCILE);
    value.is_some_and(|value| value.eq_ignore_ascii_case("disabled"))
}

impl Applied {
    /// True if any part of Flux is listed.
    #[must_use]
    pub fn holds_flux(&self) -> bool {
        !self.definitions.is_empty() || !self.controllers.is_empty()
    }

    /// True for a controller that is not listed yet: an entry may be repeated thousands of times.
    fn is_new(&self, name: &str) -> bool {
        is_controller(name) && !self.controllers.iter().any(|known| known == name)
    }

    /// Adds an entry, `NAMESPACE_NAME_GROUP_KIND`. Only the name may contain an underscore.
    fn take(&mut self, id: &str) {
        let parts = || {
            let (_, rest) = id.split_once('_')?;
            let (rest, kind) = rest.rsplit_once('_')?;
            let (name, group) = rest.rsplit_once('_')?;
            Some((name, group, kind))
        };
        match parts() {
            Some((name, "apiextensions.k8s.io", "CustomResourceDefinition"))
                if is_flux_group(name) =>
            {
                self.definitions.push(name.to_owned());
            }
            Some((name, "apps", "Deployment")) if self.is_new(name) => {
                self.controllers.push(name.to_owned());
            }
            _ => {}
        }
    }
}

/// The wire form of a FluxInstance's `spec`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct InstanceSpec {
    distribution: Option<Distribution>,
    components: Option<Vec<Option<String>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Distribution {
    version: Option<String>,
}

/// The wire form of a Kustomization's `spec`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct KustomizationSpec {
    prune: Option<bool>,
    suspend: Option<bool>,
    deletion_policy: Option<String>,
    /// If set, the objects are in another cluster.
    kube_config: Option<IgnoredAny>,
    source_ref: Option<SourceRef>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SourceRef {
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

/// The wire form of `status`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct ApplierStatus {
    inventory: Option<Inventory>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Inventory {
    entries: Option<Vec<Option<Entry>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    id: Option<String>,
}

impl ApplierStatus {
    fn applied(self) -> Applied {
        let mut applied = Applied::default();
        let entries = self.inventory.unwrap_or_default().entries;
        for entry in entries.into_iter().flatten().flatten() {
            applied.take(&entry.id.unwrap_or_default());
        }
        applied
    }
}

impl FluxInstance {
    pub(crate) fn of(spec: Option<InstanceSpec>, status: Option<ApplierStatus>) -> Self {
        let InstanceSpec {
            distribution,
            components,
        } = spec.unwrap_or_default();
        let mut components: Vec<_> = components.into_iter().flatten().flatten().collect();
        if components.is_empty() {
            components = CORE.map(str::to_owned).to_vec();
        }
        Self {
            version: distribution.unwrap_or_default().version.unwrap_or_default(),
            components,
            applied: status.unwrap_or_default().applied(),
        }
    }

    /// The controllers that flux-operator applied and `spec.components` no longer lists.
    pub fn takes_away(&self) -> impl Iterator<Item = &str> {
        let applied = self.applied.controllers.iter();
        applied
            .filter(|name| !self.components.contains(name))
            .map(String::as_str)
    }
}

impl Kustomization {
    pub(crate) fn of(spec: Option<KustomizationSpec>, status: Option<ApplierStatus>) -> Self {
        let spec = spec.unwrap_or_default();
        let suspended = spec.suspend.unwrap_or_default();
        let deletes = match spec.deletion_policy.as_deref() {
            Some("Delete" | "WaitForTermination") => true,
            Some("Orphan") => false,
            _ => spec.prune.unwrap_or_default(),
        };
        let source = spec.source_ref.unwrap_or_default();
        Self {
            prunes: deletes && !suspended && spec.kube_config.is_none(),
            suspended,
            source: [source.kind, source.namespace, source.name].map(Option::unwrap_or_default),
            applied: status.unwrap_or_default().applied(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::manifest::{Reading, read};
    use crate::object::Body;

    fn body(text: &str) -> Body {
        let objects = read(text, Reading::default()).unwrap();
        objects.into_iter().next().unwrap().body
    }

    fn instance(more: &str) -> FluxInstance {
        let text = format!("apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\n{more}");
        match body(&text) {
            Body::FluxInstance(instance) => *instance,
            other => unreachable!("{other:?}"),
        }
    }

    fn kustomization(spec: &str) -> Kustomization {
        let text = format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nspec: {spec}"
        );
        match body(&text) {
            Body::Kustomization(kustomization) => *kustomization,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn an_instance_without_components_has_the_core_ones() {
        let read = instance("spec: {distribution: {version: 2.x}}");
        assert_eq!((read.version.as_str(), read.components.len()), ("2.x", 4));
    }

    #[test]
    fn of_an_inventory_only_flux_is_kept() {
        let ids = [
            "_buckets.source.toolkit.fluxcd.io_apiextensions.k8s.io_CustomResourceDefinition",
            "_kafkas.kafka.strimzi.io_apiextensions.k8s.io_CustomResourceDefinition",
            "flux-system_helm-controller_apps_Deployment",
            "flux-system_flux-system_source.toolkit.fluxcd.io_GitRepository",
            "apps_shop_apps_Deployment",
            "_system__node_rbac.authorization.k8s.io_ClusterRole",
            "_",
            "",
        ];
        let entries = ids.map(|id| format!("{{id: '{id}', v: v1}}")).join(", ");
        let read = instance(&format!(
            "spec: {{components: [source-controller]}}\nstatus: {{inventory: {{entries: [{entries}]}}}}"
        ));
        assert_eq!(
            read.applied,
            Applied {
                definitions: vec!["buckets.source.toolkit.fluxcd.io".to_owned()],
                controllers: vec!["helm-controller".to_owned()],
            }
        );
        assert_eq!(read.takes_away().collect::<Vec<_>>(), ["helm-controller"]);
    }

    #[test]
    fn what_is_null_is_absent() {
        let read = instance(
            "spec: {distribution: null, components: [null]}\nstatus: {inventory: {entries: [null, {id: null}]}}",
        );
        assert_eq!(read.components.len(), 4);
        assert!(!read.applied.holds_flux());
        assert!(!kustomization("{prune: null, suspend: null, sourceRef: null}").prunes);
    }

    #[test]
    fn a_kustomization_deletes_what_it_applied_by_prune_or_policy_unless_it_is_suspended() {
        for (spec, prunes) in [
            ("{prune: true}", true),
            ("{prune: false}", false),
            ("{prune: true, deletionPolicy: MirrorPrune}", true),
            ("{prune: false, deletionPolicy: Delete}", true),
            ("{prune: false, deletionPolicy: WaitForTermination}", true),
            ("{prune: true, deletionPolicy: Orphan}", false),
            ("{prune: true, suspend: true}", false),
            (
                "{prune: true, kubeConfig: {secretRef: {name: other}}}",
                false,
            ),
            ("{prune: true, kubeConfig: null}", true),
            (
                "{prune: false, suspend: true, deletionPolicy: Delete}",
                false,
            ),
        ] {
            assert_eq!(kustomization(spec).prunes, prunes, "{spec}");
        }
    }
}
