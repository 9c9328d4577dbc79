//! A release of the catalogue as the objects that would be applied over the live ones.

use crate::case::facts::Facts;
use crate::case::request::{Door, Operation, Release, Request, Subject, Writer};
use crate::crd::Definition;
use crate::flux::catalogue::{FluxRelease, Offer};
use crate::flux::engine::Engine;
use crate::flux::needs::USES;
use crate::flux::{Flux, controller, runs_controller};
use crate::object::{ALLOW, Body, Key, Object};

/// The question whether the release may replace the running Flux.
pub(super) fn request(facts: &Facts, engine: &Engine, release: &FluxRelease) -> Request {
    let objects = objects(facts, engine, release);
    let owner = objects
        .iter()
        .filter(|object| runs_controller(object))
        .find_map(Object::owner);
    let release = Release {
        owner,
        revision: None,
        stored_in: None,
        objects,
    };
    Request {
        door: Door::Preflight,
        operation: Operation::Create,
        writer: Writer::default(),
        dry_run: false,
        subject: Subject::Release(release),
        gaps: Vec::new(),
    }
}

/// The objects as they live after the release: `storedVersions` gains the storage version.
pub(super) fn applied(facts: &Facts, engine: &Engine, release: &FluxRelease) -> Vec<Object> {
    let mut objects = objects(facts, engine, release);
    for object in &mut objects {
        if let Some(live) = facts.live(&object.key()) {
            object.annotations = live.annotations.clone();
        }
        let live = facts.definition(&object.name).and_then(Object::definition);
        let stored = live.map(|live| live.stored.clone()).unwrap_or_default();
        if let Body::Definition(new) = &mut object.body {
            new.stored = stored;
            let unlisted = new.unlisted().map(str::to_owned);
            new.stored.extend(unlisted);
        }
    }
    objects
}

/// The release's CRDs, and the live controllers with the release's images.
fn objects(facts: &Facts, engine: &Engine, release: &FluxRelease) -> Vec<Object> {
    let running = facts.running(engine).unwrap_or_default();
    let mut objects: Vec<Object> = Vec::new();
    for crd in &release.crds {
        if is_brought(facts, &running, crd) {
            objects.push(definition(facts, crd));
        }
    }
    for live in facts.engine(engine) {
        if live.kind == "Deployment" && runs_controller(live) {
            objects.push(moved(live, release));
        }
    }
    for object in &mut objects {
        unexcused(object);
    }
    objects
}

/// Takes off an override: a release that brings one voids it.
pub(crate) fn unexcused(object: &mut Object) {
    object.annotations.remove(ALLOW);
}

/// True if the CRD lives, or the release brings it for a running controller.
fn is_brought(facts: &Facts, running: &Flux, crd: &Offer) -> bool {
    if facts.live(&Key::of_definition(&crd.name)).is_some() {
        return true;
    }
    match USES.iter().find(|needs| needs.crd == crd.name) {
        Some(needs) => running.controllers.contains_key(needs.owner),
        None => true,
    }
}

/// The CRD with the release's versions. The rest stays as it lives.
fn definition(facts: &Facts, crd: &Offer) -> Object {
    let new = crd.definition();
    let live = facts.definition(&crd.name);
    let Some((object, definition)) = live.and_then(|live| Some((live, live.definition()?))) else {
        return Object {
            api_version: "apiextensions.k8s.io/v1".to_owned(),
            kind: "CustomResourceDefinition".to_owned(),
            name: crd.name.clone(),
            body: Body::Definition(new),
            ..Object::default()
        };
    };
    let definition = Definition {
        versions: new.versions,
        ..definition.clone()
    };
    Object {
        body: Body::Definition(definition),
        ..object.clone()
    }
}

/// A controller with the release's image. A controller that the release lacks stays as it is.
fn moved(live: &Object, release: &FluxRelease) -> Object {
    let mut object = live.clone();
    let name = live.name.clone();
    let Body::Workload(workload) = &mut object.body else {
        return object;
    };
    for image in &mut workload.images {
        let Some((known, _)) = controller(image, &name) else {
            continue;
        };
        let mut controllers = release.controllers.iter();
        if let Some(new) = controllers.find(|new| new.name == known) {
            *image = format!("ghcr.io/fluxcd/{known}:v{}", new.version);
        }
    }
    object
}
