//! The judged manifests: a release, and the HelmReleases and FluxInstances among them.

use anyhow::Context;
use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::request::{Change, Door, Operation, Release, Request, Subject, Writer};
use fluxkeep::case::verdict::Verdict;
use fluxkeep::flux::applier::is_paused;
use fluxkeep::helm::record;
use fluxkeep::judge::judge;
use fluxkeep::object::Object;
use fluxkeep_cluster::documents_with;
use jiff::Timestamp;

use super::{Args, owner};

/// API group and kind of objects from which a controller or a tool makes others. Their own text
/// shows none of these.
const SOURCES: [(&str, &str); 9] = [
    ("addons.cluster.x-k8s.io", "ClusterResourceSet"),
    ("addons.cluster.x-k8s.io", "HelmChartProxy"),
    ("argoproj.io", "Application"),
    ("argoproj.io", "ApplicationSet"),
    ("fluxcd.controlplane.io", "ResourceSet"),
    ("helm.cattle.io", "HelmChart"),
    ("kappctrl.k14s.io", "App"),
    ("kustomize.config.k8s.io", "Kustomization"),
    ("kustomize.toolkit.fluxcd.io", "Kustomization"),
];

/// The manifests as read.
#[derive(Debug)]
pub(super) struct Input {
    /// The release of all objects.
    pub(super) release: Release,
    /// A warning if Helm cannot store the release.
    pub(super) too_long: Option<String>,
}

impl Input {
    /// Reads the manifests. Objects without a namespace get the release's or the engine's.
    pub(super) fn read(args: &Args, policy: &Policy) -> anyhow::Result<Self> {
        let home = policy.engine.namespaces.first();
        let namespace = args.namespace.as_ref().or(home).map(String::as_str);
        let (mut objects, mut texts) = (Vec::new(), String::new());
        for path in &args.manifests {
            let mut show = |text: &str| texts.push_str(text);
            let mut read =
                documents_with(path, namespace, &mut show).context("loading the manifests")?;
            if path.as_os_str() == "-"
                && let Some(name) = &args.stdin_name
            {
                for object in &mut read {
                    rename(object, name);
                }
            }
            objects.extend(read);
        }
        let release = Release {
            owner: owner(args),
            revision: None,
            stored_in: None,
            objects,
        };
        // Without a name the manifests may be those of several releases.
        let is_one = release.owner.is_some();
        let too_long = is_one.then(|| record::warning(&texts)).flatten();
        Ok(Self { release, too_long })
    }

    /// Judges the release, then each HelmRelease and FluxInstance that the cluster would be asked
    /// to change.
    pub(super) fn judge(&self, facts: &Facts, policy: &Policy, now: Timestamp) -> Verdict {
        let release = Subject::Release(self.release.clone());
        let whole = request(Door::Preflight, Operation::Create, release);
        let mut verdict = judge(&whole, facts, policy, now);
        for object in &self.release.objects {
            let Some(door) = door(object) else {
                continue;
            };
            let old = facts.live(&object.key()).cloned();
            if old.as_ref().is_some_and(|old| is_same(old, object, policy)) {
                continue;
            }
            let operation = if old.is_some() {
                Operation::Update
            } else {
                Operation::Create
            };
            let new = Some(object.clone());
            let change = Subject::Change(Box::new(Change { old, new }));
            let own = request(door, operation, change);
            verdict.join(judge(&own, facts, policy, now));
        }
        verdict
    }

    /// A line if Helm cannot store the release, and for each kind of object whose effect cannot be
    /// judged here.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.too_long.iter().cloned().collect();
        for (group, kind) in SOURCES {
            let is_one = |object: &&Object| object.group() == group && object.kind == kind;
            let named = names(self.release.objects.iter().filter(is_one));
            notes.extend(named.map(|named| {
                format!("not judged: objects that {named} makes; render them and judge the result")
            }));
        }
        let is_release = |object: &&Object| object.helm_release().is_some();
        let named = names(self.release.objects.iter().filter(is_release));
        notes.extend(named.map(|named| {
            format!("not judged: the chart of {named}; judge the output of helm template, too")
        }));
        notes
    }
}

/// The first object and the number of the others; `None` without objects.
fn names<'a>(mut objects: impl Iterator<Item = &'a Object>) -> Option<String> {
    let first = objects.next()?;
    Some(match objects.count() {
        0 => first.to_string(),
        more => format!("{first} and {more} more"),
    })
}

fn rename(object: &mut Object, name: &str) {
    if let Some(source) = &mut object.source {
        name.clone_into(&mut source.file);
    }
}

fn request(door: Door, operation: Operation, subject: Subject) -> Request {
    Request {
        door,
        operation,
        writer: Writer::default(),
        dry_run: false,
        subject,
        gaps: Vec::new(),
    }
}

/// The door at which the server would judge the object by itself.
fn door(object: &Object) -> Option<Door> {
    if object.helm_release().is_some() {
        Some(Door::HelmRelease)
    } else if object.flux_instance().is_some() {
        Some(Door::FluxInstance)
    } else {
        None
    }
}

/// True if nothing that is judged changes. The server passes such an update, too. The live object's
/// status says what it applied, so a FluxInstance is compared without.
fn is_same(old: &Object, new: &Object, policy: &Policy) -> bool {
    if let Some((old, new)) = old.helm_release().zip(new.helm_release()) {
        return old.is_alike(new, &policy.engine.values_paths);
    }
    let instances = old.flux_instance().zip(new.flux_instance());
    instances.is_some_and(|(was, is)| {
        was.version == is.version
            && was.components == is.components
            && is_paused(old) == is_paused(new)
    })
}
