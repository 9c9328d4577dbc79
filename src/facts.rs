//! What is true of the cluster, as far as the judge needs to know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::engine::{self, Engine, Part};
use crate::flux::Flux;
use crate::helm::Owner;
use crate::object::{Body, Key, Object, Start};

/// The objects that were seen in the cluster. No schema, no Secret.
///
/// A clone shares the objects and costs nothing; they are copied when one of the two changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    objects: Arc<BTreeMap<Key, Arc<Object>>>,
    heard: Option<Heard>,
}

/// When a cluster that is followed was heard last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// The collection that was silent for longest, for example `customresourcedefinitions`.
    pub resource: &'static str,
    /// When it was heard last; none where it was never read whole.
    pub at: Option<Timestamp>,
    /// How old facts may be.
    pub bound: SignedDuration,
}

impl Facts {
    /// Facts that hold these objects; of two with the same key the later one counts.
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

    /// The same facts, which hold only as long as the cluster is heard. Others hold for good.
    #[must_use]
    pub fn as_heard(self, heard: Heard) -> Self {
        Self {
            heard: Some(heard),
            ..self
        }
    }

    /// What was silent for longer than the bound, if anything was.
    #[must_use]
    pub fn stale(&self, now: Timestamp) -> Option<Heard> {
        let is_old = |heard: &Heard| {
            heard
                .at
                .is_none_or(|at| now.duration_since(at) > heard.bound)
        };
        self.heard.filter(is_old)
    }

    /// Takes an object as it lives now. Says whether that is new.
    pub fn put(&mut self, object: Object) -> bool {
        let (key, object) = (object.key(), established(object));
        let is_new = self.live(&key) != Some(&object);
        if is_new {
            Arc::make_mut(&mut self.objects).insert(key, Arc::new(object));
        }
        is_new
    }

    /// Keeps the objects whose key meets a condition, and forgets the others.
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
        self.objects.values().map(AsRef::as_ref)
    }

    /// The live object with this key.
    #[must_use]
    pub fn live(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key).map(AsRef::as_ref)
    }

    /// The objects that live and could not be read: nothing is known of them beyond their names.
    pub fn unread(&self) -> impl Iterator<Item = &Object> {
        self.objects().filter(|object| object.is_unread())
    }

    /// Whether the live object with this key could not be read.
    #[must_use]
    pub fn is_unread(&self, key: &Key) -> bool {
        self.live(key).is_some_and(Object::is_unread)
    }

    /// Whether any CustomResourceDefinition was seen; without one nothing can be said of storage.
    #[must_use]
    pub fn knows_definitions(&self) -> bool {
        self.objects().any(|object| object.definition().is_some())
    }

    /// The objects of the engine.
    pub fn engine<'a>(&'a self, engine: &'a Engine) -> impl Iterator<Item = &'a Object> {
        self.objects()
            .filter(|object| engine.part(object).is_some())
    }

    /// The Flux that runs in the cluster, told by the images of its controllers.
    #[must_use]
    pub fn running(&self, engine: &Engine) -> Option<Flux> {
        Flux::of(self.engine(engine), &engine.catalogue)
    }

    /// The Helm releases that own the engine. One that has no more of it than a network policy or an
    /// optional controller does not.
    #[must_use]
    pub fn owners(&self, engine: &Engine) -> BTreeSet<Owner> {
        let carries =
            |object: &&Object| matches!(engine.part(object), Some(Part::Definition | Part::Vital));
        self.objects()
            .filter(carries)
            .filter_map(Object::owner)
            .collect()
    }

    /// The HelmReleases of which helm-controller makes this Helm release: one, unless two compete.
    pub fn helm_releases<'a>(&'a self, owner: &'a Owner) -> impl Iterator<Item = &'a Object> {
        self.objects()
            .filter(move |object| object.installs().as_ref() == Some(owner))
    }

    /// The core controllers whose Deployment was seen, and those whose was not.
    #[must_use]
    pub fn controllers(&self, engine: &Engine) -> (Vec<&'static str>, Vec<&'static str>) {
        let seen = |name: &&str| {
            self.engine(engine)
                .any(|object| object.kind == "Deployment" && object.name == **name)
        };
        engine::CORE.into_iter().partition(seen)
    }
}

/// An object as the apiserver takes it. A CRD that does not say what is stored, as in a manifest that
/// was installed, stores its storage version from then on. One without any version is only the head of
/// a CRD: the apiserver takes none such. Facts are kept for long, so without spare room.
/// A role's rules and what starts pods stay behind: only a change of the object is held against them.
fn established(mut object: Object) -> Object {
    match &mut object.body {
        Body::Role(_) => object.body = Body::Other,
        Body::Workload(workload) => workload.start = Start::default(),
        _ => {}
    }
    if let Body::Definition(definition) = &mut object.body {
        if definition.versions.is_empty() {
            object.body = Body::Unread;
            return object;
        }
        if definition.stored.is_empty() {
            definition.stored = definition
                .storage()
                .map(str::to_owned)
                .into_iter()
                .collect();
        }
        // The apiserver took it, so each version has a schema; a snapshot leaves schemas out.
        for version in &mut definition.versions {
            version.schema = true;
        }
        definition.stored.shrink_to_fit();
        definition.versions.shrink_to_fit();
        definition.conversion = None;
    }
    object.flaws = Vec::new();
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
