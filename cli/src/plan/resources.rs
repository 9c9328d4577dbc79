//! Flux's custom resources of a cluster, listed by their metadata.

use anyhow::{Context, anyhow};
use fluxkeep::case::facts::Facts;
use fluxkeep::crd::Definition;
use fluxkeep::flux::engine::is_flux_group;
use fluxkeep::manifest::read_as;
use fluxkeep::object::TypeMeta;
use fluxkeep::upgrade::CustomResources;
use fluxkeep_cluster::collections::served;
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, PartialObjectMeta};
use kube::{Api, Client};
use serde_json::json;

/// Objects per page: their metadata takes about a megabyte.
const PAGE: u32 = 500;

/// Lists the objects of each CRD of Flux.
pub(super) async fn read(client: &Client, facts: &Facts) -> anyhow::Result<CustomResources> {
    let mut resources = CustomResources::default();
    for object in facts.definitions() {
        let Some(definition) = object.definition() else {
            continue;
        };
        let Some(version) = served(definition).filter(|_| is_flux_group(&object.name)) else {
            continue;
        };
        resources.add_none(&object.name);
        let resource = resource(definition, version);
        let listed = list(client, &object.name, &resource, &mut resources).await;
        listed.with_context(|| format!("listing {}", object.name))?;
    }
    Ok(resources)
}

async fn list(
    client: &Client,
    crd: &str,
    resource: &ApiResource,
    resources: &mut CustomResources,
) -> anyhow::Result<()> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), resource);
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list_metadata(&params).await?;
        for item in page.items {
            add(crd, resource, &item, resources)?;
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(()),
        }
    }
}

fn add(
    crd: &str,
    resource: &ApiResource,
    item: &PartialObjectMeta<DynamicObject>,
    resources: &mut CustomResources,
) -> anyhow::Result<()> {
    let head = TypeMeta {
        api_version: resource.api_version.clone(),
        kind: resource.kind.clone(),
    };
    let metadata = &item.metadata;
    let read = json!({"apiVersion": head.api_version, "kind": head.kind, "metadata": {
        "name": metadata.name, "namespace": metadata.namespace,
        "labels": metadata.labels, "annotations": metadata.annotations}});
    let object = read_as(&read.to_string(), head)
        .map_err(|unread| anyhow!("an object's metadata cannot be read: {unread}"))?;
    resources.add(crd, &object, &json!(metadata.managed_fields));
    Ok(())
}

/// The CRD's objects in a version.
fn resource(definition: &Definition, version: &str) -> ApiResource {
    let Definition {
        group,
        kind,
        plural,
        ..
    } = definition;
    ApiResource {
        group: group.clone(),
        version: version.to_owned(),
        api_version: format!("{group}/{version}"),
        kind: kind.clone(),
        plural: plural.clone(),
    }
}
