//! From a cluster to a snapshot: paged lists, and never a Secret.

use fluxkeep::engine::Engine;
use fluxkeep::manifest::{self, Reading};
use fluxkeep::object::Object;
use fluxkeep::rules::RULES;
use kube::Client;
use serde_json::{Value, json};

use crate::collections::{Collection, Place, is_wanted, needed, served};
use crate::failure::Failure;
use crate::item::{Item, parsed};
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

/// A snapshot, and what of it could not be read.
#[derive(Debug, Default)]
pub struct Gathered {
    items: Vec<Value>,
    /// The objects of which the snapshot holds no more than the head, as `Kind namespace/name: why`.
    pub unread: Vec<String>,
}

impl Gathered {
    /// The snapshot as one `List`, as `kubectl get -o json` prints it.
    #[must_use]
    pub fn list(&self) -> Value {
        json!({"apiVersion": "v1", "kind": "List", "items": self.items})
    }
}

/// Takes a snapshot: every CRD, the engine's objects, every HelmRelease. An object that cannot be read
/// stops none of the others.
///
/// # Errors
/// When a list is refused or the apiserver cannot be reached; nothing is left out silently.
pub async fn gather(client: &Client, engine: &Engine) -> Result<Gathered, Error> {
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

/// The version to ask for; none where the cluster serves none. Definitions are read before the rest.
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

/// A place, lean. The apiserver forgets where a list was after some minutes, and the pages before
/// belong to no other list: then it is read once more from the start.
async fn collect(client: &Client, engine: &Engine, place: &Place) -> Result<Gathered, Error> {
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

/// An object's parts that go into a snapshot.
///
/// # Errors
/// Why they cannot be read.
fn leaned(text: &str, item: &Item, place: &Place, engine: &Engine) -> Result<Value, String> {
    match &item.unread {
        Some(why) => Err(why.clone()),
        None => Ok(lean(&parsed(text)?, &place.head(), &engine.values_paths)),
    }
}

/// As much of an object as names it.
fn head(object: &Object) -> Value {
    let metadata = match &object.namespace {
        Some(namespace) => json!({"name": object.name, "namespace": namespace}),
        None => json!({"name": object.name}),
    };
    json!({"apiVersion": object.api_version, "kind": object.kind, "metadata": metadata})
}
