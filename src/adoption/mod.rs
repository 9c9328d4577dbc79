//! The labels and annotations with which Helm takes over the engine and never deletes it.
//!
//! Helm reads `helm.sh/resource-policy: keep` from the manifest that it stored, and ownership from
//! the live object. Both must be in the manifest before Helm sees it. The plan guesses nothing:
//! keys that neither the facts nor the caller name stay as they are.

pub mod owners;
mod pods;

pub use pods::Selecting;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::adoption::owners::{Holder, Mark, Tool, foreign_marks};
use crate::case::facts::Facts;
use crate::flux::engine::Engine;
use crate::helm::{MANAGED_BY, Owner, RELEASE_NAME, RELEASE_NAMESPACE, RESOURCE_POLICY};
use crate::object::{Body, Marks, Object};
use crate::rules::foreign_owner::stranger;

/// The knowledge available while a manifest is rendered.
#[derive(Debug, Clone, Copy)]
pub struct Adopter<'a> {
    /// The cluster, if known.
    pub facts: Option<&'a Facts>,
    /// The profile that identifies the engine.
    pub engine: &'a Engine,
    /// The release, if the caller names it.
    pub owner: Option<&'a Owner>,
}

/// The ownership of a live object, seen from the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// The cluster is unknown or the facts omit this kind. Or a release owns the object, and the
    /// judged release's name is unknown.
    Unknown,
    /// The object does not exist yet.
    Absent,
    /// The object has no owner: this release takes it over.
    Unowned,
    /// This release already owns the object.
    Ours,
    /// Another owner, named here.
    Foreign(String),
}

/// The place of labels or annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetadataField {
    /// `metadata.labels`.
    Labels,
    /// `metadata.annotations`.
    Annotations,
    /// `spec.template.metadata.labels`: the labels of a workload's pods.
    #[serde(skip)]
    PodLabels,
}

/// A label or annotation to write or remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataEdit {
    /// Labels, annotations or pod labels.
    pub part: MetadataField,
    /// For example `helm.sh/resource-policy`.
    pub key: Cow<'static, str>,
    /// `None` removes the key.
    pub value: Option<String>,
    /// The reason, for the report.
    pub reason: String,
}

impl Adopter<'_> {
    /// The ownership of the live object with this object's key.
    #[must_use]
    pub fn standing(&self, object: &Object) -> Ownership {
        let Some(facts) = self.facts else {
            return Ownership::Unknown;
        };
        let Some(live) = facts.live(&object.key()) else {
            return self.missing(object);
        };
        match stranger(live, self.owner) {
            Err(_) => Ownership::Unknown,
            Ok(Some(other)) if !other.is_gone(facts, self.engine) => {
                Ownership::Foreign(other.to_string())
            }
            Ok(None) if live.owner().is_some() => Ownership::Ours,
            Ok(_) => Ownership::Unowned,
        }
    }

    /// For a missing object: absent if the facts hold all of its kind, as for the engine and CRDs.
    /// Facts hold no strangers' objects, so those are unknown.
    fn missing(&self, object: &Object) -> Ownership {
        if self.keeps(object) {
            Ownership::Absent
        } else {
            Ownership::Unknown
        }
    }

    /// True if Helm must keep the object: the engine's and every CRD. Hooks are left out: Helm
    /// creates and removes them on its own.
    #[must_use]
    pub fn keeps(&self, object: &Object) -> bool {
        let is_definition =
            object.group() == "apiextensions.k8s.io" && object.kind == "CustomResourceDefinition";
        !object.is_hook() && (is_definition || self.engine.part(object).is_some())
    }

    /// The edits that an object of the release still needs.
    #[must_use]
    pub fn plan(&self, object: &Object) -> Vec<MetadataEdit> {
        let mut edits = self.wanted(object);
        edits.retain(|edit| edit.part.get(object, &edit.key) != edit.value.as_ref());
        edits
    }

    /// Like [`Adopter::plan`], but with edits that are already there. Empty for an object that is
    /// neither the engine's nor a CRD.
    #[must_use]
    pub fn wanted(&self, object: &Object) -> Vec<MetadataEdit> {
        if !self.keeps(object) {
            return Vec::new();
        }
        let standing = self.standing(object);
        let mut edits = vec![keep()];
        if let Some(owner) = self
            .owner
            .filter(|_| !matches!(standing, Ownership::Foreign(_)))
        {
            edits.extend(ownership(owner));
        }
        if self.owner.is_some() && matches!(standing, Ownership::Unowned | Ownership::Ours) {
            edits.extend(foreign_marks().map(untie));
        }
        edits
    }
}

fn keep() -> MetadataEdit {
    let reason = "so that neither an uninstall nor a later revision of the release deletes it";
    MetadataEdit {
        part: MetadataField::Annotations,
        key: RESOURCE_POLICY.into(),
        value: Some("keep".to_owned()),
        reason: reason.to_owned(),
    }
}

