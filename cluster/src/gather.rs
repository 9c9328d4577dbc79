//! Takes snapshots of a cluster by paged lists; Secrets are never read.

use fluxkeep::flux::engine::Engine;
use fluxkeep::manifest::{self, Reading};
use fluxkeep::object::Object;
use fluxkeep::rules::RULES;
use kube::Client;
use serde_json::{Value, json};

use crate::collections::{Collection, Place, is_wanted, needed, served};
use crate::failure::Failure;
use crate::item::Item;
use crate::pages::list;

/// A snapshot failed: a list was refused, or the apiserver was unreachable.
#[derive(Debug, thiserror::Error)]
#[error("listing {resource}: {reason}{hint}")]
pub struct GatherError {
    /// For example `customresourcedefinitions`.
    pub resource: &'static str,
    /// The apiserver's message, or the root cause of the failed connection.
    pub reason: String,
    /// A possible remedy; empty if none is known.
    pub hint: &'static str,
}

/// A snapshot, and the objects in it that could not be read.
#[derive(Debug, Default)]
pub struct Gathered {
    items: Vec<Value>,
    /// Objects of which the snapshot holds only the head, as `Kind namespace/name: reason`.
    pub unread: Vec<String>,
}

impl Gathered {
    /// The snapshot as a `List`, as `kubectl get -o json` prints it.
    #[must_use]
    pub fn list(&self) -> Value {
        json!({"apiVersion": "v1", "kind": "List", "items": self.items})
    }
}

/// Takes a snapshot of every CRD, the engine's objects and every HelmRelease. An unreadable object
/// does not stop the others.
///
/// # Errors
/// If a list is refused or the apiserver unreachable; nothing is left out silently.
pub async fn gather(client: &Client, engine: &Engine) -> Result<Gathered, GatherError> {
    let mut gathered = Gathered::default();
    for collection in needed(&RULES) {
        let Some(version) = version(collection, &gathered.items) else {
            continue;
        };
        for namespace in collection.namespaces(engine) {
            let place = collection.place(&version, &namespace);
            let found = collect(client, engine, &place).await?;
            gathered.items.extend(found.items);
            gathered.unread.extend(found.unread);
        }
    }
    Ok(gathered)
}

/// The version to request; `None` if the cluster serves none. Needs the CRDs in `items`: they
/// are read first.
fn version(collection: Collection, items: &[Value]) -> Option<String> {
    if let Some(version) = collection.version {
        return Some(version.to_owned());
    }
    let name = json!(collection.definition());
    let defining = items
        .iter()
        .find(|item| item.pointer("/metadata/name") == Some(&name))?;
    let text = defining.to_string();
    let object = manifest::read(&text, Reading::default())
        .ok()?
        .into_iter()
        .next()?;
    served(object.definition()?).map(str::to_owned)
}

/// A collection's objects, reduced to the parts that a snapshot keeps. The apiserver drops a list's
/// version after some minutes; the list then starts again, once.
async fn collect(client: &Client, engine: &Engine, place: &Place) -> Result<Gathered, GatherError> {
    let read = match whole(client, engine, place).await {
        Err(failure) if failure.is_gone() => whole(client, engine, place).await,
        read => read,
    };
    let resource = place.collection.resource;
    read.map_err(|failure| GatherError {
        resource,
        reason: failure.reason(),
        hint: failure.hint(),
    })
}

async fn whole(client: &Client, engine: &Engine, place: &Place) -> Result<Gathered, Failure> {
    let mut found = Gathered::default();
    let show = |text: &str| {
        let item = Item::read(text, place, engine)?;
        if !is_wanted(&item.object, engine) {
            return Ok(());
        }
        match leaned(text, &item, place, engine) {
            Ok(lean) => found.items.push(lean),
            Err(why) => {
                found.unread.push(format!("{}: {why}", item.object));
                found.items.push(head(&item.object));
            }
        }
        Ok(())
    };
    list(client, place, show).await?;
    Ok(found)
}

/// The parts of an object that a snapshot keeps.
///
/// # Errors
/// The reason why they cannot be read.
fn leaned(text: &str, item: &Item, place: &Place, engine: &Engine) -> Result<Value, String> {
    match &item.unread {
        Some(why) => Err(why.clone()),
        None => place.head().parts(text, &engine.values_paths),
    }
}

/// An object's `apiVersion`, `kind`, name and namespace only.
fn head(object: &Object) -> Value {
    let metadata = match &object.namespace {
        Some(namespace) => json!({"name": object.name, "namespace": namespace}),
        None => json!({"name": object.name}),
    };
    json!({"apiVersion": object.api_version, "kind": object.kind, "metadata": metadata})
}
