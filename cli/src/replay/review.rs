//! AdmissionReviews as the apiserver sends them.

use anyhow::Context;
use fluxkeep::helm::record::{Driver, write};
use fluxkeep::object::group_and_version;
use serde_json::{Value, json};

/// A request to the apiserver and its user.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) operation: &'static str,
    pub(super) resource: &'static str,
    pub(super) user: &'static str,
    pub(super) old: Value,
    pub(super) new: Value,
}

impl Ask {
    pub(super) fn create(resource: &'static str, user: &'static str, new: Value) -> Self {
        Self {
            operation: "CREATE",
            resource,
            user,
            old: Value::Null,
            new,
        }
    }

    pub(super) fn update(
        resource: &'static str,
        user: &'static str,
        old: Value,
        new: Value,
    ) -> Self {
        Self {
            operation: "UPDATE",
            resource,
            user,
            old,
            new,
        }
    }

    pub(super) fn delete(resource: &'static str, user: &'static str, old: Value) -> Self {
        Self {
            operation: "DELETE",
            resource,
            user,
            old,
            new: Value::Null,
        }
    }

    /// The request in one line, as `CREATE secrets flux-system/sh.helm.release.v1.flux.v1`.
    pub(super) fn line(&self) -> String {
        let space = self.text("/metadata/namespace");
        let slash = if space.is_empty() { "" } else { "/" };
        format!(
            "{} {} {space}{slash}{}",
            self.operation,
            self.resource,
            self.text("/metadata/name")
        )
    }

    /// The review with `number` in its uid and keys in the apiserver's order.
    pub(super) fn review(&self, number: usize) -> String {
        let (group, version) = group_and_version(self.text("/apiVersion"));
        let request = [
            (
                "uid",
                json!(format!("00000000-0000-4000-8000-{number:012}")),
            ),
            (
                "kind",
                json!({"group": group, "version": version, "kind": self.text("/kind")}),
            ),
            (
                "resource",
                json!({"group": group, "version": version, "resource": self.resource}),
            ),
            ("name", json!(self.text("/metadata/name"))),
            ("namespace", json!(self.text("/metadata/namespace"))),
            ("operation", json!(self.operation)),
            ("userInfo", json!({"username": self.user})),
            ("object", self.new.clone()),
            ("oldObject", self.old.clone()),
            ("dryRun", json!(false)),
        ];
        let fields: Vec<String> = request
            .iter()
            .map(|(key, value)| format!("{}:{value}", json!(key)))
            .collect();
        format!(
            r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{{}}}}}"#,
            fields.join(",")
        )
    }

    fn text(&self, pointer: &str) -> &str {
        let object = if self.old.is_null() {
            &self.new
        } else {
            &self.old
        };
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// The Secret in which Helm stores a revision of a release.
pub(super) fn record(
    name: &str,
    namespace: &str,
    revision: u32,
    manifest: &[Value],
) -> anyhow::Result<Value> {
    let documents: Vec<String> = manifest
        .iter()
        .map(|object| format!("---\n{object}\n"))
        .collect();
    let status = if revision == 1 {
        "pending-install"
    } else {
        "pending-upgrade"
    };
    let release = json!({"name": name, "namespace": namespace, "version": revision, "info": {"status": status},
        "manifest": documents.concat(), "hooks": []});
    let data = write(&release, Driver::Secret).context("packing the release record")?;
    Ok(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": {"name": format!("sh.helm.release.v1.{name}.v{revision}"), "namespace": namespace,
            "labels": {"owner": "helm", "name": name, "status": status, "version": revision.to_string()}},
        "data": {"release": data},
    }))
}

/// A HelmRelease `flux` of the community's chart.
pub(super) fn helm_release(chart_version: &str, retries: u32) -> Value {
    let chart = json!({"spec": {"chart": "flux2", "version": chart_version,
        "sourceRef": {"kind": "HelmRepository", "name": "fluxcd-community"}}});
    let mut spec = json!({"interval": "10m", "releaseName": "flux", "targetNamespace": "flux-system", "chart": chart});
    if retries > 0 {
        super::stage::set(
            &mut spec,
            "",
            "install",
            json!({"remediation": {"retries": retries}}),
        );
    }
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "flux", "namespace": "flux-system"}, "spec": spec})
}
