//! HelmReleases that hold the engine, as they live.

use serde_json::Value;

use crate::helm::Owner;
use crate::helm::release::HelmRelease;
use crate::object::Key;

/// Label of objects that a Kustomization applies, without its last part.
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io";

/// A HelmRelease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRelease {
    /// The HelmRelease.
    pub key: Key,
    /// The Helm release that it makes.
    pub installs: Owner,
    /// The namespace of the release's records.
    pub stores_in: String,
    /// True if helm-controller leaves it alone.
    pub is_suspended: bool,
    /// True if it is being deleted.
    pub is_deleted: bool,
    /// The chart's exact version. `None` if it comes from a `chartRef` or a range.
    pub chart_version: Option<String>,
    /// The Kustomization that applies it, as `(namespace, name)`.
    pub applied_by: Option<(String, String)>,
}

impl LiveRelease {
    /// Reads a whole HelmRelease. `None` if it installs into another cluster.
    #[must_use]
    pub fn of(live: &Value) -> Option<Self> {
        let name = text(live, "/metadata/name")?;
        let namespace = text(live, "/metadata/namespace")?;
        let spec = HelmRelease::new(live.get("spec").cloned());
        let label = |part: &str| text(live, &format!("/metadata/labels/{KUSTOMIZE}~1{part}"));
        let version = text(live, "/spec/chart/spec/version");
        let is_exact = |version: &String| {
            let plain = version.strip_prefix('v').unwrap_or(version);
            semver::Version::parse(plain).is_ok()
        };
        Some(Self {
            key: Key {
                group: "helm.toolkit.fluxcd.io".to_owned(),
                kind: "HelmRelease".to_owned(),
                namespace: Some(namespace.clone()),
                name: name.clone(),
            },
            installs: spec.release(&namespace, &name)?,
            stores_in: spec.storage_namespace(&namespace).to_owned(),
            is_suspended: spec.is_suspended(),
            is_deleted: live.pointer("/metadata/deletionTimestamp").is_some(),
            chart_version: version.filter(is_exact),
            applied_by: label("namespace").zip(label("name")),
        })
    }

    /// The command that takes off the finalizer.
    #[must_use]
    pub fn freed(&self) -> String {
        let namespace = self.key.namespace.as_deref().unwrap_or_default();
        let name = &self.key.name;
        format!(
            "kubectl patch helmrelease -n {namespace} {name} --type=merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'"
        )
    }
}

fn text(object: &Value, pointer: &str) -> Option<String> {
    let found = object.pointer(pointer)?.as_str()?;
    (!found.is_empty()).then(|| found.to_owned())
}
