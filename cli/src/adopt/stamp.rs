//! A stamp records an object's changes with the former values, so both directions follow from it.

use std::fmt;

use fluxkeep::adoption::{MetadataEdit, MetadataField};
use fluxkeep::object::{Key, Object, group_and_version};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The changes of one object, including keys that already have the wanted value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stamp {
    /// For example `apps/v1`.
    pub api_version: String,
    /// For example `Deployment`.
    pub kind: String,
    /// `None` for a cluster-scoped object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`, which excludes later objects of the same name.
    pub uid: String,
    /// A change per label or annotation.
    pub changes: Vec<KeyChange>,
}

/// The former and the wanted value of a label or annotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    /// Labels or annotations.
    pub part: MetadataField,
    /// For example `helm.sh/resource-policy`.
    pub key: String,
    /// The value before; null if the key was absent.
    pub was: Option<String>,
    /// The value after; null if the key is removed.
    pub is: Option<String>,
}

/// The direction of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To adoption's wanted values.
    Adopt,
    /// Back to the former values.
    Undo,
}

/// The changes compared with the live object.
#[derive(Debug, PartialEq, Eq)]
pub struct Left<'a> {
    /// Changes that are still to be made.
    pub todo: Vec<&'a KeyChange>,
    /// Changes whose key has neither value, because another writer changed it.
    pub strange: Vec<&'a KeyChange>,
}

impl Stamp {
    /// The stamp of a live object for the wanted edits.
    #[must_use]
    pub fn of(object: &Object, uid: &str, edits: &[MetadataEdit]) -> Self {
        let change = |edit: &MetadataEdit| KeyChange {
            part: edit.part,
            key: edit.key.to_string(),
            was: edit.part.get(object, &edit.key).cloned(),
            is: edit.value.clone(),
        };
        let changes = edits
            .iter()
            .map(change)
            .filter(|change| change.was.is_some() || change.is.is_some());
        Self {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            uid: uid.to_owned(),
            changes: changes.collect(),
        }
    }

