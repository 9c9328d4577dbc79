//! The objects and manifests that install Flux, and their change for another release.

use crate::adoption::owners::holder;
use crate::case::facts::Facts;
use crate::case::finding::ObjectRef;
use crate::case::request::{Change, Door, Operation, Request, Subject, Writer};
use crate::case::target_flux::{FLUX_VERSION, installs_engine, intended};
use crate::flux::applier::is_paused;
use crate::flux::catalogue::{FluxRelease, Installer};
use crate::flux::engine::{CORE, Engine};
use crate::helm::Owner;
use crate::helm::range::{Range, version};
use crate::object::{Body, Object};

/// An edit that moves Flux to a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The edited object. `None` for files, charts and commands.
    pub object: Option<ObjectRef>,
    /// The owner that applies the object, or the object that applies the files.
    pub owner: Option<String>,
    /// The change, in words.
    pub change: String,
    /// The question to the judge. `None` if the change cannot be judged.
    pub(super) request: Option<Request>,
}

impl Edit {
    /// The object after the edit.
    pub(super) fn edited(&self) -> Option<&Object> {
        match &self.request.as_ref()?.subject {
            Subject::Change(change) => change.new.as_ref(),
            _ => None,
        }
    }

    fn of_files(owner: Option<String>, change: String) -> Self {
        Self {
            object: None,
            owner,
            change,
            request: None,
        }
    }
}

/// True if a Helm release owns Flux, so each step needs a chart.
pub(super) fn is_by_chart(facts: &Facts, engine: &Engine) -> bool {
    !facts.owners(engine).is_empty()
}

/// The edit that brings the CRDs of the running release.
pub(super) fn crds(release: &FluxRelease) -> Edit {
    let change = format!(
        "the CustomResourceDefinitions alone of flux install --version=v{} --export, by kubectl apply --server-side",
        release.version
    );
    Edit::of_files(None, change)
}

/// The edits for a release: of HelmReleases, FluxInstances and the files of Kustomizations. Without
/// any, the edit of the controllers' owner.
pub(super) fn edits(facts: &Facts, engine: &Engine, release: &FluxRelease) -> Vec<Edit> {
    let mut edits = Vec::new();
    let owners = facts.owners(engine);
    for object in facts.objects() {
        let edit = match &object.body {
            Body::HelmRelease(_) if installs_engine(object, &owners, engine) => {
                helm_release(object, engine, release)
            }
            Body::FluxInstance(_) => flux_instance(object, release),
            Body::Kustomization(kustomization) if kustomization.applied.holds_flux() => {
                Some(kustomization_files(object, release))
            }
            _ => None,
        };
        edits.extend(edit);
    }
    for owner in &owners {
        if facts.helm_releases(owner).next().is_none() {
            edits.push(helm_command(owner, release));
        }
    }
    if edits.is_empty() {
        edits.push(by_holder(facts, engine, release));
    }
    edits
}

fn helm_release(object: &Object, engine: &Engine, release: &FluxRelease) -> Option<Edit> {
    let spec = object.helm_release()?;
    if spec.is_remote() {
        return None;
    }
    let flux = &release.version;
    let declared = intended(object, spec, engine).map(|target| target.path);
    let path = declared.unwrap_or_default();
    let mut edited = object.clone();
    let mut changes = Vec::new();
    let mut new_spec = spec.clone();
    if object.annotations.contains_key(FLUX_VERSION) {
        changes.push(format!("annotation {FLUX_VERSION}: {flux}"));
        edited
            .annotations
            .insert(FLUX_VERSION.to_owned(), flux.to_string());
    }
    if spec.chart() == Some("flux2") {
        match release.charts.last() {
            Some(chart) => {
                changes.push(format!("spec.chart.spec.version: {chart}"));
                new_spec = new_spec.with("/chart/spec/version", &chart.to_string());
            }
            None => changes.push(format!("a chart flux2 with Flux {flux}; none is known")),
        }
    } else if let Some(value) = path.strip_prefix("/spec/values/") {
        changes.push(format!(
            "spec.values.{}: {flux}, with a chart that brings it",
            value.replace('/', ".")
        ));
        new_spec = new_spec.with(&format!("/values/{value}"), &flux.to_string());
    } else {
        changes.push(format!("a version of its chart that brings Flux {flux}"));
    }
    edited.body = Body::HelmRelease(Box::new(new_spec));
    Some(Edit {
        object: Some(ObjectRef::of(object)),
        owner: applied_by(object),
        change: changes.join(", "),
        request: (edited != *object).then(|| request(Door::HelmRelease, object, edited)),
    })
}

