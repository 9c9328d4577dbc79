//! Reduces objects to the parts that a snapshot keeps: those that the judge reads.

use fluxkeep::object::Head;
use fluxkeep::owners::is_kept;
use serde_json::{Map, Value, json};

/// The kept parts by kind, as JSON pointers; `*` stands for each item of a list.
fn parts(kind: &str) -> &'static [&'static str] {
    match kind {
        "CustomResourceDefinition" => &[
            "/spec/group",
            "/spec/scope",
            "/spec/names/kind",
            "/spec/names/plural",
            "/spec/preserveUnknownFields",
            "/spec/versions/*/name",
            "/spec/versions/*/served",
            "/spec/versions/*/storage",
            "/status/storedVersions",
        ],
        "Deployment" => &[
            "/spec/replicas",
            "/spec/selector/matchLabels",
            "/spec/template/metadata/labels",
            "/spec/template/spec/containers/*/name",
            "/spec/template/spec/containers/*/image",
        ],
        "HelmRelease" => &[
            "/spec/chart/spec/chart",
            "/spec/chart/spec/version",
            "/spec/chart/spec/sourceRef/kind",
            "/spec/chartRef",
            "/spec/releaseName",
            "/spec/targetNamespace",
            "/spec/storageNamespace",
            "/spec/suspend",
            "/spec/kubeConfig",
            "/spec/install/remediation",
            "/spec/install/strategy",
            "/spec/upgrade/remediation",
            "/spec/upgrade/strategy",
            "/spec/upgrade/chartNameChangeStrategy",
        ],
        "FluxInstance" => &["/spec/distribution/version", "/spec/components"],
        "Kustomization" => &[
            "/spec/prune",
            "/spec/suspend",
            "/spec/deletionPolicy",
            "/spec/sourceRef",
        ],
        "Service" => &["/spec/clusterIP", "/spec/selector"],
        "NetworkPolicy" => &["/spec/podSelector"],
        "RoleBinding" | "ClusterRoleBinding" => &["/roleRef", "/subjects"],
        _ => &[],
    }
}

/// The object's identity, labels, ownership annotations and parts. `values` are the paths of a
/// HelmRelease's values to keep.
pub(crate) fn lean(item: &Value, head: &Head, values: &[String]) -> Value {
    let kind = head.kind.as_str();
    let mut lean = json!({"apiVersion": head.api_version, "kind": kind});
    for part in ["/metadata/name", "/metadata/namespace", "/metadata/labels"] {
        copy(item, &mut lean, &segments(part));
    }
    if let Some(annotations) = item
        .pointer("/metadata/annotations")
        .and_then(Value::as_object)
    {
        let kept: Map<_, _> = annotations
            .iter()
            .filter(|(key, _)| is_kept(key))
            .map(clone)
            .collect();
        if !kept.is_empty() {
            put(&mut lean, &["metadata", "annotations"], Value::Object(kept));
        }
    }
    for part in parts(kind) {
        copy(item, &mut lean, &segments(part));
    }
    if kind == "HelmRelease" {
        for path in values {
            let path: Vec<&str> = ["spec", "values"]
                .into_iter()
                .chain(path.split('.'))
                .collect();
            copy_scalar(item, &mut lean, &path);
        }
    }
    lean
}