fn ownership(owner: &Owner) -> [MetadataEdit; 3] {
    let entry = |part, key: &'static str, value: &str| MetadataEdit {
        part,
        key: key.into(),
        value: Some(value.to_owned()),
        reason: format!("so that Helm knows it as part of release {owner}"),
    };
    [
        entry(MetadataField::Labels, MANAGED_BY, "Helm"),
        entry(MetadataField::Annotations, RELEASE_NAME, &owner.name),
        entry(
            MetadataField::Annotations,
            RELEASE_NAMESPACE,
            &owner.namespace,
        ),
    ]
}

fn untie((tool, Mark(part, key)): (&Tool, Mark)) -> MetadataEdit {
    let tool = tool.name;
    MetadataEdit {
        part,
        key: key.into(),
        value: None,
        reason: format!("so that {tool} does not prune it"),
    }
}

impl Ownership {
    /// The name in reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Absent => "absent",
            Self::Unowned => "unowned",
            Self::Ours => "ours",
            Self::Foreign(_) => "foreign",
        }
    }
}

impl MetadataField {
    /// The keys that lead to this part.
    #[must_use]
    pub const fn path(self) -> &'static [&'static str] {
        match self {
            Self::Labels => &["metadata", "labels"],
            Self::Annotations => &["metadata", "annotations"],
            Self::PodLabels => &["spec", "template", "metadata", "labels"],
        }
    }

    /// The value of a key of this part.
    #[must_use]
    pub fn get<'a>(self, object: &'a Object, key: &str) -> Option<&'a String> {
        match (self, &object.body) {
            (Self::Labels, _) => object.labels.get(key),
            (Self::Annotations, _) => object.annotations.get(key),
            (Self::PodLabels, Body::Workload(workload)) => workload.labels.get(key),
            (Self::PodLabels, _) => None,
        }
    }

    fn of(self, object: &mut Object) -> Option<&mut Marks> {
        match (self, &mut object.body) {
            (Self::Labels, _) => Some(&mut object.labels),
            (Self::Annotations, _) => Some(&mut object.annotations),
            (Self::PodLabels, Body::Workload(workload)) => Some(&mut workload.labels),
            (Self::PodLabels, _) => None,
        }
    }
}

impl MetadataEdit {
    /// JSON pointer to the edited key.
    #[must_use]
    pub fn path(&self) -> String {
        format!(
            "/{}/{}",
            self.part.path().join("/"),
            self.key.replace('~', "~0").replace('/', "~1")
        )
    }

    /// Applies the edit to an object in memory.
    pub fn make(&self, object: &mut Object) {
        let Some(marks) = self.part.of(object) else {
            return;
        };
        match &self.value {
            Some(value) => marks.insert(self.key.to_string(), value.clone()),
            None => marks.remove(&self.key),
        };
    }
}

/// Removes the owner's labels and annotations from an object.
#[must_use]
pub fn let_go(mut object: Object, holder: &Holder) -> Object {
    for Mark(part, key) in holder.tool.marks {
        if let Some(labels) = part.of(&mut object) {
            labels.remove(key);
        }
    }
    object
}

/// The edits of an object as a JSON merge patch of its document.
#[must_use]
pub fn patch(edits: &[MetadataEdit]) -> Value {
    let parts = [
        MetadataField::Labels,
        MetadataField::Annotations,
        MetadataField::PodLabels,
    ]
    .into_iter();
    let patches = parts.filter_map(|part| {
        let edits = edits.iter().filter(|edit| edit.part == part);
        let entries: Map<_, _> = edits
            .map(|edit| (edit.key.to_string(), json!(edit.value)))
            .collect();
        (!entries.is_empty()).then(|| {
            part.path()
                .iter()
                .rev()
                .fold(json!(entries), |inner, key| json!({*key: inner}))
        })
    });
    let mut whole = json!({});
    patches.for_each(|patch| join(&mut whole, patch));
    whole
}

