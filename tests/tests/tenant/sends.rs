//! The tenant's requests: hostile, odd and ordinary objects.

use std::sync::LazyLock;

use fluxkeep::helm::record::Driver;
use fluxkeep_tests::packed;
use serde_json::{Value, json};

use crate::tenant::NAMESPACE;

/// A nesting depth that overflows recursive readers with a default stack.
const DEPTH: usize = 1_000;
/// Documents in a small record that unpacks to many.
const DOCUMENTS: usize = 9_900;

/// The objects; `NUMBER` in a name is replaced by the request's number.
pub(crate) fn sends() -> &'static [Value] {
    static SENDS: LazyLock<Vec<Value>> = LazyLock::new(|| {
        let manifests = [
            many_documents(),
            deep(),
            ordinary(),
            older_flux(),
            String::new(),
        ];
        let records = manifests
            .iter()
            .flat_map(|manifest| [secret(manifest), config_map(manifest)]);
        records.chain(helm_releases()).collect()
    });
    &SENDS
}

/// Thousands of documents that the line scanner cannot read and the parser must.
fn many_documents() -> String {
    let document = "---\n{kind: A, apiVersion: v1, metadata: {name: &a x, labels: {b: *a}}}\n";
    document.repeat(DOCUMENTS)
}

fn deep() -> String {
    let (open, close) = ("[".repeat(DEPTH), "]".repeat(DEPTH));
    format!("kind: ConfigMap\napiVersion: v1\nmetadata: {{name: deep}}\ndata: {open}{close}\n")
}

fn ordinary() -> String {
    "kind: ConfigMap\napiVersion: v1\nmetadata: {name: ordinary}\ndata: {a: b}\n".to_owned()
}

/// Flux 2.3.0 for the tenant's own namespace: a second Flux, but not the engine.
fn older_flux() -> String {
    let image = "ghcr.io/fluxcd/helm-controller:v1.0.1";
    format!(
        "kind: Deployment\napiVersion: apps/v1\nmetadata: {{name: helm-controller, namespace: {NAMESPACE}}}\n\
         spec: {{template: {{spec: {{containers: [{{name: manager, image: '{image}'}}]}}}}}}\n"
    )
}

fn secret(manifest: &str) -> Value {
    let data = packed("x", NAMESPACE, manifest, &[], Driver::Secret);
    json!({"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1", "metadata": metadata(),
        "data": {"release": data}})
}

fn config_map(manifest: &str) -> Value {
    let data = packed("x", NAMESPACE, manifest, &[], Driver::ConfigMap);
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(), "data": {"release": data}})
}

fn metadata() -> Value {
    json!({"name": "sh.helm.release.v1.x-NUMBER.v1", "namespace": NAMESPACE, "labels": {"owner": "helm"}})
}

/// HelmReleases with deep values, suspended ones, and one for the engine's namespace.
fn helm_releases() -> Vec<Value> {
    let deep = (0..DEPTH).fold(json!(1), |inner, _| json!({"a": inner}));
    let chart =
        json!({"spec": {"chart": "x", "sourceRef": {"kind": "HelmRepository", "name": "x"}}});
    let specs = [
        json!({"interval": "1h", "suspend": true, "chart": chart, "values": deep}),
        json!({"interval": "1h", "chart": chart, "values": deep}),
        json!({"interval": "1h", "chart": chart, "targetNamespace": "flux-system", "releaseName": "flux"}),
        json!({"interval": "1h", "chart": chart}),
    ];
    let release = |spec: Value| {
        json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "x-NUMBER", "namespace": NAMESPACE}, "spec": spec})
    };
    specs.map(release).to_vec()
}
