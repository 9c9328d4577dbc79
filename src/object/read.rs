//! From the wire: the same partial structs read JSON and YAML.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::selector::{self, Selector};
use super::{Body, Marks, Object, Service, Workload};
use crate::crd::{Definition, Version};
use crate::helm::release::HelmRelease;

/// Labels and annotations are kept when their key begins so; everything else, `kubectl`'s copy of
/// the last applied object first of all, is none of fluxkeep's business.
const KEPT: [&str; 8] = [
    "fluxkeep.io/",
    "meta.helm.sh/",
    "helm.sh/",
    "app.kubernetes.io/",
    "helm.toolkit.fluxcd.io/",
    "kustomize.toolkit.fluxcd.io/",
    "kapp.k14s.io/",
    "argocd.argoproj.io/",
];

/// What says how the rest of a document is to be read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Head {
    /// For example `apps/v1`; empty where the document has none.
    pub api_version: String,
    /// For example `Deployment`; empty where the document has none.
    pub kind: String,
}

/// The shapes of document that fluxkeep reads beyond their metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A CustomResourceDefinition.
    Definition,
    /// A HelmRelease.
    HelmRelease,
    /// A Deployment, StatefulSet or DaemonSet.
    Workload,
    /// A Service.
    Service,
    /// A NetworkPolicy.
    NetworkPolicy,
    /// A RoleBinding or ClusterRoleBinding.
    Binding,
    /// Anything else.
    Other,
}

/// How an object of this API group and kind is read.
#[must_use]
pub fn body_kind(group: &str, kind: &str) -> Kind {
    match (group, kind) {
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Kind::Definition,
        ("helm.toolkit.fluxcd.io", "HelmRelease") => Kind::HelmRelease,
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet") => Kind::Workload,
        ("", "Service") => Kind::Service,
        ("networking.k8s.io", "NetworkPolicy") => Kind::NetworkPolicy,
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => Kind::Binding,
        _ => Kind::Other,
    }
}

/// A wire form that becomes an [`Object`].
pub(crate) trait FromWire: for<'de> Deserialize<'de> {
    fn object(self) -> Object;
}

/// An object on the wire: what it holds of `spec`, `status` and `roleRef` depends on its kind.
#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    bound = "S: Deserialize<'de>, X: Deserialize<'de>, R: Deserialize<'de>"
)]
pub(crate) struct Wire<S = IgnoredAny, X = IgnoredAny, R = IgnoredAny> {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    metadata: Option<Meta>,
    spec: Option<S>,
    status: Option<X>,
    role_ref: Option<R>,
}