/// Merges `part` into `whole`, key by key.
fn join(whole: &mut Value, part: Value) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part {
                join(whole.entry(key).or_insert(Value::Null), value);
            }
        }
        (whole, part) => *whole = part,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::manifest::{Reading, read};

    const LIVE: &str =
        "apiVersion: v1\nkind: Service\nmetadata: {name: source-controller, namespace: flux-system";
    const HELM: &str = ", annotations: {meta.helm.sh/release-name: NAME, meta.helm.sh/release-namespace: flux-system}}";
    const KUSTOMIZATION: &str = ", labels: {kustomize.toolkit.fluxcd.io/name: a, kustomize.toolkit.fluxcd.io/namespace: b}}";

    fn objects(text: &str) -> Vec<Object> {
        read(
            text,
            Reading {
                namespace: Some("flux-system"),
                ..Reading::default()
            },
        )
        .unwrap()
    }

    /// The standing and the keys to write, for a Service rendered over a live one.
    fn planned(
        rendered: &str,
        live: Option<&str>,
        owner: Option<&str>,
    ) -> (Ownership, Vec<String>) {
        let facts = live.map(|live| Facts::of(objects(live)));
        let owner = owner.map(|name| Owner {
            name: name.to_owned(),
            namespace: "flux-system".to_owned(),
        });
        let engine = Engine::default();
        let adopter = Adopter {
            facts: facts.as_ref(),
            engine: &engine,
            owner: owner.as_ref(),
        };
        let object = objects(rendered).into_iter().next().unwrap();
        let sign = |edit: &MetadataEdit| if edit.value.is_some() { "+" } else { "-" };
        let keys = adopter
            .plan(&object)
            .iter()
            .map(|edit| format!("{}{}", sign(edit), edit.key))
            .collect();
        (adopter.standing(&object), keys)
    }

    const OWNED: [&str; 4] = [
        "+helm.sh/resource-policy",
        "+app.kubernetes.io/managed-by",
        "+meta.helm.sh/release-name",
        "+meta.helm.sh/release-namespace",
    ];

    #[test]
    fn what_is_not_told_is_not_written() {
        let rendered = format!("{LIVE}}}");
        assert_eq!(
            planned(&rendered, None, None),
            (
                Ownership::Unknown,
                vec!["+helm.sh/resource-policy".to_owned()]
            )
        );
        let theirs = format!("{LIVE}{}", HELM.replace("NAME", "flux"));
        assert_eq!(
            planned(&rendered, Some(&theirs), None).0,
            Ownership::Unknown
        );
    }

    #[test]
    fn a_release_that_is_told_takes_over_what_nobody_else_owns() {
        let rendered = format!("{LIVE}}}");
        for (live, standing) in [
            ("kind: Other".to_owned(), Ownership::Absent),
            (rendered.clone(), Ownership::Unowned),
            (
                format!("{LIVE}{}", HELM.replace("NAME", "flux")),
                Ownership::Ours,
            ),
        ] {
            assert_eq!(
                planned(&rendered, Some(&live), Some("flux")),
                (standing, OWNED.map(str::to_owned).to_vec())
            );
        }
        let kept = vec!["+helm.sh/resource-policy".to_owned()];
        let other = Ownership::Foreign("Helm release flux-system/other".to_owned());
        assert_eq!(
            planned(
                &rendered,
                Some(&format!("{LIVE}{}", HELM.replace("NAME", "other"))),
                Some("flux")
            ),
            (other, kept.clone())
        );
        let other = Ownership::Foreign("Kustomization b/a".to_owned());
        assert_eq!(
            planned(
                &rendered,
                Some(&format!("{LIVE}{KUSTOMIZATION}")),
                Some("flux")
            ),
            (other, kept)
        );
    }

    #[test]
    fn ties_to_another_owner_go_only_where_this_release_takes_over() {
        let rendered = format!("{LIVE}{KUSTOMIZATION}");
        let untied = |live: &str, owner| {
            planned(&rendered, Some(live), owner)
                .1
                .iter()
                .any(|key| key.starts_with('-'))
        };
        let live = format!("{LIVE}}}");
        assert!(untied(&live, Some("flux")));
        assert!(!untied(&live, None), "nobody told who takes over");
        assert!(
            !untied("kind: Other", Some("flux")),
            "nothing is there to take over"
        );
    }

    #[test]
    fn what_nobody_looks_at_is_not_said_to_be_absent() {
        let stranger = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}";
        assert_eq!(
            planned(stranger, Some("kind: Other"), Some("flux")).0,
            Ownership::Unknown
        );
        assert_eq!(
            planned(stranger, Some(stranger), Some("flux")).0,
            Ownership::Unowned
        );
    }

    #[test]
    fn strangers_and_hooks_are_left_alone_and_every_crd_is_kept() {
        let hook = format!("{LIVE}, annotations: {{helm.sh/hook: pre-install}}}}");
        for text in [
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}",
            hook.as_str(),
        ] {
            assert_eq!(
                planned(text, Some("kind: Other"), Some("flux")).1,
                Vec::<String>::new()
            );
        }
        let stranger = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a.example.com}";
        assert_eq!(
            planned(stranger, None, None).1,
            ["+helm.sh/resource-policy"]
        );
    }

    #[test]
    fn a_plan_that_is_carried_out_leaves_nothing_to_do() {
        let facts = Facts::of(objects(&format!("{LIVE}}}")));
        let (engine, owner) = (
            Engine::default(),
            Owner {
                name: "flux".to_owned(),
                namespace: "flux-system".to_owned(),
            },
        );
        let adopter = Adopter {
            facts: Some(&facts),
            engine: &engine,
            owner: Some(&owner),
        };
        let mut object = objects(&format!("{LIVE}{KUSTOMIZATION}"))
            .into_iter()
            .next()
            .unwrap();
        let edits = adopter.plan(&object);
        let expected = json!({"metadata": {
            "annotations": {
                "helm.sh/resource-policy": "keep",
                "meta.helm.sh/release-name": "flux",
                "meta.helm.sh/release-namespace": "flux-system",
            },
            "labels": {
                "app.kubernetes.io/managed-by": "Helm",
                "kustomize.toolkit.fluxcd.io/name": null,
                "kustomize.toolkit.fluxcd.io/namespace": null,
            },
        }});
        assert_eq!(patch(&edits), expected);
        for edit in &edits {
            edit.make(&mut object);
        }
        assert_eq!(adopter.plan(&object), []);
    }
}
