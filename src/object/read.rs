//! Partial structs, deserialized from the fields that the kind's table names (see [`Kind::paths`]).
//! Fields outside that table are never filled.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny};
use serde_json::{Map, Value};

use super::lenient::Lenient;
use super::selector::{self, Selector};
use super::{
    Binding, Body, Flaw, Grantee, Marks, NetworkPolicy, Object, PolicyRule, Role, Service, Start,
    Traffic, Workload, group_and_version,
};
use crate::adoption::owners::is_kept;
use crate::crd::{Conditions, Conversion, Definition, Version};
use crate::flux::applier::{
    ApplierStatus, FluxInstance, InstanceSpec, Kustomization, KustomizationSpec,
};
use crate::helm::release::HelmRelease;
use crate::walks::counted;

/// Most bytes of an object's annotations: `TotalAnnotationSizeLimitB` of apimachinery.
const MOST_ANNOTATIONS: usize = 256 * 1024;

/// The API version and kind, which say how to read the rest of a document.
#[derive(Debug, Clone, Default)]
pub struct TypeMeta {
    /// For example `apps/v1`; empty if missing.
    pub api_version: String,
    /// For example `Deployment`; empty if missing.
    pub kind: String,
}

impl TypeMeta {
    /// The way to read an object of this head.
    #[must_use]
    pub fn body_kind(&self) -> Kind {
        let (group, _) = group_and_version(&self.api_version);
        body_kind(group, &self.kind)
    }
}

/// The kinds of document that fluxkeep reads beyond their metadata.
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
    /// A ResourceQuota.
    Quota,
    /// A LimitRange.
    Limits,
    /// A NetworkPolicy.
    NetworkPolicy,
    /// A FluxInstance.
    FluxInstance,
    /// A Kustomization of kustomize-controller.
    Kustomization,
    /// A GitRepository, OCIRepository, HelmRepository or Bucket.
    FluxSource,
    /// A RoleBinding or ClusterRoleBinding.
    Binding,
    /// A Role or ClusterRole.
    Role,
    /// The subresource `scale` of a workload.
    Scale,
    /// Anything else.
    Other,
}

/// The [`Kind`] of an object with this API group and kind.
#[must_use]
pub fn body_kind(group: &str, kind: &str) -> Kind {
    match (group, kind) {
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Kind::Definition,
        ("helm.toolkit.fluxcd.io", "HelmRelease") => Kind::HelmRelease,
        ("fluxcd.controlplane.io", "FluxInstance") => Kind::FluxInstance,
        ("kustomize.toolkit.fluxcd.io", "Kustomization") => Kind::Kustomization,
        (
            "source.toolkit.fluxcd.io",
            "GitRepository" | "OCIRepository" | "HelmRepository" | "Bucket",
        ) => Kind::FluxSource,
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet") => Kind::Workload,
        ("autoscaling", "Scale") => Kind::Scale,
        ("", "Service") => Kind::Service,
        ("", "ResourceQuota") => Kind::Quota,
        ("", "LimitRange") => Kind::Limits,
        ("networking.k8s.io", "NetworkPolicy") => Kind::NetworkPolicy,
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => Kind::Binding,
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => Kind::Role,
        _ => Kind::Other,
    }
}

/// Calls `$read` with the wire type of `$kind`.
macro_rules! by_kind {
    ($kind:expr, $read:ident ( $($argument:expr),* )) => {{
        match $kind {
            Kind::Definition => $read::<wire::Definition>($($argument),*),
            Kind::HelmRelease => $read::<wire::HelmRelease>($($argument),*),
            Kind::FluxInstance => $read::<wire::FluxInstance>($($argument),*),
            Kind::Kustomization => $read::<wire::Kustomization>($($argument),*),
            Kind::FluxSource => $read::<wire::FluxSource>($($argument),*),
            Kind::Workload => $read::<wire::Workload>($($argument),*),
            Kind::Service => $read::<wire::Service>($($argument),*),
            Kind::Quota => $read::<wire::Quota>($($argument),*),
            Kind::Limits => $read::<wire::Limits>($($argument),*),
            Kind::NetworkPolicy => $read::<wire::NetworkPolicy>($($argument),*),
            Kind::Binding => $read::<wire::Binding>($($argument),*),
            Kind::Role => $read::<wire::Role>($($argument),*),
            Kind::Scale => $read::<wire::Scale>($($argument),*),
            Kind::Other => $read::<wire::Other>($($argument),*),
        }
    }};
}

