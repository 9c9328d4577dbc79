//! One object of a list or a watch: read as a snapshot's would be, or known by its name alone.
//!
//! Whoever may write one object of a collection could otherwise stop the collection from being read: a
//! tenant with one HelmRelease would blind fluxkeep for all of them.

use fluxkeep::engine::Engine;
use fluxkeep::manifest;
use fluxkeep::object::{Body, Object, Shallow};
use serde::Deserialize;
use serde_json::Value;

use crate::collections::Place;
use crate::failure::Failure;
use crate::lean::lean;

/// An object as the apiserver sent it.
#[derive(Debug)]
pub(crate) struct Item {
    /// Its body is [`Body::Unread`] if it could not be read.
    pub(crate) object: Object,
    /// Why it could not be read, without a value of it.
    pub(crate) unread: Option<String>,
    /// The version of the cluster that it was written in.
    pub(crate) version: String,
}

/// What names an object. The apiserver writes these itself.
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
}

impl Item {
    /// Reads an object of this place.
    ///
    /// # Errors
    /// If not even its name is readable: then it is no object.
    pub(crate) fn read(text: &str, place: &Place, engine: &Engine) -> Result<Self, Failure> {
        let named: Named =
            serde_json::from_str(text).map_err(|error| Failure::Unreadable(error.to_string()))?;
        let version = named.metadata.resource_version;
        match object(text, place, engine) {
            Ok(object) => Ok(Self {
                object,
                unread: None,
                version,
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
                })
            }
        }
    }
}

fn object(text: &str, place: &Place, engine: &Engine) -> Result<Object, String> {
    if place.collection.kind != "HelmRelease" {
        return manifest::read_as(text, place.head());
    }
    // Values stay behind here: what is read of a spec is found by path later.
    let item = parsed(text)?;
    let text = lean(&item, &place.head(), &engine.values_paths).to_string();
    manifest::read_as(&text, place.head())
}

/// The object, down to a depth that nothing below is read of.
///
/// # Errors
/// Where it is not readable and why, without a value of it.
pub(crate) fn parsed(text: &str) -> Result<Value, String> {
    // Any JSON is a value: what fails is its syntax, and the error names no value.
    let Shallow(value) = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(value)
}
