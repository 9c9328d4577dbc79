//! What is true of the cluster, as far as the judge needs to know.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::{self, Engine, Part};
use crate::flux::Flux;
use crate::helm::Owner;
use crate::object::{Body, Key, Object};

/// The objects that were seen in the cluster. No schema, no Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    objects: BTreeMap<Key, Object>,
}

impl Facts {
    /// Facts that hold these objects; of two with the same key the later one counts.
    #[must_use]
    pub fn of(objects: impl IntoIterator<Item = Object>) -> Self {
        let objects = objects.into_iter().map(established);
        Self { objects: objects.map(|object| (object.key(), object)).collect() }
    }

    /// Every object, ordered by key.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    /// The live object with this key.
    #[must_use]
    pub fn live(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    /// Whether any CustomResourceDefinition was seen; without one nothing can be said of storage.
    #[must_use]
    pub fn knows_definitions(&self) -> bool {
        self.objects().any(|object| object.definition().is_some())
    }

    /// The objects of the engine.
    pub fn engine<'a>(&'a self, engine: &'a Engine) -> impl Iterator<Item = &'a Object> {
        self.objects().filter(|object| engine.part(object).is_some())
    }

    /// The Flux that runs in the cluster, told by the images of its controllers.
    #[must_use]
    pub fn running(&self, engine: &Engine) -> Option<Flux> {
        Flux::of(self.engine(engine))
    }

    /// The Helm releases that own the engine. One that has no more of it than a network policy or an
    /// optional controller does not.
    #[must_use]
    pub fn owners(&self, engine: &Engine) -> BTreeSet<Owner> {
        let carries = |object: &&Object| matches!(engine.part(object), Some(Part::Definition | Part::Vital));
        self.objects().filter(carries).filter_map(Object::owner).collect()
    }

    /// The core controllers whose Deployment was seen, and those whose was not.
    #[must_use]
    pub fn controllers(&self, engine: &Engine) -> (Vec<&'static str>, Vec<&'static str>) {
        let seen = |name: &&str| self.engine(engine).any(|object| object.kind == "Deployment" && object.name == **name);
        engine::CORE.into_iter().partition(seen)
    }
}

/// An object as the apiserver takes it. A CRD that does not say what is stored, as in a manifest that
/// was installed, stores its storage version from then on.
fn established(mut object: Object) -> Object {
    if let Body::Definition(definition) = &mut object.body
        && definition.stored.is_empty()
    {
        definition.stored = definition.storage().map(str::to_owned).into_iter().collect();
    }
    object
}
