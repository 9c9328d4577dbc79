//! A HelmRelease's spec, as far as it concerns the engine.

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Owner, post_renderer};
use crate::object::{Key, Object};
use crate::yaml;

/// Longest release name that Helm allows, in bytes.
pub(super) const LONGEST_NAME: usize = 53;
/// Bytes that helm-controller keeps of a longer name.
const KEPT_OF_NAME: usize = 40;
/// Bytes of the SHA-256 that helm-controller appends, two hexadecimal digits each.
const HASHED_OF_NAME: usize = 6;

/// The spec of a HelmRelease (`helm.toolkit.fluxcd.io`, any version), read by path.
///
/// The spec contains the release's values and is therefore never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HelmRelease {
    /// The spec without the next two.
    spec: Value,
    /// `values` as JSON text; empty if missing.
    values: String,
    /// `postRenderers` as JSON text; empty if missing.
    post_renderers: String,
}

/// A remediation that deletes or rolls back the release's objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hazard {
    /// For example `/spec/install/remediation/retries`.
    pub path: &'static str,
    /// The setting as written by a person, for example `retries: 3`.
    pub setting: String,
    /// The action that the remediation takes.
    pub action: Action,
}

/// The action of helm-controller after a failed release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Uninstalls the release.
    Uninstall,
    /// Rolls the release back.
    Rollback,
}

/// The HelmRelease behind an object: helm-controller labels every object with its HelmRelease.
#[must_use]
pub fn origin(object: &Object) -> Option<Key> {
    let label = |name: &str| object.labels.get(name).cloned();
    Some(Key {
        group: "helm.toolkit.fluxcd.io".to_owned(),
        kind: "HelmRelease".to_owned(),
        namespace: Some(label("helm.toolkit.fluxcd.io/namespace")?),
        name: label("helm.toolkit.fluxcd.io/name")?,
    })
}

impl HelmRelease {
    /// Wraps a whole spec; `None` counts as empty.
    #[must_use]
    pub fn new(spec: Option<Value>) -> Self {
        Self::taking(spec, |free| free.to_string())
    }

    /// Wraps a spec as it is read by path: values and post-renderers are JSON texts.
    pub(crate) fn of_parts(spec: Option<Value>) -> Self {
        Self::taking(spec, |free| free.as_str().unwrap_or_default().to_owned())
    }

    fn taking(spec: Option<Value>, text: fn(Value) -> String) -> Self {
        let mut spec = spec.unwrap_or_default();
        let mut take = |field: &str| {
            let free = spec.as_object_mut()?.remove(field)?;
            Some(text(free))
        };
        let values = take("values").unwrap_or_default();
        let post_renderers = take("postRenderers").unwrap_or_default();
        Self {
            spec,
            values,
            post_renderers,
        }
    }

    /// The chart's name: `spec.chart.spec.chart` of a HelmRepository. `None` with a `chartRef`, or
    /// if the chart is a folder of a GitRepository or a Bucket. The folder's content then gives
    /// name and version.
    #[must_use]
    pub fn chart(&self) -> Option<&str> {
        self.text("/chart/spec/sourceRef/kind")
            .is_none_or(|kind| kind == "HelmRepository")
            .then_some(())?;
        self.text("/chart/spec/chart")?
            .trim_end_matches('/')
            .rsplit('/')
            .next()
    }

    /// The chart's version or range, `spec.chart.spec.version`; `*` if missing.
    #[must_use]
    pub fn chart_version(&self) -> &str {
        self.text("/chart/spec/version").unwrap_or("*")
    }

    /// The chart's source, for comparison: equal sources mean the same chart.
    #[must_use]
    pub fn chart_source(&self) -> [Option<&str>; 4] {
        [
            "/chart/spec/sourceRef/kind",
            "/chart/spec/chart",
            "/chartRef/kind",
            "/chartRef/name",
        ]
        .map(|path| self.text(path))
    }

    /// The object that the chart comes from, as `[kind, namespace, name]`; each is empty if missing.
    #[must_use]
    pub fn source(&self) -> [&str; 3] {
        let place = if self.text("/chart/spec/sourceRef/kind").is_some() {
            "/chart/spec/sourceRef"
        } else {
            "/chartRef"
        };
        ["kind", "namespace", "name"]
            .map(|field| self.text(&format!("{place}/{field}")).unwrap_or_default())
    }

    /// The Helm release that helm-controller makes in this cluster for a HelmRelease with this name
    /// and namespace. `None` if `spec.kubeConfig` names another cluster. Source: helm-controller's
    /// `GetReleaseName`, `ShortenName` and `GetReleaseNamespace`.
    #[must_use]
    pub fn release(&self, namespace: &str, name: &str) -> Option<Owner> {
        if self.is_remote() {
            return None;
        }
        let target = self.text("/targetNamespace");
        let default = || target.map_or(name.to_owned(), |target| format!("{target}-{name}"));
        let named = self
            .text("/releaseName")
            .map_or_else(default, str::to_owned);
        Some(Owner {
            name: shortened(named),
            namespace: target.unwrap_or(namespace).to_owned(),
        })
    }