    /// The object's key.
    #[must_use]
    pub fn key(&self) -> Key {
        let (group, _) = group_and_version(&self.api_version);
        Key {
            group: group.to_owned(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    /// The changes that alter a value.
    pub fn real(&self) -> impl Iterator<Item = &KeyChange> {
        self.changes.iter().filter(|change| change.was != change.is)
    }

    /// The changes that the live object still needs.
    #[must_use]
    pub fn left(&self, live: &ObjectMeta, way: Way) -> Left<'_> {
        let mut left = Left {
            todo: Vec::new(),
            strange: Vec::new(),
        };
        for change in &self.changes {
            let (now, (from, to)) = (change.now(live), change.ends(way));
            if now == from && now != to {
                left.todo.push(change);
            } else if now != to {
                left.strange.push(change);
            }
        }
        left
    }

    /// A merge patch for these changes, valid only for the live object's version.
    #[must_use]
    pub fn merge(live: &ObjectMeta, changes: &[&KeyChange], way: Way) -> Value {
        let entries = changes
            .iter()
            .map(|change| (change.part, change.key.as_str(), json!(change.ends(way).1)));
        metadata(live, entries)
    }

    /// All wanted keys for server-side apply. The apiserver removes keys that the same manager
    /// applied earlier but omits now.
    #[must_use]
    pub fn whole(&self, live: &ObjectMeta) -> Value {
        let stands = self
            .changes
            .iter()
            .filter_map(|change| Some((change, change.is.as_ref()?)));
        let mut body = metadata(
            live,
            stands.map(|(change, value)| (change.part, change.key.as_str(), json!(value))),
        );
        if let Some(body) = body.as_object_mut() {
            body.insert("apiVersion".to_owned(), json!(self.api_version));
            body.insert("kind".to_owned(), json!(self.kind));
        }
        if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("name".to_owned(), json!(self.name));
            metadata.extend(
                self.namespace
                    .iter()
                    .map(|namespace| ("namespace".to_owned(), json!(namespace))),
            );
        }
        body
    }
}

/// Labels and annotations for the object with this uid and version only.
fn metadata<'a>(
    live: &ObjectMeta,
    entries: impl Iterator<Item = (MetadataField, &'a str, Value)>,
) -> Value {
    let mut metadata = Map::new();
    metadata.insert("uid".to_owned(), json!(live.uid));
    metadata.insert("resourceVersion".to_owned(), json!(live.resource_version));
    for (part, key, value) in entries {
        let Some(name) = part
            .path()
            .strip_prefix(&["metadata"])
            .and_then(<[_]>::first)
        else {
            continue;
        };
        if let Some(map) = metadata
            .entry(*name)
            .or_insert_with(|| json!({}))
            .as_object_mut()
        {
            map.insert(key.to_owned(), value);
        }
    }
    json!({"metadata": metadata})
}

impl KeyChange {
    /// The current value of the key.
    fn now<'a>(&self, live: &'a ObjectMeta) -> Option<&'a str> {
        let map = match self.part {
            MetadataField::Labels => &live.labels,
            MetadataField::Annotations => &live.annotations,
            // Adopting live objects changes no pod labels.
            MetadataField::PodLabels => return None,
        };
        map.as_ref()?.get(&self.key).map(String::as_str)
    }

    /// The values before and after, in this direction.
    fn ends(&self, way: Way) -> (Option<&str>, Option<&str>) {
        let (was, is) = (self.was.as_deref(), self.is.as_deref());
        match way {
            Way::Adopt => (was, is),
            Way::Undo => (is, was),
        }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key().fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        let change = |part, key: &str, was: Option<&str>, is: Option<&str>| KeyChange {
            part,
            key: key.to_owned(),
            was: was.map(str::to_owned),
            is: is.map(str::to_owned),
        };
        Stamp {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            namespace: Some("flux-system".to_owned()),
            name: "helm-controller".to_owned(),
            uid: "u".to_owned(),
            changes: vec![
                change(
                    MetadataField::Labels,
                    "managed-by",
                    Some("kustomize"),
                    Some("Helm"),
                ),
                change(MetadataField::Labels, "tie", Some("a"), None),
                change(
                    MetadataField::Annotations,
                    "keep",
                    Some("keep"),
                    Some("keep"),
                ),
            ],
        }
    }

    fn live(labels: &[(&str, &str)]) -> ObjectMeta {
        let map = |pairs: &[(&str, &str)]| {
            Some(
                pairs
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
            )
        };
        let (uid, resource_version) = (Some("u".to_owned()), Some("7".to_owned()));
        ObjectMeta {
            uid,
            resource_version,
            labels: map(labels),
            annotations: map(&[("keep", "keep")]),
            ..ObjectMeta::default()
        }
    }

    /// The keys still to be changed, and those that another writer changed.
    fn left(labels: &[(&str, &str)], way: Way) -> (Vec<String>, Vec<String>) {
        let (stamp, live) = (stamp(), live(labels));
        let Left { todo, strange } = stamp.left(&live, way);
        let keys = |changes: Vec<&KeyChange>| {
            changes
                .into_iter()
                .map(|change| change.key.clone())
                .collect()
        };
        (keys(todo), keys(strange))
    }

    #[test]
    fn what_is_done_is_not_done_again_in_either_direction() {
        let [managed, tie] = ["managed-by", "tie"].map(str::to_owned);
        let before = [("managed-by", "kustomize"), ("tie", "a")];
        let half = [("managed-by", "kustomize")];
        let after = [("managed-by", "Helm")];
        assert_eq!(
            left(&before, Way::Adopt),
            (vec![managed.clone(), tie.clone()], vec![])
        );
        assert_eq!(left(&half, Way::Adopt), (vec![managed.clone()], vec![]));
        assert_eq!(left(&after, Way::Adopt), (vec![], vec![]));
        assert_eq!(
            left(&after, Way::Undo),
            (vec![managed, tie.clone()], vec![])
        );
        assert_eq!(left(&half, Way::Undo), (vec![tie], vec![]));
        assert_eq!(left(&before, Way::Undo), (vec![], vec![]));
    }

    #[test]
    fn what_somebody_else_wrote_is_told_and_not_written_over() {
        let theirs = [("managed-by", "somebody"), ("tie", "a")];
        let strange = vec!["managed-by".to_owned()];
        assert_eq!(
            left(&theirs, Way::Adopt),
            (vec!["tie".to_owned()], strange.clone())
        );
        assert_eq!(left(&theirs, Way::Undo), (vec![], strange));
    }

    #[test]
    fn patches_are_for_one_version_and_an_apply_holds_all_that_is_to_stand() {
        let (stamp, live) = (stamp(), live(&[("managed-by", "kustomize"), ("tie", "a")]));
        let back = Stamp::merge(&live, &stamp.changes.iter().collect::<Vec<_>>(), Way::Undo);
        let labels = json!({"managed-by": "kustomize", "tie": "a"});
        let metadata = json!({"uid": "u", "resourceVersion": "7", "labels": labels, "annotations": {"keep": "keep"}});
        assert_eq!(back, json!({"metadata": metadata}));
        let metadata = json!({"name": "helm-controller", "namespace": "flux-system", "uid": "u",
            "resourceVersion": "7", "labels": {"managed-by": "Helm"}, "annotations": {"keep": "keep"}});
        let whole = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata});
        assert_eq!(stamp.whole(&live), whole);
    }
}
