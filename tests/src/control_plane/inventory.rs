//! All objects of a cluster, for comparison.

use std::collections::BTreeMap;

use kube::api::{Api, DynamicObject, ListParams};
use kube::core::PartialObjectMeta;
use kube::discovery::{ApiResource, Discovery, verbs};
use serde_json::{Value, json};

use super::{Cluster, eventually};

/// All objects by `group/Kind namespace/name`, each with its resourceVersion. Equal inventories
/// prove that nothing was written in between.
pub type Inventory = BTreeMap<String, String>;

/// Kinds that change by themselves, and kinds that the apiserver derives. It derives an APIService
/// from a CRD, and an IPAddress from a Service.
const RESTLESS: [&str; 6] = [
    "Event",
    "Lease",
    "EndpointSlice",
    "Endpoints",
    "APIService",
    "IPAddress",
];

impl Cluster {
    /// All objects of the cluster, except for these kinds.
    pub async fn inventory(&self, without: &[&str]) -> Inventory {
        self.every_definition_is_served().await;
        eventually("everything is listed", async || self.listed(without).await).await
    }

    /// Waits until every CRD is `Established`. The apiserver writes this condition a moment after
    /// the CRD's creation.
    async fn every_definition_is_served(&self) {
        let definition =
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"});
        let definitions = self.api(&definition).await;
        let is_served = |definition: &DynamicObject| {
            let conditions = definition
                .data
                .pointer("/status/conditions")
                .and_then(Value::as_array);
            conditions
                .into_iter()
                .flatten()
                .any(|one| one["type"] == "Established" && one["status"] == "True")
        };
        eventually("every CRD is served", async || {
            let list = definitions
                .list(&ListParams::default())
                .await
                .map_err(|error| error.to_string())?;
            let waiting = list
                .items
                .into_iter()
                .find(|definition| !is_served(definition));
            waiting.map_or(Ok(()), |definition| Err(definition.data.to_string()))
        })
        .await;
    }

    async fn listed(&self, without: &[&str]) -> kube::Result<Inventory> {
        // An API group may vanish meanwhile; the failed listing is then retried.
        let discovery = Discovery::new(self.client.clone()).run().await?;
        let mut found = Inventory::new();
        for group in discovery.groups() {
            for (resource, capabilities) in group.recommended_resources() {
                let left_out = RESTLESS.contains(&resource.kind.as_str())
                    || without.contains(&resource.kind.as_str());
                if capabilities.supports_operation(verbs::LIST) && !left_out {
                    found.extend(self.of_kind(&resource).await?);
                }
            }
        }
        Ok(found)
    }

    async fn of_kind(&self, resource: &ApiResource) -> kube::Result<Inventory> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), resource);
        let list = match api.list_metadata(&ListParams::default()).await {
            // A CRD that is deleted meanwhile removes its kind too.
            Err(kube::Error::Api(missing)) if missing.code == 404 => return Ok(Inventory::new()),
            list => list?,
        };
        let entry = |object: PartialObjectMeta<DynamicObject>| {
            let space = object
                .metadata
                .namespace
                .map(|space| format!("{space}/"))
                .unwrap_or_default();
            let key = format!(
                "{}/{} {space}{}",
                resource.group,
                resource.kind,
                object.metadata.name.unwrap_or_default()
            );
            (key, object.metadata.resource_version.unwrap_or_default())
        };
        Ok(list.items.into_iter().map(entry).collect())
    }
}
