//! The parts of a live object that the judge reads: the content of a snapshot.

use serde_json::{Map, Value, json};

use super::read::{Kind, TypeMeta};
use crate::adoption::owners::is_kept;
use crate::helm::post_renderer;
use crate::yaml::{json as read_json, scalar_at, shape};

/// Longest text of a HelmRelease that is kept, in bytes. Names have 253 at most, and a grant is short.
const LONGEST_TEXT: usize = 4 << 10;

impl TypeMeta {
    /// Reads the parts of a live object of this head from JSON:
    /// [`Kind::paths`](super::Kind::paths). Only the annotations that name an owner or a grant
    /// stay. A HelmRelease's `spec.values` keeps only scalars at the dotted paths `values`, because
    /// values may hold secrets. Its post-renderers become the one that keeps everything, or none. Long
    /// texts are cut: any tenant may write HelmReleases, and facts hold all of them.
    ///
    /// # Errors
    /// Why the text is not readable as JSON, without a value of it.
    pub fn parts(&self, text: &str, values: &[String]) -> Result<Value, String> {
        let mut parts =
            read_json(text.as_bytes(), self.body_kind().paths()).map_err(|error| shape(&error))?;
        let Some(object) = parts.as_object_mut() else {
            return Err("the object is not a map".to_owned());
        };
        // The apiserver leaves both out of the items of a list.
        object.insert("apiVersion".to_owned(), json!(self.api_version));
        object.insert("kind".to_owned(), json!(self.kind));
        if let Some(metadata) = object.get_mut("metadata") {
            keep_owners(metadata);
        }
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
            keep_values(spec, values);
            keep_post_renderers(spec);
        }
        if self.body_kind() == Kind::HelmRelease {
            shorten(&mut parts);
        }
        Ok(parts)
    }
}

fn keep_owners(metadata: &mut Value) {
    let annotations = metadata
        .get_mut("annotations")
        .and_then(Value::as_object_mut);
    if let Some(annotations) = annotations {
        annotations.retain(|key, _| is_kept(key));
    }
}

/// Keeps texts and numbers at the paths. Only a HelmRelease has `values` among its parts.
fn keep_values(spec: &mut Map<String, Value>, paths: &[String]) {
    let Some(Value::String(values)) = spec.remove("values") else {
        return;
    };
    let mut kept = Map::new();
    for path in paths {
        let keys: Vec<&str> = path.split('.').collect();
        let scalar = scalar_at(&values, &keys);
        if let Some(scalar) = scalar.filter(|scalar| !scalar.is_boolean()) {
            put(&mut kept, &keys, scalar);
        }
    }
    if !kept.is_empty() {
        spec.insert("values".to_owned(), Value::Object(kept));
    }
}

/// Only a HelmRelease has `postRenderers` among its parts.
fn keep_post_renderers(spec: &mut Map<String, Value>) {
    let Some(Value::String(renderers)) = spec.remove("postRenderers") else {
        return;
    };
    if post_renderer::keep(&renderers) {
        spec.insert("postRenderers".to_owned(), json!([post_renderer::stanza()]));
    }
}

/// Cuts texts that are longer than any that is compared.
fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => text.truncate(text.floor_char_boundary(LONGEST_TEXT)),
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

fn put(map: &mut Map<String, Value>, keys: &[&str], value: Value) {
    match keys {
        [] => {}
        [last] => {
            map.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            let below = map.entry(*first).or_insert_with(|| json!({}));
            if let Some(below) = below.as_object_mut() {
                put(below, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parts(api_version: &str, kind: &str, object: &Value, values: &[&str]) -> Value {
        let head = TypeMeta {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        };
        let values: Vec<String> = values.iter().map(|path| (*path).to_owned()).collect();
        head.parts(&object.to_string(), &values).unwrap()
    }

    #[test]
    fn schemas_environments_and_copies_stay_behind() {
        let crd = json!({"metadata": {"name": "a", "managedFields": [1], "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "s3cr3t", "fluxkeep.io/allow": "x"}},
            "spec": {"group": "g", "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"x": 1}}}]},
            "status": {"storedVersions": ["v1"], "conditions": []}});
        assert_eq!(
            parts(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                &crd,
                &[]
            ),
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "a", "annotations": {"fluxkeep.io/allow": "x"}},
                "spec": {"group": "g", "versions": [
                    {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {}}}]},
                "status": {"storedVersions": ["v1"], "conditions": []}})
        );
        let deployment = json!({"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a", "role": "r"}, "annotations": {"b": "s3cr3t"}},
                "spec": {"containers": [{"name": "m", "image": "i", "env": [{"value": "s3cr3t"}]}]}}}});
        let text = parts("apps/v1", "Deployment", &deployment, &[]).to_string();
        assert!(
            text.contains("\"image\":\"i\"") && text.contains("\"role\":\"r\""),
            "{text}"
        );
        assert!(!text.contains("s3cr3t"), "{text}");
    }

    #[test]
    fn a_helm_releases_values_stay_behind_but_for_a_version() {
        let release = json!({"metadata": {"name": "a"}, "spec": {"suspend": true, "values": {
            "password": "s3cr3t", "flux": {"version": "2.4.0", "token": "s3cr3t"},
            "map": {"password": "s3cr3t"}, "cli": {"tag": ["s3cr3t"]}}}});
        let paths = ["flux.version", "map", "cli.tag", "none"];
        let parts = parts("helm.toolkit.fluxcd.io/v2", "HelmRelease", &release, &paths);
        assert_eq!(
            parts.pointer("/spec"),
            Some(&json!({"suspend": true, "values": {"flux": {"version": "2.4.0"}}}))
        );
    }

    #[test]
    fn an_item_that_is_no_map_is_refused_without_its_value() {
        let head = TypeMeta {
            api_version: "v1".to_owned(),
            kind: "Service".to_owned(),
        };
        for text in ["\"s3cr3t\"", "[\"s3cr3t\"]", "{\"s3cr3t\": "] {
            let why = head.parts(text, &[]).unwrap_err();
            assert!(!why.contains("s3cr3t"), "{why}");
        }
    }

    #[test]
    fn facts_of_a_helm_release_are_short_whatever_a_tenant_writes() {
        let patches = vec![json!({"patch": ""}); 10_000];
        let other = json!({"kustomize": {"patches": patches}});
        let long = "x".repeat(100_000);
        let release = |renderers: Value| {
            json!({"metadata": {"name": "a", "annotations": {"fluxkeep.io/allow": long}},
                "spec": {"releaseName": long, "postRenderers": renderers,
                    "values": {"flux": {"version": long}, "x": patches}}})
        };
        let read = |renderers: Value| {
            parts(
                "helm.toolkit.fluxcd.io/v2",
                "HelmRelease",
                &release(renderers),
                &["flux.version"],
            )
        };
        let kept = read(json!([other]));
        assert!(
            kept.to_string().len() < 20_000,
            "{} bytes",
            kept.to_string().len()
        );
        assert_eq!(kept.pointer("/spec/postRenderers"), None);
        let kept = read(json!([other, post_renderer::stanza()]));
        assert_eq!(
            kept.pointer("/spec/postRenderers"),
            Some(&json!([post_renderer::stanza()]))
        );
    }
}
