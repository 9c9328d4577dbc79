//! An object of a list or a watch: parsed as from a snapshot, or known by its name alone.
//!
//! An unreadable object must not stop its collection. Otherwise a tenant with one HelmRelease could
//! blind fluxkeep to all HelmReleases.

use fluxkeep::flux::engine::Engine;
use fluxkeep::manifest;
use fluxkeep::object::{Body, Object};
use serde::Deserialize;

use crate::collections::Place;
use crate::failure::Failure;

/// An object from the apiserver.
#[derive(Debug)]
pub(crate) struct Item {
    /// The object; its body is [`Body::Unread`] if unreadable.
    pub(crate) object: Object,
    /// The reason why it is unreadable, without any of its values.
    pub(crate) unread: Option<String>,
    /// The object's `resourceVersion`.
    pub(crate) version: String,
    /// The object's `generation`, which rises with each change of its spec; 0 if it has none.
    pub(crate) generation: i64,
}

/// The identifying metadata, which the apiserver itself writes.
#[derive(Deserialize)]
struct Named {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: Option<String>,
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    generation: i64,
}

impl Item {
    /// Parses an object of this place.
    ///
    /// # Errors
    /// If even the name is unreadable, so that the text is no object.
    pub(crate) fn read(text: &str, place: &Place, engine: &Engine) -> Result<Self, Failure> {
        let named: Named =
            serde_json::from_str(text).map_err(|error| Failure::Unreadable(error.to_string()))?;
        let version = named.metadata.resource_version;
        let generation = named.metadata.generation;
        match object(text, place, engine) {
            Ok(object) => Ok(Self {
                object,
                unread: None,
                version,
                generation,
            }),
            Err(why) => {
                let head = place.head();
                let object = Object {
                    api_version: head.api_version,
                    kind: head.kind,
                    namespace: named.metadata.namespace,
                    name: named.metadata.name,
                    body: Body::Unread,
                    ..Object::default()
                };
                Ok(Self {
                    object,
                    unread: Some(why),
                    version,
                    generation,
                })
            }
        }
    }
}

/// Reads an object. A HelmRelease's values are dropped but for the paths that may name a Flux version.
fn object(text: &str, place: &Place, engine: &Engine) -> Result<Object, String> {
    let head = place.head();
    if place.collection.kind != "HelmRelease" {
        return manifest::read_as(text, head);
    }
    let parts = head.parts(text, &engine.values_paths)?;
    manifest::read_as(&parts.to_string(), head)
}