/// A value has another type than its kind expects. The error omits the value, which may be secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a value has the wrong type")]
pub struct Misshapen;

/// Reads an object of this kind from its parts (see [`Kind::paths`]).
///
/// # Errors
/// If a value has another type than its kind expects.
pub(crate) fn object(kind: Kind, parts: Value) -> Result<Object, Misshapen> {
    by_kind!(kind, typed(parts))
}

fn typed<W: FromWire>(parts: Value) -> Result<Object, Misshapen> {
    let wire = W::deserialize(Lenient(parts)).map_err(|_| Misshapen)?;
    Ok(wire.object())
}

/// A wire form that becomes an [`Object`].
trait FromWire: for<'de> Deserialize<'de> {
    fn object(self) -> Object;
}

/// An object on the wire. The kind determines the types of `spec` and `status`.
#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    bound = "S: Deserialize<'de>, X: Deserialize<'de>"
)]
struct Wire<S = IgnoredAny, X = IgnoredAny> {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    metadata: Option<Meta>,
    spec: Option<S>,
    status: Option<X>,
}

impl<S, X> Wire<S, X> {
    fn with(self, body: impl FnOnce(Option<S>, Option<X>) -> Body) -> Object {
        let meta = self.metadata.unwrap_or_default();
        meta.object(self.api_version, self.kind, body(self.spec, self.status))
    }
}

