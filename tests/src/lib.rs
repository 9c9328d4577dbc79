//! Parts of the whole-product tests, such as reviews and records as the real senders write them.

#![allow(clippy::expect_used, clippy::missing_panics_doc, clippy::panic)]

pub mod apiserver;
pub mod control_plane;
pub mod deletes;
pub mod fixture;
pub mod flux;
pub mod nasty;
pub mod repository;
pub mod terminal;
pub mod updates;

use fluxkeep::admission::{Answer, answer};
use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::helm::record::{Driver, write};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A moment at which no override in the tests has expired.
#[must_use]
pub fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().expect("a valid time")
}

/// An AdmissionReview with its keys in the apiserver's order.
#[derive(Debug, Clone)]
pub struct Review<'a> {
    /// `group/version/Kind`, for example `apps/v1/Deployment`; the core group is empty.
    pub kind: &'a str,
    /// The plural, for example `deployments`.
    pub resource: &'a str,
    /// For example `status`, or empty.
    pub sub_resource: &'a str,
    /// `CREATE`, `UPDATE` or `DELETE`.
    pub operation: &'a str,
    /// The requesting user.
    pub user: &'a str,
    /// The client's field manager.
    pub field_manager: &'a str,
    /// The written object; null on DELETE.
    pub object: Value,
    /// The live object; null on CREATE.
    pub old: Value,
}

impl Default for Review<'_> {
    fn default() -> Self {
        Self {
            kind: "/v1/ConfigMap",
            resource: "configmaps",
            sub_resource: "",
            operation: "CREATE",
            user: "system:serviceaccount:flux-system:helm-controller",
            field_manager: "kubectl",
            object: Value::Null,
            old: Value::Null,
        }
    }
}

impl Review<'_> {
    /// The review's bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut parts = self.kind.splitn(3, '/');
        let [group, version, kind] = [(); 3].map(|()| parts.next().unwrap_or_default());
        let about = if self.old.is_null() {
            &self.object
        } else {
            &self.old
        };
        // The resource is the Deployment's; only the subresource's kind has another group.
        let resource_group = if self.sub_resource == "scale" {
            "apps"
        } else {
            group
        };
        let text = |path: &str| {
            about
                .pointer(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let head = format!(
            r#""uid":"{UID}","kind":{},"resource":{},"subResource":{},"name":{},"namespace":{},"operation":{},"userInfo":{}"#,
            json!({"group": group, "version": version, "kind": kind}),
            json!({"group": resource_group, "version": version, "resource": self.resource}),
            json!(self.sub_resource),
            json!(text("/metadata/name")),
            json!(text("/metadata/namespace")),
            json!(self.operation),
            json!({"username": self.user, "groups": ["system:authenticated"]}),
        );
        let tail = format!(
            r#""object":{},"oldObject":{},"dryRun":false,"options":{}"#,
            self.object,
            self.old,
            json!({"fieldManager": self.field_manager}),
        );
        let review = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"#;
        format!("{review}{head},{tail}}}}}").into_bytes()
    }

    /// The judge's answer under the default policy.
    #[must_use]
    pub fn answer(&self, facts: &Facts) -> Answer {
        answer(&self.bytes(), facts, &Policy::default(), now())
    }
}

/// The uid of all reviews made here.
pub const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";

/// The Secret in which Helm stores a release, as revision 1 of `flux` in `flux-system`.
#[must_use]
pub fn record(manifest: &str, hooks: &[&str]) -> Value {
    secret(&packed(
        "flux",
        "flux-system",
        manifest,
        hooks,
        Driver::Secret,
    ))
}

/// A record's `data.release`.
#[must_use]
pub fn packed(
    name: &str,
    namespace: &str,
    manifest: &str,
    hooks: &[&str],
    driver: Driver,
) -> String {
    packed_as(1, name, namespace, manifest, hooks, driver)
}

/// Like [`packed`], as this revision of the release.
///
/// # Panics
/// Never: the record is plain JSON.
#[must_use]
pub fn packed_as(
    revision: u64,
    name: &str,
    namespace: &str,
    manifest: &str,
    hooks: &[&str],
    driver: Driver,
) -> String {
    let hooks: Vec<_> = hooks.iter().map(|hook| json!({"manifest": hook})).collect();
    let release = json!({
        "name": name,
        "namespace": namespace,
        "version": revision,
        "info": {"status": "pending-install"},
        "chart": {"metadata": {"name": "umbrella", "version": "1.0.0"}},
        "config": {"token": "hunter2"},
        "manifest": manifest,
        "hooks": hooks,
    });
    write(&release, driver).expect("plain JSON")
}

/// A record's Secret with `data` as `data.release`.
#[must_use]
pub fn secret(data: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {
            "name": "sh.helm.release.v1.flux.v1",
            "namespace": "flux-system",
            "labels": {"owner": "helm", "name": "flux", "status": "pending-install", "version": "1"},
        },
        "data": {"release": data},
    })
}

/// The review of the Secret's creation.
#[must_use]
pub fn stored(secret: Value) -> Review<'static> {
    Review {
        kind: "/v1/Secret",
        resource: "secrets",
        field_manager: "helm",
        object: secret,
        ..Review::default()
    }
}

/// A CustomResourceDefinition `things.example.org`; versions as `(name, served, storage)`.
#[must_use]
pub fn definition(versions: &[(&str, bool, bool)], stored: &[&str]) -> Value {
    let version = |(name, served, storage): &(&str, bool, bool)| json!({"name": name, "served": served, "storage": storage, "schema": {"openAPIV3Schema": {"type": "object"}}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": versions.iter().map(version).collect::<Vec<_>>(),
        },
        "status": {"storedVersions": stored},
    })
}

/// The review of a CustomResourceDefinition's update.
#[must_use]
pub fn redefined(old: Value, new: Value) -> Review<'static> {
    Review {
        kind: "apiextensions.k8s.io/v1/CustomResourceDefinition",
        resource: "customresourcedefinitions",
        operation: "UPDATE",
        object: new,
        old,
        ..Review::default()
    }
}

/// The document of an engine Deployment with this image, owned by Helm release `flux`.
#[must_use]
pub fn owned(name: &str, image: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  namespace: flux-system\n  annotations: \
         {{meta.helm.sh/release-name: flux, meta.helm.sh/release-namespace: flux-system}}\n\
         spec: {{template: {{spec: {{containers: [{{image: '{image}'}}]}}}}}}\n"
    )
}

/// Block-style YAML as kubectl prints it: list items stand at the column of their key.
#[must_use]
pub fn yaml(value: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| match value {
                Value::Object(map) if !map.is_empty() => {
                    format!("{pad}{key}:\n{}", yaml(value, indent + 2))
                }
                Value::Array(items) if !items.is_empty() => {
                    format!("{pad}{key}:\n{}", yaml(value, indent))
                }
                scalar => format!("{pad}{key}: {scalar}\n"),
            };
            map.iter().map(entry).collect()
        }
        Value::Array(items) => {
            let item = |item: &Value| match item {
                Value::Object(map) if !map.is_empty() => {
                    format!("{pad}- {}", yaml(item, indent + 2).trim_start())
                }
                scalar => format!("{pad}- {scalar}\n"),
            };
            items.iter().map(item).collect()
        }
        scalar => format!("{pad}{scalar}\n"),
    }
}
