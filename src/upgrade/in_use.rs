//! Flux's custom resources in a cluster: their number, and the API versions of their manifests.
//!
//! `metadata.managedFields` names the API version in which each client wrote `spec`. A manifest in a
//! version that a release no longer serves fails to apply afterwards. Status and finalizers are
//! written by Flux's own controllers, which use the version that their release stores.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::adoption::owners::holder;
use crate::case::facts::Facts;
use crate::flux::catalogue::{FluxRelease, Offer};
use crate::object::Object;

/// Fields of `spec` that a kind's older API versions have and its newest lacks, with the remedy.
/// Compared with the CRDs of Flux 2.1 to 2.8; the fields go with the versions.
const LOST: [(&str, &str, &str); 9] = [
    (BUCKETS, "accessFrom", "remove it: it had no effect"),
    (GIT, "accessFrom", "remove it: it had no effect"),
    (GIT, "gitImplementation", "remove it: it had no effect"),
    (CHARTS, "accessFrom", "remove it: it had no effect"),
    (CHARTS, "valuesFile", "use valuesFiles"),
    (RELEASES, "chart.spec.valuesFile", "use valuesFiles"),
    (KUSTOMIZATIONS, "patchesJson6902", "use patches"),
    (KUSTOMIZATIONS, "patchesStrategicMerge", "use patches"),
    (KUSTOMIZATIONS, "validation", "remove it: it had no effect"),
];

const BUCKETS: &str = "buckets.source.toolkit.fluxcd.io";
const GIT: &str = "gitrepositories.source.toolkit.fluxcd.io";
const CHARTS: &str = "helmcharts.source.toolkit.fluxcd.io";
const RELEASES: &str = "helmreleases.helm.toolkit.fluxcd.io";
const KUSTOMIZATIONS: &str = "kustomizations.kustomize.toolkit.fluxcd.io";

/// Flux's custom resources of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomResources {
    counts: BTreeMap<String, u64>,
    written: Vec<Written>,
}

/// A custom resource whose `spec` a client wrote in an API version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written {
    /// The CRD's name.
    pub crd: String,
    /// The version, for example `v1beta2`.
    pub version: String,
    /// The owner that applies the object, or the client's name.
    pub owner: String,
    /// The object, for example `HelmRelease apps/shop`.
    pub object: String,
    /// The written fields that the newest version lacks.
    pub fields: Vec<String>,
}

/// Manifests of a kind in an API version that a release no longer serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldUse {
    /// The CRD's name.
    pub crd: String,
    /// The version that is no longer served.
    pub version: String,
    /// The version to write instead: the release's storage version.
    pub instead: String,
    /// The owner that applies the objects, or the client's name.
    pub owner: String,
    /// The objects, in order.
    pub objects: Vec<String>,
    /// The fields in use that the newest version lacks, each with the remedy.
    pub fields: Vec<String>,
}

impl CustomResources {
    /// Counts an object of a CRD. `managed` is its `metadata.managedFields`.
    pub fn add(&mut self, crd: &str, object: &Object, managed: &Value) {
        *self.counts.entry(crd.to_owned()).or_default() += 1;
        for entry in managed.as_array().into_iter().flatten() {
            self.written.extend(written(crd, object, entry));
        }
    }

    /// Knows of a CRD that it has no object yet.
    pub fn add_none(&mut self, crd: &str) {
        self.counts.entry(crd.to_owned()).or_default();
    }

    /// The number of objects of a CRD. `None` if they were not counted.
    #[must_use]
    pub fn count(&self, crd: &str) -> Option<u64> {
        self.counts.get(crd).copied()
    }

    /// The manifests in versions that the cluster serves and the release does not.
    pub(super) fn lost_by(&self, release: &FluxRelease, facts: &Facts) -> Vec<OldUse> {
        let mut uses: BTreeMap<(&str, &str, &str), OldUse> = BTreeMap::new();
        for one in &self.written {
            let live = facts.definition(&one.crd).and_then(Object::definition);
            let new = release.crd(&one.crd).map(Offer::definition);
            let Some((live, new)) = live.zip(new) else {
                continue;
            };
            if !live.serves(&one.version) || new.serves(&one.version) {
                continue;
            }
            let place = (one.crd.as_str(), one.version.as_str(), one.owner.as_str());
            let found = uses.entry(place).or_insert_with(|| OldUse {
                crd: one.crd.clone(),
                version: one.version.clone(),
                instead: new.storage().unwrap_or_default().to_owned(),
                owner: one.owner.clone(),
                objects: Vec::new(),
                fields: Vec::new(),
            });
            found.objects.push(one.object.clone());
            found.fields.extend(one.fields.iter().cloned());
        }
        let mut uses: Vec<OldUse> = uses.into_values().collect();
        for found in &mut uses {
            found.objects.sort();
            found.objects.dedup();
            found.fields.sort();
            found.fields.dedup();
        }
        uses
    }
}