/// A RoleBinding or ClusterRoleBinding on the wire.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BindingWire {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    metadata: Option<Meta>,
    role_ref: Option<RoleRef>,
    subjects: Option<Vec<Subject>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Subject {
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

/// A Role or ClusterRole on the wire.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoleWire {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    metadata: Option<Meta>,
    aggregation_rule: Option<IgnoredAny>,
    rules: Option<Vec<RuleWire>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RuleWire {
    api_groups: Option<BTreeSet<String>>,
    resources: Option<BTreeSet<String>>,
    verbs: Option<BTreeSet<String>>,
    resource_names: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    name: Option<String>,
    namespace: Option<String>,
    labels: Labels,
    annotations: Annotations,
}

impl Meta {
    fn object(self, api_version: String, kind: String, body: Body) -> Object {
        let mut flaws = self.labels.flaws;
        flaws.extend(self.annotations.flaw());
        Object {
            api_version,
            kind,
            namespace: self.namespace,
            name: self.name.unwrap_or_default(),
            labels: self.labels.kept,
            annotations: self.annotations.kept,
            flaws,
            list: None,
            applied: false,
            source: None,
            body,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DefinitionSpec {
    group: String,
    scope: String,
    names: Names,
    /// The only version; a field of apiextensions v1beta1.
    version: String,
    versions: Vec<Version>,
    preserve_unknown_fields: Option<bool>,
    conversion: Option<Box<Conversion>>,
}

impl DefinitionSpec {
    /// The offered versions. apiextensions v1beta1, gone since Kubernetes 1.22, may name a single
    /// version, which is then served and stored.
    fn offered(version: String, versions: Vec<Version>, is_old: bool) -> Vec<Version> {
        if !is_old || version.is_empty() || !versions.is_empty() {
            return versions;
        }
        vec![Version {
            name: version,
            served: true,
            storage: true,
            ..Version::default()
        }]
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Names {
    kind: String,
    plural: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DefinitionStatus {
    stored_versions: Option<Vec<String>>,
    conditions: Option<Vec<ConditionWire>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConditionWire {
    r#type: Option<String>,
    status: Option<String>,
}

impl DefinitionStatus {
    fn conditions(conditions: &[ConditionWire]) -> Conditions {
        let is_true = |name: &str| {
            let named = |one: &&ConditionWire| one.r#type.as_deref() == Some(name);
            let mut named = conditions.iter().filter(named);
            named.any(|one| one.status.as_deref() == Some("True"))
        };
        Conditions {
            established: is_true("Established"),
            names_accepted: is_true("NamesAccepted"),
            terminating: is_true("Terminating"),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WorkloadSpec {
    selector: MatchLabels,
    template: Template,
    replicas: Option<i64>,
    paused: Option<bool>,
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
    /// Keeps all labels: a selector may ask for any.
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
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    containers: Vec<Container>,
    service_account_name: Option<String>,
    node_selector: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Container {
    name: Option<String>,
    image: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServiceSpec {
    r#type: Option<String>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    external_name: Option<String>,
    selector: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PolicySpec {
    pod_selector: Option<selector::Wire>,
    policy_types: Option<Vec<String>>,
    ingress: Option<Vec<IgnoredAny>>,
    egress: Option<Vec<IgnoredAny>>,
}

impl PolicySpec {
    /// The effect on the traffic of a type. Without `policyTypes` a policy restricts ingress, and
    /// egress if it has rules for it.
    fn traffic(&self, name: &str) -> Traffic {
        let is_egress = name == "Egress";
        let rules = if is_egress {
            &self.egress
        } else {
            &self.ingress
        };
        let is_allowed = rules.as_ref().is_some_and(|rules| !rules.is_empty());
        let is_restricted = match self.policy_types.as_deref().unwrap_or_default() {
            [] => !is_egress || is_allowed,
            types => types.iter().any(|one| one == name),
        };
        match (is_restricted, is_allowed) {
            (false, _) => Traffic::Unrestricted,
            (true, true) => Traffic::Limited,
            (true, false) => Traffic::Denied,
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct RoleRef {
    kind: String,
    name: String,
}

impl FromWire for Wire {
    fn object(self) -> Object {
        self.with(|_, _| Body::Other)
    }
}

impl FromWire for Wire<DefinitionSpec, DefinitionStatus> {
    fn object(self) -> Object {
        let is_old = self.api_version == "apiextensions.k8s.io/v1beta1";
        self.with(|spec, status| {
            let spec = spec.unwrap_or_default();
            let (stored, conditions) = match status {
                Some(status) => (status.stored_versions, status.conditions),
                None => (None, None),
            };
            Body::Definition(Definition {
                group: spec.group,
                kind: spec.names.kind,
                plural: spec.names.plural,
                scope: spec.scope,
                versions: DefinitionSpec::offered(spec.version, spec.versions, is_old),
                stored: stored.unwrap_or_default(),
                conditions: DefinitionStatus::conditions(&conditions.unwrap_or_default()),
                preserves_unknown: spec.preserve_unknown_fields == Some(true),
                conversion: spec.conversion,
            })
        })
    }
}

impl FromWire for Wire<Value> {
    fn object(self) -> Object {
        self.with(|spec, _| Body::HelmRelease(Box::new(HelmRelease::of_parts(spec))))
    }
}

impl FromWire for Wire<InstanceSpec, ApplierStatus> {
    fn object(self) -> Object {
        self.with(|spec, status| Body::FluxInstance(Box::new(FluxInstance::of(spec, status))))
    }
}

impl FromWire for Wire<KustomizationSpec, ApplierStatus> {
    fn object(self) -> Object {
        self.with(|spec, status| Body::Kustomization(Box::new(Kustomization::of(spec, status))))
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FluxSourceSpec {
    secret_ref: Option<SecretRef>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SecretRef {
    name: Option<String>,
}

impl FromWire for Wire<FluxSourceSpec> {
    fn object(self) -> Object {
        self.with(|spec, _| {
            let reference = spec.unwrap_or_default().secret_ref;
            Body::FluxSource(reference.and_then(|secret| secret.name))
        })
    }
}

impl FromWire for Wire<WorkloadSpec> {
    fn object(self) -> Object {
        self.with(|spec, _| Body::Workload(spec.unwrap_or_default().workload()))
    }
}

impl WorkloadSpec {
    fn workload(self) -> Workload {
        let pod = self.template.spec;
        let nodes = pod.node_selector.unwrap_or_default().into_iter();
        let mut workload = Workload {
            selector: self.selector.match_labels,
            labels: Template::labels(self.template.metadata),
            replicas: self.replicas,
            start: Start {
                paused: self.paused.unwrap_or_default(),
                containers: Vec::new(),
                account: pod.service_account_name.unwrap_or_default(),
                nodes: nodes
                    .map(|(key, value)| (key, value.unwrap_or_default()))
                    .collect(),
            },
            ..Workload::default()
        };
        for container in counted(pod.containers.into_iter()) {
            workload.images.push(container.image);
            let name = container.name.unwrap_or_default();
            workload.start.containers.push(name);
        }
        workload
    }
}

impl FromWire for Wire<ServiceSpec> {
    fn object(self) -> Object {
        self.with(|spec, _| {
            let spec = spec.unwrap_or_default();
            let is_external = spec.r#type.as_deref() == Some("ExternalName");
            let name = spec.external_name.unwrap_or_default();
            Body::Service(Service {
                cluster_ip: spec.cluster_ip,
                selector: Selector::of(spec.selector.unwrap_or_default()),
                external: is_external.then_some(name),
            })
        })
    }
}

/// Quantities by resource.
type Quantities = BTreeMap<String, Option<String>>;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct QuotaSpec {
    hard: Option<Quantities>,
    scopes: Option<Vec<String>>,
    scope_selector: Option<IgnoredAny>,
}

impl FromWire for Wire<QuotaSpec> {
    fn object(self) -> Object {
        self.with(|spec, _| {
            let spec = spec.unwrap_or_default();
            let scopes = spec.scopes.unwrap_or_default();
            // A scope may leave out the pods that matter.
            let is_scoped = !scopes.is_empty() || spec.scope_selector.is_some();
            let hard = spec.hard.filter(|_| !is_scoped).unwrap_or_default();
            Body::Forbids(zeros(hard).collect())
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LimitsSpec {
    limits: Option<Vec<Limit>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Limit {
    r#type: Option<String>,
    max: Option<Quantities>,
}

impl FromWire for Wire<LimitsSpec> {
    fn object(self) -> Object {
        self.with(|spec, _| {
            let limits = spec.unwrap_or_default().limits.unwrap_or_default();
            let of_pods = |limit: &Limit| {
                let of = limit.r#type.as_deref();
                of == Some("Pod") || of == Some("Container")
            };
            let limits = limits.into_iter().filter(of_pods);
            let most = limits.flat_map(|limit| zeros(limit.max.unwrap_or_default()));
            Body::Forbids(most.collect())
        })
    }
}

/// The resources whose quantity is zero.
fn zeros(quantities: Quantities) -> impl Iterator<Item = String> {
    let is_zero = |quantity: &Option<String>| {
        let digits = quantity.iter().flat_map(|text| text.chars());
        let mut digits = digits.filter(char::is_ascii_digit).peekable();
        digits.peek().is_some() && digits.all(|digit| digit == '0')
    };
    let zero = quantities
        .into_iter()
        .filter(move |(_, quantity)| is_zero(quantity));
    zero.map(|(resource, _)| resource)
}

/// Kubernetes omits `replicas` if it is 0.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ScaleSpec {
    replicas: Option<i64>,
}

impl FromWire for Wire<ScaleSpec> {
    fn object(self) -> Object {
        self.with(|spec, _| {
            let replicas = spec.unwrap_or_default().replicas;
            Body::Scale(replicas.unwrap_or_default())
        })
    }
}

impl FromWire for Wire<PolicySpec> {
    fn object(self) -> Object {
        self.with(|spec, _| {
            let spec = spec.unwrap_or_default();
            let (ingress, egress) = (spec.traffic("Ingress"), spec.traffic("Egress"));
            Body::NetworkPolicy(NetworkPolicy {
                selector: spec.pod_selector.unwrap_or_default().into(),
                ingress,
                egress,
            })
        })
    }
}

impl FromWire for BindingWire {
    fn object(self) -> Object {
        let role = self.role_ref.unwrap_or_default();
        let subjects = self.subjects.map(|all| counted(all.into_iter()));
        let binding = Binding {
            role: format!("{}/{}", role.kind, role.name),
            subjects: subjects.map(|subjects| subjects.map(Subject::grantee).collect()),
        };
        let meta = self.metadata.unwrap_or_default();
        meta.object(self.api_version, self.kind, Body::Binding(binding))
    }
}

impl Subject {
    fn grantee(self) -> Grantee {
        let name = self.name.unwrap_or_default();
        match self.kind.as_deref() {
            Some("ServiceAccount") => {
                let namespace = self.namespace.unwrap_or_default();
                Grantee::User(format!("system:serviceaccount:{namespace}:{name}"))
            }
            Some("Group") => Grantee::Group(name),
            _ => Grantee::User(name),
        }
    }
}

impl FromWire for RoleWire {
    fn object(self) -> Object {
        let rules = self.rules.map(|all| counted(all.into_iter()));
        let role = Role {
            rules: rules.map(|rules| rules.map(RuleWire::rule).collect()),
            is_aggregated: self.aggregation_rule.is_some(),
        };
        let meta = self.metadata.unwrap_or_default();
        meta.object(self.api_version, self.kind, Body::Role(role))
    }
}

impl RuleWire {
    fn rule(self) -> PolicyRule {
        PolicyRule {
            groups: self.api_groups.unwrap_or_default(),
            resources: self.resources.unwrap_or_default(),
            verbs: self.verbs.unwrap_or_default(),
            is_named: !self.resource_names.unwrap_or_default().is_empty(),
        }
    }
}

/// The wire type of each [`Kind`].
mod wire {
    use super::{
        ApplierStatus, BindingWire, DefinitionSpec, DefinitionStatus, FluxSourceSpec, InstanceSpec,
        KustomizationSpec, LimitsSpec, PolicySpec, QuotaSpec, RoleWire, ScaleSpec, ServiceSpec,
        Value, Wire, WorkloadSpec,
    };

    pub(super) type Definition = Wire<DefinitionSpec, DefinitionStatus>;
    pub(super) type HelmRelease = Wire<Value>;
    pub(super) type FluxInstance = Wire<InstanceSpec, ApplierStatus>;
    pub(super) type Kustomization = Wire<KustomizationSpec, ApplierStatus>;
    pub(super) type FluxSource = Wire<FluxSourceSpec>;
    pub(super) type Workload = Wire<WorkloadSpec>;
    pub(super) type Service = Wire<ServiceSpec>;
    pub(super) type Quota = Wire<QuotaSpec>;
    pub(super) type Limits = Wire<LimitsSpec>;
    pub(super) type NetworkPolicy = Wire<PolicySpec>;
    pub(super) type Binding = BindingWire;
    pub(super) type Role = RoleWire;
    pub(super) type Scale = Wire<ScaleSpec>;
    pub(super) type Other = Wire;
}

/// Labels that fluxkeep acts on, and flaws of any label that the apiserver refuses.
#[derive(Default)]
struct Labels {
    kept: Marks,
    flaws: Vec<Flaw>,
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = entries(deserializer)?;
        // A label that fluxkeep acts on identifies the object, so a malformed one is an error.
        let is_misshapen = |(key, value): (&String, &Value)| {
            is_kept(key) && (value.is_object() || value.is_array())
        };
        if counted(entries.iter()).any(is_misshapen) {
            return Err(D::Error::custom("a label is not a string"));
        }
        // Other labels that are not strings have no value to check.
        let texts = counted(entries.iter()).filter_map(|(key, value)| Some((key, value.as_str()?)));
        let flawed = texts.filter(|(_, value)| !is_label_value(value));
        let flaw = |(key, value): (&String, &str)| Flaw::Label {
            key: key.clone(),
            value: value.to_owned(),
        };
        Ok(Self {
            flaws: flawed.map(flaw).collect(),
            kept: kept(entries),
        })
    }
}

/// True if the apiserver accepts the label value: empty, or at most 63 letters, digits, dashes,
/// underscores and dots, with a letter or digit at both ends.
fn is_label_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    value.len() <= 63
        && ends.into_iter().flatten().all(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// Annotations that fluxkeep acts on, and the bytes of all annotations, keys and values.
#[derive(Default)]
struct Annotations {
    kept: Marks,
    bytes: usize,
}

impl Annotations {
    fn flaw(&self) -> Option<Flaw> {
        (self.bytes > MOST_ANNOTATIONS).then_some(Flaw::Annotations(self.bytes))
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = entries(deserializer)?;
        let bytes =
            |(key, value): (&String, &Value)| key.len() + value.as_str().unwrap_or_default().len();
        Ok(Self {
            bytes: counted(entries.iter()).map(bytes).sum(),
            kept: kept(entries),
        })
    }
}

/// Reads a map of labels or annotations. Any other value counts as an empty map.
fn entries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Object(entries) => Ok(entries),
        _ => Ok(Map::new()),
    }
}

/// Keeps the labels or annotations that fluxkeep acts on. Maps and lists are skipped; the apiserver
/// refuses them.
fn kept(entries: Map<String, Value>) -> Marks {
    let entries = entries.into_iter().filter(|(key, _)| is_kept(key));
    let texts = entries.filter_map(|(key, value)| {
        let text = String::deserialize(Lenient(value)).ok()?;
        Some((key, text))
    });
    texts.collect()
}
