//! The post-renderer for helm-controller: an entry of a HelmRelease's `spec.postRenderers` that
//! keeps every object of the release. helm-controller runs no foreign program.
//!
//! The entry never uses `spec.commonMetadata`. If an attempt downgrades the HelmRelease's own CRD,
//! that prunes the field, and the next attempt deletes everything.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::RESOURCE_POLICY;
use crate::yaml::{self, Paths};

/// The target that matches every object.
pub const EVERY_KIND: &str = ".*";

/// The smallest post-renderer that helm-controller accepts. It refuses a post-renderer without a
/// target, or a patch without kind and name.
#[must_use]
pub fn stanza() -> Value {
    json!({"kustomize": {"patches": [{"target": {"kind": EVERY_KIND}, "patch": patch()}]}})
}

/// The merge patch that adds the post-renderer to a HelmRelease. `None` if it is there.
#[must_use]
pub fn addition(release: &Value) -> Option<Value> {
    let written = release
        .pointer("/spec/postRenderers")
        .and_then(Value::as_array);
    let renderers = match written {
        Some(has) if has.iter().any(keeps) => return None,
        Some(has) if !has.is_empty() => json!({"-": stanza()}),
        _ => json!([stanza()]),
    };
    Some(json!({"spec": {"postRenderers": renderers}}))
}

/// The kustomize patch of [`stanza`].
#[must_use]
pub fn patch() -> String {
    format!("kind: X\nmetadata:\n  name: x\n  annotations:\n    {RESOURCE_POLICY}: keep\n")
}

/// Longest patch that is compared with [`stanza`], in bytes of JSON.
const LONGEST_PATCH: usize = 4 << 10;

/// A post-renderer, as far as [`keep`] compares it.
#[derive(Deserialize)]
struct Renderer<'a> {
    #[serde(borrow)]
    kustomize: Option<Kustomize<'a>>,
}

#[derive(Deserialize)]
struct Kustomize<'a> {
    #[serde(borrow)]
    patches: Option<Vec<&'a RawValue>>,
}

/// True if one of these post-renderers, a JSON list, already keeps every object. Reads them one by
/// one: any tenant may write a hundred thousand of them. A long patch does more than keep.
#[must_use]
pub fn keep(renderers: &str) -> bool {
    let renderers: Vec<&RawValue> = serde_json::from_str(renderers).unwrap_or_default();
    for renderer in renderers {
        let Ok(renderer) = serde_json::from_str::<Renderer<'_>>(renderer.get()) else {
            continue;
        };
        let patches = renderer.kustomize.and_then(|kustomize| kustomize.patches);
        for patch in patches.into_iter().flatten() {
            let is_short = patch.get().len() <= LONGEST_PATCH;
            if is_short && serde_json::from_str(patch.get()).is_ok_and(|patch| is_keeping(&patch)) {
                return true;
            }
        }
    }
    false
}

/// True if a post-renderer already keeps every object: a kustomize patch, written in any way, with
/// any kind as its only target condition.
#[must_use]
pub fn keeps(renderer: &Value) -> bool {
    let patches = renderer
        .pointer("/kustomize/patches")
        .and_then(Value::as_array);
    patches.into_iter().flatten().any(is_keeping)
}

fn is_keeping(patch: &Value) -> bool {
    meets_all(patch) && writes_keep(patch)
}

fn meets_all(patch: &Value) -> bool {
    patch.get("target") == Some(&json!({"kind": EVERY_KIND}))
}

/// Helm's uninstall trims and lower-cases the value; its upgrade and rollback compare it exactly.
fn writes_keep(patch: &Value) -> bool {
    let text = patch
        .get("patch")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let read = yaml::documents(text)
        .next()
        .and_then(|document| document.read_paths(&Paths::Whole).ok())
        .unwrap_or_default();
    let policy = read
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(RESOURCE_POLICY)?.as_str());
    policy == Some("keep")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(target: &Value, patch: &str) -> bool {
        keeps(&json!({"kustomize": {"patches": [{"target": target, "patch": patch}]}}))
    }

    #[test]
    fn the_stanza_keeps_everything() {
        assert!(keeps(&stanza()));
    }

    #[test]
    fn a_patch_that_keeps_may_be_written_in_any_way() {
        for patch in [
            "kind: X\nmetadata: {name: x, annotations: {helm.sh/resource-policy: keep}}",
            r#"{"kind":"X","metadata":{"name":"x","annotations":{"helm.sh/resource-policy":"keep"}}}"#,
            "kind: X\nmetadata:\n  name: x\n  annotations:\n    a: b\n    'helm.sh/resource-policy': \"keep\" # c\n",
        ] {
            assert!(with(&json!({"kind": ".*"}), patch), "{patch}");
        }
    }

    #[test]
    fn only_a_patch_that_meets_every_object_and_keeps_it_does() {
        let kept = patch();
        for target in [
            json!({"kind": "Deployment"}),
            json!({"kind": ".*", "name": "x"}),
            json!({}),
            Value::Null,
        ] {
            assert!(!with(&target, &kept), "{target}");
        }
        for patch in [
            &kept.replace("keep", "keeper"),
            &kept.replace("keep", "delete"),
            &kept.replace("keep", "Keep"),
            &kept.replace("annotations", "labels"),
            &kept.replace("    helm.sh", "    # helm.sh"),
            "[{op: add, path: /metadata/annotations/helm.sh~1resource-policy, value: keep}]",
            "no: [yaml",
            "",
        ] {
            assert!(!with(&json!({"kind": ".*"}), patch), "{patch}");
        }
        for other in [
            Value::Null,
            json!({}),
            json!("x"),
            json!({"kustomize": {"patches": "x"}}),
        ] {
            assert!(!keeps(&other), "{other}");
        }
    }
}
