//! What is left of the engine in a cluster.

use std::collections::BTreeSet;

use anyhow::Context;
use fluxkeep::case::facts::Facts;
use fluxkeep::flux::engine::Engine;
use fluxkeep::helm::Owner;
use fluxkeep::object::Key;
use fluxkeep::recovery::Point;
use fluxkeep::rescue::{Held, Left, LiveRelease, Record};
use fluxkeep_cluster::collections::served;
use fluxkeep_cluster::recovery::{keys, read};
use fluxkeep_cluster::write::{Target, WriteError, Writer, patiently, resource};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use kube::core::ApiResource;
use serde_json::Value;

/// The label of all release records.
const RECORDS: &str = "owner=helm";
/// The CRD of HelmReleases.
const HELM_RELEASES: &str = "helmreleases.helm.toolkit.fluxcd.io";
/// The CRD of Kustomizations.
const KUSTOMIZATIONS: &str = "kustomizations.kustomize.toolkit.fluxcd.io";

/// Reads a cluster.
pub(super) struct Look<'a> {
    pub(super) writer: &'a Writer,
    pub(super) facts: &'a Facts,
    pub(super) engine: &'a Engine,
}

impl Look<'_> {
    /// What is left of the engine of this point.
    pub(super) async fn engine(&self, point: &Point) -> anyhow::Result<Left> {
        let mut left = Left {
            objects: self.objects(point).await?,
            owners: self.facts.owners(self.engine),
            releases: self.releases().await?,
            ..Left::default()
        };
        for home in &self.engine.namespaces {
            left.records.extend(self.records(home, RECORDS).await?);
        }
        for release in &left.releases {
            let is_near = self.engine.is_home(&release.installs.namespace)
                || left.owners.contains(&release.installs);
            if is_near && !self.engine.is_home(&release.stores_in) {
                let label = of_release(&release.installs);
                let records = self.records(&release.stores_in, &label).await?;
                left.records.extend(records);
            }
        }
        left.held = self.held(&left.objects).await;
        Ok(left)
    }

    /// The records of a release, and the HelmReleases that make it.
    pub(super) async fn release(&self, release: &Owner) -> anyhow::Result<Left> {
        let mut left = Left {
            releases: self.releases().await?,
            ..Left::default()
        };
        let makers = left
            .releases
            .iter()
            .filter(|live| live.installs == *release);
        let mut places: BTreeSet<&String> = makers.map(|live| &live.stores_in).collect();
        places.insert(&release.namespace);
        for place in places {
            let records = self.records(place, &of_release(release)).await?;
            left.records.extend(records);
        }
        Ok(left)
    }

    /// The live objects of the point.
    pub(super) async fn objects(&self, point: &Point) -> anyhow::Result<Vec<Value>> {
        let mut objects = Vec::new();
        for key in point.keys() {
            objects.extend(patiently(async || read(self.writer, &key).await).await?);
        }
        Ok(objects)
    }

    /// The objects of the engine that the point lacks.
    pub(super) fn additional(&self, point: &Point) -> Vec<Key> {
        let wanted = point.keys();
        let mut additional = keys(self.facts, self.engine);
        additional.retain(|key| !wanted.contains(key));
        additional
    }

    async fn releases(&self) -> anyhow::Result<Vec<LiveRelease>> {
        let Some(resource) = self.custom(HELM_RELEASES) else {
            return Ok(Vec::new());
        };
        let listed = self.list(&resource, "listing HelmReleases").await?;
        Ok(listed.iter().filter_map(LiveRelease::of).collect())
    }

    async fn list(&self, resource: &ApiResource, what: &str) -> anyhow::Result<Vec<Value>> {
        let client = self.writer.client().clone();
        let api: Api<DynamicObject> = Api::all_with(client, resource);
        let listed = patiently(async || {
            let listed = api.list(&ListParams::default()).await;
            listed.map_err(|error| self.writer.failed("listing", &resource.plural, &error))
        })
        .await
        .with_context(|| what.to_owned())?;
        let values = listed.items.into_iter().map(serde_json::to_value);
        Ok(values.filter_map(Result::ok).collect())
    }

    /// The release records of a namespace with these labels.
    async fn records(&self, namespace: &str, labels: &str) -> Result<Vec<Record>, WriteError> {
        let api: Api<Secret> = Api::namespaced(self.writer.client().clone(), namespace);
        let params = ListParams::default().labels(labels);
        let listed = patiently(async || {
            let listed = api.list(&params).await;
            listed.map_err(|error| self.writer.failed("listing", "release records", &error))
        })
        .await?;
        let mut records = Vec::new();
        for secret in listed.items {
            // A Secret is strings and maps, which always serialize.
            let mut value = serde_json::to_value(secret).unwrap_or_default();
            if let Some(fields) = value.as_object_mut() {
                fields.insert("apiVersion".to_owned(), "v1".into());
                fields.insert("kind".to_owned(), "Secret".into());
            }
            records.extend(Record::of(&value));
        }
        Ok(records)
    }

    /// The custom resources that keep CRDs from going. A list that fails only costs their names.
    async fn held(&self, objects: &[Value]) -> Vec<Held> {
        let mut held = Vec::new();
        for definition in objects {
            let name = definition.pointer("/metadata/name").and_then(Value::as_str);
            let is_deleted = definition.pointer("/metadata/deletionTimestamp").is_some();
            let Some(resource) = name
                .filter(|_| is_deleted)
                .and_then(|name| self.custom(name))
            else {
                continue;
            };
            let listed = self.list(&resource, "listing what is held").await;
            let listed = listed.unwrap_or_default();
            let name = name.unwrap_or_default();
            held.extend(listed.iter().filter_map(|live| Held::of(name, live)));
        }
        held
    }

    /// The resource of a CRD, in a version that is served. `None` if the cluster lacks the CRD.
    fn custom(&self, definition: &str) -> Option<ApiResource> {
        let definition = self.facts.definition(definition)?.definition()?;
        let version = served(definition)?;
        Some(resource(
            &definition.group,
            version,
            &definition.kind,
            &definition.plural,
        ))
    }

    /// A HelmRelease as the object of a request.
    pub(super) fn helm_release(&self, key: &Key) -> Option<Target> {
        Some(Target {
            resource: self.custom(HELM_RELEASES)?,
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        })
    }

    /// Says which Kustomization applies a HelmRelease, and from where.
    pub(super) async fn applier(&self, release: &LiveRelease) -> anyhow::Result<Option<String>> {
        let Some((namespace, name)) = &release.applied_by else {
            return Ok(None);
        };
        let mut place = String::new();
        if let Some(resource) = self.custom(KUSTOMIZATIONS) {
            let target = Target {
                resource,
                namespace: Some(namespace.clone()),
                name: name.clone(),
            };
            let live = patiently(async || self.writer.get(&target).await).await?;
            let text = |pointer: &str| {
                let found = live.as_ref()?.data.pointer(pointer)?.as_str();
                found.map(str::to_owned)
            };
            let path = text("/spec/path").unwrap_or_else(|| "./".to_owned());
            let source = text("/spec/sourceRef/kind").zip(text("/spec/sourceRef/name"));
            if let Some((kind, source)) = source {
                place = format!(" from {path} of {kind} {source}");
            }
        }
        Ok(Some(format!(
            "Kustomization {namespace}/{name} applies {}{place}. Correct the chart there; a spec.suspend that \
             stands there wins over this command's",
            release.key
        )))
    }
}

fn of_release(release: &Owner) -> String {
    format!("{RECORDS},name={}", release.name)
}