fn clone((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

fn segments(pointer: &str) -> Vec<&str> {
    pointer.split('/').skip(1).collect()
}

/// Copies the value at a path, if it exists.
fn copy(from: &Value, to: &mut Value, path: &[&str]) {
    if let Some(star) = path.iter().position(|segment| *segment == "*") {
        let (list, inner) = (
            path.get(..star).unwrap_or_default(),
            path.get(star + 1..).unwrap_or_default(),
        );
        let Some(items) = at(from, list).and_then(Value::as_array) else {
            return;
        };
        for (index, item) in items.iter().enumerate() {
            if let (Some(value), Some(slot)) = (at(item, inner), slot(to, list, index)) {
                put(slot, inner, value.clone());
            }
        }
    } else if let Some(value) = at(from, path) {
        put(to, path, value.clone());
    }
}

/// Copies a string or a number only. A version is a scalar; a map at its path could hold anything.
fn copy_scalar(from: &Value, to: &mut Value, path: &[&str]) {
    if at(from, path).is_some_and(|value| value.is_string() || value.is_number()) {
        copy(from, to, path);
    }
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

/// The object at an index of the list at a path; creates both if missing.
fn slot<'a>(to: &'a mut Value, list: &[&str], index: usize) -> Option<&'a mut Value> {
    if at(to, list).is_none() {
        put(to, list, json!([]));
    }
    let items = list
        .iter()
        .try_fold(to, |value, key| value.get_mut(key))?
        .as_array_mut()?;
    while items.len() <= index {
        items.push(json!({}));
    }
    items.get_mut(index)
}

fn put(to: &mut Value, path: &[&str], value: Value) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let mut place = to;
    for key in parents {
        let Some(map) = place.as_object_mut() else {
            return;
        };
        place = map.entry(*key).or_insert_with(|| json!({}));
    }
    if let Some(map) = place.as_object_mut() {
        map.insert((*last).to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(api_version: &str, kind: &str) -> Head {
        Head {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn schemas_values_environments_and_copies_stay_behind() {
        let crd = json!({"metadata": {"name": "a", "managedFields": [1], "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "s3cr3t", "fluxkeep.io/allow": "x"}},
            "spec": {"group": "g", "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"x": 1}}]},
            "status": {"storedVersions": ["v1"], "conditions": []}});
        assert_eq!(
            lean(
                &crd,
                &head("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
                &[]
            ),
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "a", "annotations": {"fluxkeep.io/allow": "x"}},
                "spec": {"group": "g", "versions": [{"name": "v1", "served": true, "storage": true}]},
                "status": {"storedVersions": ["v1"]}})
        );
    }

    #[test]
    fn of_a_helm_releases_values_only_the_version_is_kept() {
        let release = json!({"metadata": {"name": "a"}, "spec": {"suspend": true, "values": {
            "password": "s3cr3t", "flux": {"version": "2.4.0", "token": "s3cr3t"}}}});
        let lean = lean(
            &release,
            &head("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
            &["flux.version".to_owned()],
        );
        assert_eq!(
            lean.pointer("/spec"),
            Some(&json!({"suspend": true, "values": {"flux": {"version": "2.4.0"}}}))
        );
    }

    #[test]
    fn a_map_where_a_version_is_looked_for_stays_behind() {
        let release = json!({"metadata": {"name": "a"}, "spec": {"values": {
            "fluxVersion": {"password": "s3cr3t"}, "cli": {"tag": ["s3cr3t"]}}}});
        let paths = ["fluxVersion", "cli.tag"].map(str::to_owned);
        let lean = lean(
            &release,
            &head("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
            &paths,
        )
        .to_string();
        assert!(!lean.contains("s3cr3t"), "{lean}");
    }

    #[test]
    fn of_a_deployment_only_selector_labels_and_images_are_kept() {
        let deployment = json!({"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a", "role": "r"}, "annotations": {"b": "s3cr3t"}},
                "spec": {"containers": [{"name": "m", "image": "i", "env": [{"value": "s3cr3t"}]}]}}}});
        let lean = lean(&deployment, &head("apps/v1", "Deployment"), &[]).to_string();
        assert!(
            lean.contains("\"image\":\"i\"") && lean.contains("\"role\":\"r\""),
            "{lean}"
        );
        assert!(!lean.contains("s3cr3t"), "{lean}");
    }

    #[test]
    fn of_a_service_and_a_policy_it_is_kept_which_pods_they_mean() {
        let service = json!({"spec": {"clusterIP": "10.0.0.1", "selector": {"app": "a"}, "ports": [{"port": 1}]}});
        let kept = lean(&service, &head("v1", "Service"), &[]);
        assert_eq!(
            kept.get("spec"),
            Some(&json!({"clusterIP": "10.0.0.1", "selector": {"app": "a"}}))
        );
        let policy =
            json!({"spec": {"podSelector": {"matchLabels": {"app": "a"}}, "ingress": [{}]}});
        let kept = lean(&policy, &head("networking.k8s.io/v1", "NetworkPolicy"), &[]);
        assert_eq!(
            kept.get("spec"),
            Some(&json!({"podSelector": {"matchLabels": {"app": "a"}}}))
        );
    }
}