fn flux_instance(object: &Object, release: &FluxRelease) -> Option<Edit> {
    let instance = object.flux_instance()?;
    if is_paused(object) || !instance.applied.holds_flux() {
        return None;
    }
    let flux = &release.version;
    let wanted = format!("{}.{}.x", flux.major, flux.minor);
    let holder = Installer::FluxOperator.first_with(flux);
    let operator = match holder {
        Some(first) => format!("needs flux-operator {first} or newer"),
        None => "no known flux-operator holds it yet".to_owned(),
    };
    let is_exact = instance.version.split('.').count() >= 3 && version(&instance.version).is_some();
    let range = Range::parse(&instance.version);
    let allows = !is_exact && range.is_ok_and(|range| range.matches(flux));
    let change = if allows {
        format!(
            "none: spec.distribution.version {} allows it; {operator}",
            instance.version
        )
    } else {
        format!("spec.distribution.version: {wanted}; {operator}")
    };
    let mut edited = object.clone();
    if let Body::FluxInstance(instance) = &mut edited.body
        && !allows
    {
        instance.version = wanted;
    }
    Some(Edit {
        object: Some(ObjectRef::of(object)),
        owner: applied_by(object),
        change,
        request: (!allows).then(|| request(Door::FluxInstance, object, edited)),
    })
}

/// `flux bootstrap` keeps Flux's manifests in the repository that a Kustomization applies.
fn kustomization_files(object: &Object, release: &FluxRelease) -> Edit {
    let source = object.kustomization().map(|one| &one.source);
    let source = source.map_or(String::new(), |[kind, namespace, name]| {
        let home = object.namespace.as_deref().unwrap_or_default();
        let namespace = if namespace.is_empty() {
            home
        } else {
            namespace
        };
        format!(" in {kind} {namespace}/{name}")
    });
    let change = format!(
        "gotk-components.yaml{source}: flux install --version=v{} --export",
        release.version
    );
    Edit::of_files(Some(object.to_string()), change)
}

/// A Helm release without a HelmRelease is upgraded by hand, or by a tool outside the cluster.
fn helm_command(owner: &Owner, release: &FluxRelease) -> Edit {
    let Owner { name, namespace } = owner;
    let change = match release.charts.last() {
        Some(chart) => format!(
            "helm upgrade {name} fluxcd-community/flux2 --version {chart} -n {namespace}, or its chart with Flux {}",
            release.version
        ),
        None => format!(
            "a version of its chart that brings Flux {}; no chart flux2 is known",
            release.version
        ),
    };
    Edit::of_files(Some(format!("Helm release {namespace}/{name}")), change)
}

fn by_holder(facts: &Facts, engine: &Engine, release: &FluxRelease) -> Edit {
    let mut controllers = facts
        .engine(engine)
        .filter(|object| object.kind == "Deployment" && CORE.contains(&object.name.as_str()));
    let holder = controllers.find_map(holder);
    let flux = &release.version;
    match holder {
        Some(holder) => Edit::of_files(
            Some(holder.to_string()),
            format!("its manifests of Flux: flux install --version=v{flux} --export"),
        ),
        None => Edit::of_files(None, format!("flux install --version=v{flux}")),
    }
}

/// The tool or object that applies an object, so an edit in the cluster would not last.
fn applied_by(object: &Object) -> Option<String> {
    holder(object).map(|holder| holder.to_string())
}

fn request(door: Door, old: &Object, new: Object) -> Request {
    let change = Change {
        old: Some(old.clone()),
        new: Some(new),
    };
    Request {
        door,
        operation: Operation::Update,
        writer: Writer::default(),
        dry_run: false,
        subject: Subject::Change(Box::new(change)),
        gaps: Vec::new(),
    }
}
