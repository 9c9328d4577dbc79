//! The post-renderer that admission adds to a HelmRelease of the engine, if the policy allows it.
//! It keeps every object of the release.
//!
//! The addition is visible on the object, happens once, and changes nothing else. A release that
//! neither owns Flux nor declares Flux stays as written.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchError, PatchOperation};
use serde_json::{Value, json};

use crate::case::finding::Finding;
use crate::case::overrides::Overrides;
use crate::case::rule::Case;
use crate::case::target_flux;
use crate::helm::post_renderer::stanza;
use crate::rules::engine_object_unkept;

/// Annotation that names the field which fluxkeep added to a HelmRelease on admission.
pub const ADDED: &str = "fluxkeep.io/added";
/// The field that fluxkeep adds.
pub const FIELD: &str = "spec.postRenderers";

/// Reasons against the addition.
#[derive(Debug, thiserror::Error)]
pub enum Unpatched {
    /// The post-renderers are not a list. A patch might even apply to such a value.
    #[error("the existing value is not a list")]
    NotAList,
    /// The patch does not apply to the object.
    #[error("{0}")]
    DoesNotApply(#[from] PatchError),
}

/// True if the written HelmRelease needs the post-renderer: it holds the engine, lacks the
/// post-renderer, and no override excuses it from `engine-object-unkept`.
#[must_use]
pub fn is_due(case: &Case<'_>) -> bool {
    let new = case.change().and_then(|change| change.new.as_ref());
    let Some((object, release)) = new.and_then(|new| Some((new, new.helm_release()?))) else {
        return false;
    };
    if release.keeps_everything() || !target_flux::holds(object, case.facts, case.engine()) {
        return false;
    }
    let unkept = Finding::about(object, "/spec/postRenderers", String::new(), String::new());
    let unkept = Finding {
        rule: engine_object_unkept::RULE.id,
        ..unkept
    };
    !matches!(Overrides::of(case).claim(&unkept), Some(Ok(_)))
}

/// The patch that appends the post-renderer and records the addition in an annotation. The patch
/// was tried on the object.
///
/// # Errors
/// If the post-renderers are not a list, or the patch does not apply, for example without a `spec`.
pub fn patch(object: &Value) -> Result<Patch, Unpatched> {
    let there = |pointer| object.pointer(pointer).filter(|value| !value.is_null());
    let renderers = ["spec", "postRenderers"];
    let mut operations = match there("/spec/postRenderers") {
        None => vec![add(renderers, json!([stanza()]))],
        Some(Value::Array(_)) => vec![add(renderers.into_iter().chain(["-"]), stanza())],
        Some(_) => return Err(Unpatched::NotAList),
    };
    let annotations = ["metadata", "annotations"];
    if there("/metadata/annotations").is_none() {
        operations.push(add(annotations, json!({})));
    }
    operations.push(add(annotations.into_iter().chain([ADDED]), json!(FIELD)));
    let patch = Patch(operations);
    json_patch::patch(&mut object.clone(), &patch)?;
    Ok(patch)
}

fn add<'a>(path: impl IntoIterator<Item = &'a str>, value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation {
        path: PointerBuf::from_tokens(path),
        value,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::helm::release::HelmRelease;

    fn patched(object: &Value) -> Value {
        let mut after = object.clone();
        json_patch::patch(&mut after, &patch(object).unwrap()).unwrap();
        after
    }

    #[test]
    fn what_was_there_stays_and_the_stanza_comes_last() {
        let own = json!({"kustomize": {"images": [{"name": "a", "newTag": "b"}]}});
        let told = json!({"fluxkeep.io/added": "spec.postRenderers"});
        for (had, expected) in [
            (json!({}), json!([stanza()])),
            (json!({"postRenderers": null}), json!([stanza()])),
            (json!({"postRenderers": []}), json!([stanza()])),
            (json!({"postRenderers": [own]}), json!([own, stanza()])),
        ] {
            let mut object = json!({"metadata": {"name": "flux"}, "spec": had});
            object["spec"]["interval"] = json!("1h");
            let after = patched(&object);
            let spec = json!({"interval": "1h", "postRenderers": expected});
            assert_eq!(
                after,
                json!({"metadata": {"name": "flux", "annotations": told}, "spec": spec}),
                "{had}"
            );
            assert!(HelmRelease::new(Some(after["spec"].clone())).keeps_everything());
        }
    }

    #[test]
    fn annotations_stay_and_a_null_counts_as_none() {
        let with =
            |annotations: Value| json!({"metadata": {"annotations": annotations}, "spec": {}});
        let told = |object: Value| patched(&object)["metadata"]["annotations"].clone();
        assert_eq!(
            told(with(json!({"a/b": "c"}))),
            json!({"a/b": "c", "fluxkeep.io/added": "spec.postRenderers"})
        );
        assert_eq!(
            told(with(Value::Null)),
            json!({"fluxkeep.io/added": "spec.postRenderers"})
        );
    }

    #[test]
    fn a_patch_that_does_not_apply_is_no_patch() {
        for object in [
            json!({"metadata": {}}),
            json!({"metadata": {}, "spec": "x"}),
            json!({"metadata": {}, "spec": {"postRenderers": "hunter2"}}),
            json!({"metadata": {}, "spec": {"postRenderers": {"kustomize": {"x": "hunter2"}}}}),
            json!({"metadata": {"annotations": "hunter2"}, "spec": {}}),
            json!({"spec": {}}),
        ] {
            let why = patch(&object).unwrap_err().to_string();
            let is_told =
                why.contains("path is invalid") || why == "the existing value is not a list";
            assert!(is_told && !why.contains("hunter2"), "{object}: {why}");
        }
    }
}
