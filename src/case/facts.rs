//! The state of the cluster, as far as the judge needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use jiff::{SignedDuration, Timestamp};

use crate::crd::{Conditions, Schema};
use crate::flux::Flux;
use crate::flux::engine::{self, Engine, Part};
use crate::helm::Owner;
use crate::object::{Body, Key, Object, Start};
use crate::walks::counted;

/// The objects that were seen in the cluster. No schema, no Secret.
///
/// A clone shares the objects and costs nothing. A change of either copies the map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    objects: Arc<BTreeMap<Key, Arc<Object>>>,
    heard: Option<Heard>,
}

/// The facts at a moment, to tell later if an object has changed since. Holds no object.
#[derive(Debug, Clone, Default)]
pub struct Seen(Weak<BTreeMap<Key, Arc<Object>>>);

/// The age of facts that follow a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// The resource that was silent for longest, for example `customresourcedefinitions`.
    pub resource: &'static str,
    /// The time of its last sign of life. `None` if it was never listed completely.
    pub at: Option<Timestamp>,
    /// The allowed age of facts.
    pub bound: SignedDuration,
}

impl Facts {
    /// Facts with these objects. The later of two objects with the same key counts.
    #[must_use]
    pub fn of(objects: impl IntoIterator<Item = Object>) -> Self {
        let objects = objects.into_iter().map(established);
        let objects = objects
            .map(|object| (object.key(), Arc::new(object)))
            .collect();
        Self {
            objects: Arc::new(objects),
            heard: None,
        }
    }

    /// The facts of this moment, for [`Facts::is_as`].
    #[must_use]
    pub fn seen(&self) -> Seen {
        Seen(Arc::downgrade(&self.objects))
    }

    /// True if no object has changed since. A change moves the objects while somebody holds a
    /// `Seen`, so their address tells.
    #[must_use]
    pub fn is_as(&self, seen: &Seen) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.objects), seen.0.as_ptr())
    }

    /// The same facts, valid only while the cluster is heard. Other facts never age.
    #[must_use]
    pub fn as_heard(self, heard: Heard) -> Self {
        Self {
            heard: Some(heard),
            ..self
        }
    }

    /// True if the facts follow a cluster, and have listed each of their resources at least once.
    #[must_use]
    pub fn follow_a_cluster(&self) -> bool {
        self.heard.is_some_and(|heard| heard.at.is_some())
    }

    /// The resource that was silent for longer than the bound, if any.
    #[must_use]
    pub fn stale(&self, now: Timestamp) -> Option<Heard> {
        let is_old = |heard: &Heard| {
            heard
                .at
                .is_none_or(|at| now.duration_since(at) > heard.bound)
        };
        self.heard.filter(is_old)
    }

    /// Stores the live state of an object. Returns true if the state is new.
    pub fn put(&mut self, object: Object) -> bool {
        let (key, object) = (object.key(), established(object));
        let is_new = self.live(&key) != Some(&object);
        if is_new {
            Arc::make_mut(&mut self.objects).insert(key, Arc::new(object));
        }
        is_new
    }

    /// Keeps the objects whose key meets a condition and forgets all others.
    pub fn retain(&mut self, meets: impl Fn(&Key) -> bool) {
        if !self.objects.keys().all(&meets) {
            Arc::make_mut(&mut self.objects).retain(|key, _| meets(key));
        }
    }

    /// Forgets an object.
    pub fn remove(&mut self, key: &Key) {
        if self.objects.contains_key(key) {
            Arc::make_mut(&mut self.objects).remove(key);
        }
    }

    /// Every object, ordered by key.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        counted(self.objects.values().map(AsRef::as_ref))
    }

    /// The CustomResourceDefinition of this name, read or not.
    #[must_use]
    pub fn definition(&self, name: &str) -> Option<&Object> {
        self.live(&Key::of_definition(name))
    }

    /// Every CustomResourceDefinition, read or not, ordered by name. No other object is walked
    /// over.
    pub fn definitions(&self) -> impl Iterator<Item = &Object> {
        let first = Key::of_definition("");
        let range = self.objects.range(first.clone()..);
        let same = range.take_while(move |(key, _)| {
            key.group == first.group && key.kind == first.kind && key.namespace == first.namespace
        });
        counted(same.map(|(_, object)| object.as_ref()))
    }

    /// The live object with this key.
    #[must_use]
    pub fn live(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key).map(AsRef::as_ref)
    }

    /// The live objects that could not be read: only their names are known.
    pub fn unread(&self) -> impl Iterator<Item = &Object> {
        self.objects().filter(|object| object.is_unread())
    }

    /// True if the live object with this key could not be read.
    #[must_use]
    pub fn is_unread(&self, key: &Key) -> bool {
        self.live(key).is_some_and(Object::is_unread)
    }

    /// True if any CustomResourceDefinition was seen. Without one, storage is unknown.
    #[must_use]
    pub fn knows_definitions(&self) -> bool {
        self.definitions()
            .any(|object| object.definition().is_some())
    }

    /// The objects of the engine.
    pub fn engine<'a>(&'a self, engine: &'a Engine) -> impl Iterator<Item = &'a Object> {
        self.objects()
            .filter(|object| engine.part(object).is_some())
    }

    /// The Flux that runs in the cluster, according to its controllers' images.
    #[must_use]
    pub fn running(&self, engine: &Engine) -> Option<Flux> {
        Flux::of(self.engine(engine), &engine.catalogue)
    }

    /// The Helm releases that own a CRD or a vital part of the engine. A release with only network
    /// policies or optional controllers is not an owner.
    #[must_use]
    pub fn owners(&self, engine: &Engine) -> BTreeSet<Owner> {
        let carries =
            |object: &&Object| matches!(engine.part(object), Some(Part::Definition | Part::Vital));
        self.objects()
            .filter(carries)
            .filter_map(Object::owner)
            .collect()
    }

    /// The HelmReleases that make this Helm release: one, unless two compete.
    pub fn helm_releases<'a>(&'a self, owner: &'a Owner) -> impl Iterator<Item = &'a Object> {
        self.objects()
            .filter(move |object| object.installs().as_ref() == Some(owner))
    }

    /// The core controllers with a known Deployment, and those without.
    #[must_use]
    pub fn controllers(&self, engine: &Engine) -> (Vec<&'static str>, Vec<&'static str>) {
        let seen = |name: &&str| {
            self.engine(engine)
                .any(|object| object.kind == "Deployment" && object.name == **name)
        };
        engine::CORE.into_iter().partition(seen)
    }
}

