//! From a cluster to a snapshot: paged lists, and never a Secret.

use fluxkeep::engine::Engine;
use fluxkeep::manifest;
use fluxkeep::object::Object;
use fluxkeep::rules::RULES;
use kube::Client;
use serde_json::{Value, json};

use crate::collections::{Collection, Place, is_wanted, needed, served};
use crate::failure::Failure;
use crate::lean::lean;
use crate::pages::list;

/// Why a snapshot could not be taken: a list was refused, or the apiserver not reached.
#[derive(Debug, thiserror::Error)]
#[error("listing {resource}: {reason}{hint}")]
pub struct Error {
    /// For example `customresourcedefinitions`.
    pub resource: &'static str,
    /// What the apiserver says, or what lies at the bottom of the failed connection.
    pub reason: String,
    /// What may mend it; empty where that is not knowable.
    pub hint: &'static str,
}

/// Takes a snapshot: every CRD, the engine's objects, every HelmRelease. As one `List`, as
/// `kubectl get -o json` prints it.
///
/// # Errors
/// When a list is refused or the apiserver cannot be reached; nothing is left out silently.
pub async fn gather(client: &Client, engine: &Engine) -> Result<Value, Error> {
    let mut items: Vec<Value> = Vec::new();
    for collection in needed(&RULES) {
        let Some(version) = version(collection, &items) else {
            continue;
        };
        for namespace in collection.namespaces(engine) {
            items.extend(collect(client, engine, &collection.place(&version, &namespace)).await?);
        }
    }
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": items}))
}

/// The version to ask for; none where the cluster serves none. Definitions are read before the rest.
fn version(collection: Collection, items: &[Value]) -> Option<String> {
    if let Some(version) = collection.version {
        return Some(version.to_owned());
    }
    let name = json!(collection.definition());
    let defining = items
        .iter()
        .find(|item| item.pointer("/metadata/name") == Some(&name))?;
    served(object(defining)?.definition()?).map(str::to_owned)
}

fn object(item: &Value) -> Option<Object> {
    let text = item.to_string();
    manifest::read(&text, manifest::Reading::default())
        .ok()?
        .into_iter()
        .next()
}

/// A place, lean. The apiserver forgets where a list was after some minutes, and the pages before
/// belong to no other list: then it is read once more from the start.
async fn collect(client: &Client, engine: &Engine, place: &Place) -> Result<Vec<Value>, Error> {
    let read = match whole(client, engine, place).await {
        Err(failure) if failure.is_gone() => whole(client, engine, place).await,
        read => read,
    };
    let resource = place.collection.resource;
    read.map_err(|failure| Error {
        resource,
        reason: failure.reason(),
        hint: failure.hint(),
    })
}

async fn whole(client: &Client, engine: &Engine, place: &Place) -> Result<Vec<Value>, Failure> {
    let mut found = Vec::new();
    let show = |text: &str| {
        let item =
            serde_json::from_str(text).map_err(|error| Failure::Unreadable(error.to_string()))?;
        let item = lean(&item, &place.head(), &engine.values_paths);
        if object(&item).is_some_and(|object| is_wanted(&object, engine)) {
            found.push(item);
        }
        Ok(())
    };
    list(client, place, show).await?;
    Ok(found)
}