/// The write of an entry of `managedFields`. `None` if it wrote no field of `spec`.
fn written(crd: &str, object: &Object, entry: &Value) -> Option<Written> {
    let is_status = entry.get("subresource").is_some_and(|part| part != "");
    let spec = entry.pointer("/fieldsV1/f:spec").filter(|_| !is_status)?;
    let api_version = entry.get("apiVersion")?.as_str()?;
    let (group, version) = api_version.split_once('/')?;
    if !crd.ends_with(&format!(".{group}")) {
        return None;
    }
    let manager = entry.get("manager").and_then(Value::as_str);
    let owner = match holder(object) {
        Some(holder) => holder.to_string(),
        None => manager.unwrap_or("unknown client").to_owned(),
    };
    let mut fields = Vec::new();
    for (of, field, remedy) in LOST {
        let pointer = format!("/f:{}", field.replace('.', "/f:"));
        if of == crd && spec.pointer(&pointer).is_some() {
            fields.push(format!("spec.{field} ({remedy})"));
        }
    }
    Some(Written {
        crd: crd.to_owned(),
        version: version.to_owned(),
        owner,
        object: object.to_string(),
        fields,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::flux::catalogue::Catalogue;
    use semver::Version;
    use serde_json::json;

    #[test]
    fn every_field_is_of_a_crd_that_dropped_a_version() {
        let newest = Catalogue::built_in().newest().unwrap();
        let first = Catalogue::built_in().releases().first().unwrap();
        for (crd, _, _) in LOST {
            let dropped = crate::crd::dropped;
            let (old, new) = (first.crd(crd).unwrap(), newest.crd(crd).unwrap());
            let mut old = old.definition();
            old.stored = old.versions.iter().map(|one| one.name.clone()).collect();
            assert!(dropped(&old, &new.definition()).next().is_some(), "{crd}");
        }
    }

    #[test]
    fn only_a_write_of_spec_is_a_manifest() {
        let object = Object {
            kind: "HelmRelease".to_owned(),
            name: "shop".to_owned(),
            ..Object::default()
        };
        let entry = |api_version: &str, more: Value| {
            let mut entry =
                json!({"manager": "kubectl", "operation": "Apply", "apiVersion": api_version});
            entry
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            written(RELEASES, &object, &entry)
        };
        let spec = json!({"fieldsV1": {"f:spec": {"f:chart": {"f:spec": {"f:valuesFile": {}}}}}});
        let found = entry("helm.toolkit.fluxcd.io/v2beta1", spec.clone()).unwrap();
        assert_eq!(
            (found.version.as_str(), found.owner.as_str()),
            ("v2beta1", "kubectl")
        );
        assert_eq!(
            found.fields,
            ["spec.chart.spec.valuesFile (use valuesFiles)"]
        );
        assert_eq!(entry("other.example.org/v1", spec.clone()), None);
        let mut status = spec;
        status["subresource"] = json!("status");
        assert_eq!(entry("helm.toolkit.fluxcd.io/v2beta1", status), None);
        let finalizers = json!({"fieldsV1": {"f:metadata": {"f:finalizers": {}}}});
        assert_eq!(entry("helm.toolkit.fluxcd.io/v2beta1", finalizers), None);
    }

    #[test]
    fn a_version_that_stays_served_is_no_old_use() {
        let catalogue = Catalogue::built_in();
        let release = |text: &str| {
            catalogue
                .release(&text.parse::<Version>().unwrap())
                .unwrap()
        };
        let live = release("2.7.5").crd(RELEASES).unwrap();
        let facts = Facts::of([Object {
            api_version: "apiextensions.k8s.io/v1".to_owned(),
            kind: "CustomResourceDefinition".to_owned(),
            name: RELEASES.to_owned(),
            body: crate::object::Body::Definition(live.definition()),
            ..Object::default()
        }]);
        let mut resources = CustomResources::default();
        let object = Object {
            kind: "HelmRelease".to_owned(),
            name: "shop".to_owned(),
            ..Object::default()
        };
        let managed = |version: &str| {
            json!([{"manager": "kubectl", "apiVersion": format!("helm.toolkit.fluxcd.io/{version}"),
                "fieldsV1": {"f:spec": {}}}])
        };
        resources.add(RELEASES, &object, &managed("v2"));
        assert_eq!(resources.lost_by(release("2.8.8"), &facts), []);
        resources.add(RELEASES, &object, &managed("v2beta2"));
        let lost = resources.lost_by(release("2.8.8"), &facts);
        let [lost] = lost.as_slice() else {
            unreachable!("{lost:?}")
        };
        assert_eq!(
            (lost.version.as_str(), lost.instead.as_str()),
            ("v2beta2", "v2")
        );
        assert_eq!(resources.count(RELEASES), Some(2));
        assert_eq!(resources.count(GIT), None);
    }
}