impl<S, X, R> Wire<S, X, R> {
    fn with(self, body: impl FnOnce(Option<S>, Option<X>, Option<R>) -> Body) -> Object {
        let meta = self.metadata.unwrap_or_default();
        Object {
            api_version: self.api_version,
            kind: self.kind,
            namespace: meta.namespace,
            name: meta.name.unwrap_or_default(),
            labels: meta.labels,
            annotations: meta.annotations,
            listed: false,
            source: None,
            body: body(self.spec, self.status, self.role_ref),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    name: Option<String>,
    namespace: Option<String>,
    #[serde(deserialize_with = "kept")]
    labels: Marks,
    #[serde(deserialize_with = "kept")]
    annotations: Marks,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct DefinitionSpec {
    group: String,
    scope: String,
    names: Names,
    versions: Vec<Version>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Names {
    kind: String,
    plural: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DefinitionStatus {
    stored_versions: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct WorkloadSpec {
    selector: MatchLabels,
    template: Template,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MatchLabels {
    match_labels: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Template {
    metadata: Option<PodMeta>,
    spec: PodSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PodMeta {
    labels: Option<BTreeMap<String, Option<String>>>,
}

impl Template {
    /// All of them: a selector may ask for any.
    fn labels(metadata: Option<PodMeta>) -> Marks {
        let labels = metadata
            .and_then(|metadata| metadata.labels)
            .unwrap_or_default();
        labels
            .into_iter()
            .map(|(key, value)| (key, value.unwrap_or_default()))
            .collect()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PodSpec {
    containers: Vec<Container>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Container {
    image: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceSpec {
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    selector: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PolicySpec {
    pod_selector: Option<selector::Wire>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(crate) struct RoleRef {
    kind: String,
    name: String,
}

impl FromWire for Wire {
    fn object(self) -> Object {
        self.with(|_, _, _| Body::Other)
    }
}

impl FromWire for Wire<DefinitionSpec, DefinitionStatus> {
    fn object(self) -> Object {
        self.with(|spec, status, _| {
            let spec = spec.unwrap_or_default();
            Body::Definition(Definition {
                group: spec.group,
                kind: spec.names.kind,
                plural: spec.names.plural,
                scope: spec.scope,
                versions: spec.versions,
                stored: status
                    .and_then(|status| status.stored_versions)
                    .unwrap_or_default(),
            })
        })
    }
}

impl FromWire for Wire<Value> {
    fn object(self) -> Object {
        self.with(|spec, _, _| Body::HelmRelease(Box::new(HelmRelease::new(spec))))
    }
}

impl FromWire for Wire<WorkloadSpec> {
    fn object(self) -> Object {
        self.with(|spec, _, _| {
            let spec = spec.unwrap_or_default();
            Body::Workload(Workload {
                images: spec
                    .template
                    .spec
                    .containers
                    .into_iter()
                    .map(|one| one.image)
                    .collect(),
                selector: spec.selector.match_labels,
                labels: Template::labels(spec.template.metadata),
            })
        })
    }
}

impl FromWire for Wire<ServiceSpec> {
    fn object(self) -> Object {
        self.with(|spec, _, _| {
            let (cluster_ip, selector) =
                spec.map_or((None, None), |spec| (spec.cluster_ip, spec.selector));
            Body::Service(Service {
                cluster_ip,
                selector: Selector::of(selector.unwrap_or_default()),
            })
        })
    }
}

impl FromWire for Wire<PolicySpec> {
    fn object(self) -> Object {
        self.with(|spec, _, _| {
            let selector = spec.and_then(|spec| spec.pod_selector).unwrap_or_default();
            Body::NetworkPolicy(selector.into())
        })
    }
}

impl FromWire for Wire<IgnoredAny, IgnoredAny, RoleRef> {
    fn object(self) -> Object {
        self.with(|_, _, role| {
            let role = role.unwrap_or_default();
            Body::Binding(format!("{}/{}", role.kind, role.name))
        })
    }
}

/// Runs `$read` with the wire type that fits `$kind`.
macro_rules! by_kind {
    ($kind:expr, $read:ident ( $($argument:expr),* )) => {{
        use $crate::object::{wire, Kind};
        match $kind {
            Kind::Definition => $read::<wire::Definition>($($argument),*),
            Kind::HelmRelease => $read::<wire::HelmRelease>($($argument),*),
            Kind::Workload => $read::<wire::Workload>($($argument),*),
            Kind::Service => $read::<wire::Service>($($argument),*),
            Kind::NetworkPolicy => $read::<wire::NetworkPolicy>($($argument),*),
            Kind::Binding => $read::<wire::Binding>($($argument),*),
            Kind::Other => $read::<wire::Other>($($argument),*),
        }
    }};
}
pub(crate) use by_kind;

/// The wire type of each [`Kind`].
pub(crate) mod wire {
    use super::{
        DefinitionSpec, DefinitionStatus, IgnoredAny, PolicySpec, RoleRef, ServiceSpec, Value,
        Wire, WorkloadSpec,
    };

    pub(crate) type Definition = Wire<DefinitionSpec, DefinitionStatus>;
    pub(crate) type HelmRelease = Wire<Value>;
    pub(crate) type Workload = Wire<WorkloadSpec>;
    pub(crate) type Service = Wire<ServiceSpec>;
    pub(crate) type NetworkPolicy = Wire<PolicySpec>;
    pub(crate) type Binding = Wire<IgnoredAny, IgnoredAny, RoleRef>;
    pub(crate) type Other = Wire;
}

/// Reads a map of labels or annotations, and keeps of it what fluxkeep acts on.
fn kept<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Marks, D::Error> {
    deserializer.deserialize_any(Kept)
}

struct Kept;

impl<'de> Visitor<'de> for Kept {
    type Value = Marks;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a map of labels or annotations")
    }

    fn visit_unit<E>(self) -> Result<Marks, E> {
        Ok(Marks::default())
    }

    fn visit_none<E>(self) -> Result<Marks, E> {
        Ok(Marks::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Marks, A::Error> {
        let mut marks = Marks::default();
        while let Some(key) = map.next_key::<String>()? {
            if KEPT.iter().any(|prefix| key.starts_with(prefix)) {
                marks.insert(key, map.next_value::<Option<String>>()?.unwrap_or_default());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(marks)
    }
}