    /// True if the HelmRelease installs into another cluster.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.spec
            .pointer("/kubeConfig")
            .is_some_and(|config| !config.is_null())
    }

    /// The namespace in which Helm keeps the release's records.
    #[must_use]
    pub fn storage_namespace<'a>(&'a self, namespace: &'a str) -> &'a str {
        self.text("/storageNamespace").unwrap_or(namespace)
    }

    /// True if helm-controller leaves the release alone, even when the HelmRelease is deleted.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.flag("/suspend")
    }

    /// True if another chart name makes helm-controller uninstall and install anew. This is the
    /// default unless `spec.upgrade.chartNameChangeStrategy` names another strategy.
    #[must_use]
    pub fn reinstalls_on_chart_change(&self) -> bool {
        self.text("/upgrade/chartNameChangeStrategy")
            .is_none_or(|how| how == "Reinstall")
    }

    /// A string or number of `spec.values` at a dotted path, as text.
    #[must_use]
    pub fn value(&self, path: &str) -> Option<String> {
        let keys: Vec<&str> = path.split('.').collect();
        match yaml::scalar_at(&self.values, &keys)? {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The same spec with a text at a JSON pointer. The spec stays as it is if the pointer's parent
    /// is missing.
    #[must_use]
    pub fn with(&self, pointer: &str, text: &str) -> Self {
        let mut edited = self.clone();
        if let Some(pointer) = pointer.strip_prefix("/values") {
            let mut values = serde_json::from_str(&self.values).unwrap_or_default();
            insert(&mut values, pointer, text);
            edited.values = values.to_string();
        } else {
            insert(&mut edited.spec, pointer, text);
        }
        edited
    }

    /// True if both specs agree in all that is judged. Of the values, these dotted paths count.
    #[must_use]
    pub fn is_alike(&self, other: &Self, values: &[String]) -> bool {
        let is_equal = |path: &String| self.value(path) == other.value(path);
        self.spec == other.spec
            && self.keeps_everything() == other.keeps_everything()
            && values.iter().all(is_equal)
    }

    /// The remediations that would uninstall or roll back the release. helm-controller's default is
    /// none: `retries: 0`, and no remediation of the last failure.
    #[must_use]
    pub fn hazards(&self) -> Vec<Hazard> {
        let install = self.hazard(
            "/install",
            [
                "/spec/install/remediation/retries",
                "/spec/install/remediation/remediateLastFailure",
            ],
            Action::Uninstall,
        );
        let rolls_back = self.text("/upgrade/remediation/strategy") != Some("uninstall");
        let upgrade = self.hazard(
            "/upgrade",
            [
                "/spec/upgrade/remediation/retries",
                "/spec/upgrade/remediation/remediateLastFailure",
            ],
            if rolls_back {
                Action::Rollback
            } else {
                Action::Uninstall
            },
        );
        install.into_iter().chain(upgrade).collect()
    }

    /// True if a post-renderer writes `helm.sh/resource-policy: keep` on every object.
    #[must_use]
    pub fn keeps_everything(&self) -> bool {
        post_renderer::keep(&self.post_renderers)
    }

    fn hazard(&self, phase: &str, paths: [&'static str; 2], action: Action) -> Option<Hazard> {
        if self.text(&format!("{phase}/strategy/name")) == Some("RetryOnFailure") {
            return None;
        }
        let [retries_at, last_at] = paths;
        let retries = self.number(&format!("{phase}/remediation/retries"));
        if retries != 0 {
            return Some(Hazard {
                path: retries_at,
                setting: format!("retries: {retries}"),
                action,
            });
        }
        let last = self.flag(&format!("{phase}/remediation/remediateLastFailure"));
        let setting = || "remediateLastFailure: true".to_owned();
        last.then(|| Hazard {
            path: last_at,
            setting: setting(),
            action,
        })
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.spec
            .pointer(path)?
            .as_str()
            .filter(|text| !text.is_empty())
    }

    fn number(&self, path: &str) -> i64 {
        self.spec.pointer(path).and_then(Value::as_i64).unwrap_or(0)
    }

    fn flag(&self, path: &str) -> bool {
        self.spec
            .pointer(path)
            .and_then(Value::as_bool)
            .unwrap_or(false)
    }
}

/// Shortens a release name over 53 bytes to the first 40, `-`, and 12 hexadecimal digits of the
/// name's SHA-256. Source: helm-controller's `ShortenName`.
#[must_use]
pub fn shortened(name: String) -> String {
    if name.len() <= LONGEST_NAME {
        return name;
    }
    // Kubernetes allows ASCII names alone; any other name stays unchanged.
    let Some(start) = name.get(..KEPT_OF_NAME) else {
        return name;
    };
    let mut short = format!("{start}-");
    for byte in Sha256::digest(&name).iter().take(HASHED_OF_NAME) {
        let _ = write!(short, "{byte:02x}");
    }
    short
}

impl std::fmt::Debug for HelmRelease {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("HelmRelease")
            .field("chart", &self.chart())
            .finish_non_exhaustive()
    }
}

/// Writes a text at a JSON pointer whose parent is a map.
fn insert(value: &mut Value, pointer: &str, text: &str) {
    let (parent, field) = pointer.rsplit_once('/').unwrap_or_default();
    let parent = value.pointer_mut(parent).and_then(Value::as_object_mut);
    if let Some(parent) = parent {
        parent.insert(field.to_owned(), Value::from(text));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn release(spec: Value) -> HelmRelease {
        HelmRelease::new(Some(spec))
    }

    #[test]
    fn a_chart_has_a_name_in_a_helm_repository_and_only_a_folder_elsewhere() {
        let of = |chart: &str, kind: &str| {
            release(json!({"chart": {"spec": {"chart": chart, "sourceRef": {"kind": kind}}}}))
                .chart()
                .map(str::to_owned)
        };
        assert_eq!(of("flux2", "HelmRepository").as_deref(), Some("flux2"));
        assert_eq!(
            of("charts/flux2", "HelmRepository").as_deref(),
            Some("flux2")
        );
        assert_eq!(of("./charts/flux2", "GitRepository"), None);
        assert_eq!(of("charts/flux2", "Bucket"), None);
        assert_eq!(
            release(json!({"chartRef": {"kind": "OCIRepository", "name": "flux2"}})).chart(),
            None
        );
    }

    #[test]
    fn names_default_as_in_helm_controller() {
        let plain = release(json!({}))
            .release("apps", "flux")
            .unwrap()
            .to_string();
        let target = release(json!({"targetNamespace": "flux-system"}));
        assert_eq!(plain, "apps/flux");
        assert_eq!(
            target.release("apps", "flux").unwrap().to_string(),
            "flux-system/flux-system-flux"
        );
        let remote = release(json!({"kubeConfig": {"secretRef": {"name": "other-cluster"}}}));
        assert_eq!(remote.release("apps", "flux"), None);
    }

    #[test]
    fn a_long_name_is_shortened_as_helm_controller_does() {
        let target = "a".repeat(40);
        let of = |name: &str| {
            let spec = json!({"targetNamespace": target});
            release(spec).release("apps", name).unwrap().name
        };
        let fits = "b".repeat(12);
        assert_eq!(of(&fits), format!("{target}-{fits}"));
        // printf %s NAME | sha256sum | cut -c1-12
        assert_eq!(of(&"b".repeat(13)), format!("{target}-e2224567da86"));
        let named = release(json!({"releaseName": "c".repeat(54)}));
        assert_eq!(
            named.release("apps", "flux").unwrap().name,
            format!("{}-701251fda756", "c".repeat(40))
        );
    }

    #[test]
    fn only_retries_or_the_last_failure_are_remediated() {
        let cases = [
            (json!({}), vec![]),
            (json!({"install": {"remediation": {"retries": 0}}}), vec![]),
            (
                json!({"install": {"remediation": {"retries": -1}}}),
                vec![Action::Uninstall],
            ),
            (
                json!({"install": {"remediation": {"remediateLastFailure": true}}}),
                vec![Action::Uninstall],
            ),
            (
                json!({"upgrade": {"remediation": {"retries": 3}}}),
                vec![Action::Rollback],
            ),
            (
                json!({"upgrade": {"remediation": {"retries": 3, "strategy": "uninstall"}}}),
                vec![Action::Uninstall],
            ),
            (
                json!({"install": {"strategy": {"name": "RetryOnFailure"}, "remediation": {"retries": 3}}}),
                vec![],
            ),
        ];
        for (spec, expected) in cases {
            let hazards = release(spec.clone()).hazards();
            assert_eq!(
                hazards.iter().map(|one| one.action).collect::<Vec<_>>(),
                expected,
                "{spec}"
            );
        }
    }

    #[test]
    fn one_post_renderer_among_others_keeps_everything() {
        let other = json!({"kustomize": {"images": [{"name": "a", "newTag": "b"}]}});
        assert!(
            release(json!({"postRenderers": [other, post_renderer::stanza()]})).keeps_everything()
        );
        for none in [
            json!({}),
            json!({"postRenderers": [other]}),
            json!({"postRenderers": post_renderer::stanza()}),
        ] {
            assert!(!release(none.clone()).keeps_everything(), "{none}");
        }
    }

    #[test]
    fn values_never_show_in_debug_output() {
        let release = release(json!({"values": {"password": "hunter2"}}));
        assert!(!format!("{release:?}").contains("hunter2"));
        assert_eq!(release.value("password").unwrap(), "hunter2");
    }
}