/// An object as the apiserver accepts it, without parts that no rule reads of a live object. Facts
/// live long, so spare room is freed.
fn established(mut object: Object) -> Object {
    object.flaws = Vec::new();
    // Rules compare start settings in a change, which carries its own old object.
    if let Body::Workload(workload) = &mut object.body {
        workload.start = Start::default();
    }
    if let Body::Definition(definition) = &mut object.body {
        // The apiserver accepts no CRD without versions, so these were not read.
        if definition.versions.is_empty() {
            object.body = Body::Unread;
            return object;
        }
        // An installed manifest has no `storedVersions`. Its CRD stores the storage version.
        if definition.stored.is_empty() {
            definition.stored = definition
                .storage()
                .map(str::to_owned)
                .into_iter()
                .collect();
        }
        // A live CRD has a schema for each version; snapshots omit schemas.
        for version in &mut definition.versions {
            version.schema = Schema::Full;
        }
        definition.stored.shrink_to_fit();
        definition.versions.shrink_to_fit();
        definition.conversion = None;
        definition.conditions = Conditions::default();
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Object {
        Object {
            api_version: "v1".to_owned(),
            kind: "Namespace".to_owned(),
            name: name.to_owned(),
            ..Object::default()
        }
    }

    #[test]
    fn a_view_that_was_handed_out_stays_as_it_was() {
        let mut facts = Facts::of([named("a")]);
        let view = facts.clone();
        assert!(facts.put(named("b")) && !facts.put(named("b")));
        facts.remove(&named("a").key());
        facts.retain(|_| true);
        assert_eq!(
            (view, facts),
            (Facts::of([named("a")]), Facts::of([named("b")]))
        );
    }

    #[test]
    fn a_change_shows_and_a_write_that_changes_nothing_does_not() {
        let mut facts = Facts::of([named("a")]);
        let seen = facts.seen();
        facts.put(named("a"));
        facts.remove(&named("b").key());
        assert!(facts.is_as(&seen) && facts.clone().is_as(&seen));
        facts.put(named("b"));
        assert!(!facts.is_as(&seen));
        facts.remove(&named("b").key());
        assert!(!facts.is_as(&seen), "it was there in between");
    }

    #[test]
    fn an_object_that_could_not_be_read_is_known_by_its_name_until_it_can_or_is_gone() {
        let unread = |name: &str| Object {
            body: Body::Unread,
            ..named(name)
        };
        let mut facts = Facts::of([named("a"), unread("b")]);
        assert!(facts.put(unread("a")) && !facts.put(unread("a")), "once");
        assert!(facts.is_unread(&named("a").key()));
        facts.put(named("a"));
        facts.remove(&named("b").key());
        assert_eq!(facts, Facts::of([named("a")]));
        assert_eq!(facts.unread().count(), 0);
    }

    #[test]
    fn a_definition_without_a_version_was_not_read() {
        let head = Object {
            kind: "CustomResourceDefinition".to_owned(),
            body: Body::Definition(crate::crd::Definition::default()),
            ..named("buckets.source.toolkit.fluxcd.io")
        };
        let facts = Facts::of([head]);
        assert_eq!(facts.unread().count(), 1);
        assert!(!facts.knows_definitions());
    }

    #[test]
    fn facts_are_stale_when_the_cluster_was_silent_for_longer_than_the_bound() {
        let (now, bound) = (Timestamp::UNIX_EPOCH, SignedDuration::from_mins(5));
        let heard = |at| {
            Facts::default()
                .as_heard(Heard {
                    resource: "namespaces",
                    at,
                    bound,
                })
                .stale(now)
        };
        assert!(heard(Some(now - bound)).is_none());
        assert!(heard(Some(now - bound - SignedDuration::from_secs(1))).is_some());
        assert!(heard(None).is_some(), "what was never read is not known");
        assert!(
            Facts::default().stale(now).is_none(),
            "a snapshot does not age"
        );
    }
}
