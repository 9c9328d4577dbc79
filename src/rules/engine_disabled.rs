//! A change by hand that stops a controller of Flux, or moves it to an older Flux.
//!
//! `kubectl apply` of an older `install.yaml` loses no CRD, because the apiserver refuses that.
//! Every controller still moves down. The rule refuses if the cluster does not serve what the older
//! controller reads, or if the controller's container disappears. A change that one command undoes
//! only warns, and so does a newer controller whose CRDs are not there yet. Helm's own writes pass:
//! Helm is half-way through a release whose record was judged.
//!
//! A restart, limits, arguments, an autoscaler and a newer image stop no controller.
//!
//! A CRD of Flux stops its controllers, too, if the version that they ask for is no longer served, or
//! if its schema or its status subresource goes, or if its status says that it is not established. A
//! ResourceQuota or LimitRange that allows no pod stops them at their next start. NetworkPolicies
//! that together allow them no traffic cut them off.

mod definition;
mod limits;
mod traffic;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use semver::Version;

use crate::case::finding::{Finding, Level};
use crate::case::request::{Door, Operation};
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::flux::engine;
use crate::flux::{self, Flux};
use crate::object::{Body, Object, Service, Start, Workload};
use crate::rules::flux_crds_unserved;
use crate::walks::counted;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "engine-disabled",
    level: Level::Enforce,
    catches: "a manual change that stops a Flux controller or moves it to an older Flux, or a Flux CRD \
              whose storage version is not served or whose status hides it",
    breaks: "a controller exits if the cluster does not serve its API versions; the rule only warns if the cluster \
             serves what the older controller reads, or if a controller is scaled to zero or paused",
    when: Moment::Done,
    doors: &[
        Door::ReleaseRecord,
        Door::Crd,
        Door::CrdStatus,
        Door::Preflight,
        Door::Engine,
    ],
    needs: &[Need::Definitions, Need::ChartFlux, Need::FluxOrder],
    check,
};

pub use limits::STOPPING;

/// The Services through which controllers and webhooks reach Flux.
pub const SERVICES: [&str; 3] = [
    "notification-controller",
    "source-controller",
    "webhook-receiver",
];

fn check(case: &Case<'_>) -> RuleResult {
    match case.request.door {
        Door::Engine => {}
        Door::CrdStatus => return Ok(definition::unestablished(case)),
        _ => return Ok(definition::unreadable(case)),
    }
    let is_written = case.request.operation != Operation::Delete;
    if !is_written || case.request.writer.is_helm() {
        return Ok(Vec::new());
    }
    let mut written = case.written();
    let Some((new, old)) = written.next().filter(|(new, _)| is_home(case, new)) else {
        return Ok(Vec::new());
    };
    match &new.body {
        Body::Forbids(now) => return Ok(limits::forbidden(new, now, old).into_iter().collect()),
        Body::NetworkPolicy(now) => return Ok(traffic::cut(case, new, now, old)),
        _ => {}
    }
    let Some(old) = old else {
        return Ok(Vec::new());
    };
    match (&new.body, &old.body) {
        (Body::Scale(now), Body::Scale(was)) if is_core(new) => {
            let stops = *now == 0 && *was != 0;
            Ok(stops.then(|| scaled(new)).into_iter().collect())
        }
        (Body::Workload(now), Body::Workload(was)) if engine::is_controller(&new.name) => {
            changed(case, (new, now), (old, was))
        }
        (Body::Service(now), Body::Service(was)) if SERVICES.contains(&new.name.as_str()) => {
            Ok(redirected(new, now, was).into_iter().collect())
        }
        _ => Ok(Vec::new()),
    }
}

fn is_home(case: &Case<'_>, object: &Object) -> bool {
    let namespace = object.namespace.as_deref();
    namespace.is_some_and(|namespace| case.engine().is_home(namespace))
}

fn is_core(object: &Object) -> bool {
    engine::CORE.contains(&object.name.as_str())
}

/// Compares a Deployment before and after the change.
fn changed(case: &Case<'_>, new: (&Object, &Workload), old: (&Object, &Workload)) -> RuleResult {
    let mut findings = Vec::new();
    let mut unknown = None;
    let kept: BTreeSet<&String> = new.1.images.iter().collect();
    let mut images = counted(new.1.images.iter());
    let runs = images.find_map(|image| Some((image, flux::controller(image, &new.0.name)?)));
    for (index, image) in old.1.images.iter().enumerate() {
        if kept.contains(image) {
            continue;
        }
        match moved(case, new, old, index, runs.as_ref()) {
            Ok(finding) => findings.extend(finding),
            Err(need) => unknown = Some(need),
        }
    }
    let (object, now) = new;
    if is_core(object) {
        if now.replicas == Some(0) && old.1.replicas != Some(0) {
            findings.push(scaled(object));
        }
        findings.extend(started(object, &now.start, &old.1.start));
    }
    // A finding says more than an unknown version.
    match unknown {
        Some(need) if findings.is_empty() => Err(need),
        _ => Ok(findings),
    }
}

/// The first image of a Deployment that runs a controller, with its name and version.
type Runs<'a> = (&'a String, (&'static str, Option<Version>));

/// Judges the controller that an image of the old Deployment ran. The new Deployment has another
/// image, or none.
///
/// # Errors
/// If no order is known: a digest tells no version, and the catalogue lacks a new release.
fn moved(
    case: &Case<'_>,
    (new, now): (&Object, &Workload),
    (old, was): (&Object, &Workload),
    index: usize,
    runs: Option<&Runs<'_>>,
) -> Result<Option<Finding>, Need> {
    let image = was.images.get(index).map_or("", String::as_str);
    let Some((name, from)) = flux::controller(image, &old.name) else {
        return Ok(None);
    };
    let named = runs.filter(|(_, (other, _))| *other == name);
    match named {
        Some((_, (_, Some(to)))) => {
            let order = from.map(|from| to.cmp(&from));
            replaced(case, new, old, index, order)
        }
        Some((now, (_, None))) if is_pinned(now, image) => Err(Need::ChartFlux),
        _ => Ok(Some(foreign((new, now), was, index, image))),
    }
}

/// True if `now` is from the repository of `was`, pinned by digest alone.
fn is_pinned(now: &str, was: &str) -> bool {
    let repository = was.split('@').next().unwrap_or_default();
    let repository = match repository.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => repository,
    };
    now.strip_prefix(repository)
        .is_some_and(|rest| rest.starts_with('@'))
}

/// Judges another version of a controller. The request changes no CRD, so the version must find the
/// CRDs that it reads. `order` compares it with the old version, if that is known.
///
/// # Errors
/// If the versions do not tell whether the controller moves down, or which CRDs it reads.
fn replaced(
    case: &Case<'_>,
    new: &Object,
    old: &Object,
    index: usize,
    order: Option<Ordering>,
) -> Result<Option<Finding>, Need> {
    if order == Some(Ordering::Equal) {
        return Ok(None);
    }
    let catalogue = &case.engine().catalogue;
    let [target, running] =
        [new, old].map(|object| Flux::of([object], catalogue).unwrap_or_default());
    let is_older = order == Some(Ordering::Less);
    let unserved = match flux_crds_unserved::unserved(case, &target) {
        Ok(unserved) => unserved,
        Err(_) if is_older => {
            let why = "whether the cluster serves what it reads is unknown";
            return Ok(Some(downgraded(new, index, &target, &running, why)));
        }
        Err(need) => return Err(need),
    };
    if unserved.is_empty() {
        let why = "the cluster serves what it reads";
        let finding = downgraded(new, index, &target, &running, why).at_most(Level::Warn);
        return match order {
            Some(_) => Ok(is_older.then_some(finding)),
            None => Err(Need::ChartFlux),
        };
    }
    let list = flux_crds_unserved::listed(&unserved);
    // Older CRDs may come a moment later, in the same `kubectl apply`. The apiserver refuses CRDs
    // that lack what is stored, so nothing helps an older controller.
    let is_past = unserved.iter().any(|one| one.is_past);
    if is_older || is_past {
        let why = format!("it reads {list}, which the cluster does not serve");
        let finding = downgraded(new, index, &target, &running, &why);
        return Ok(Some(finding));
    }
    let message = format!("{target} reads {list}, which the cluster does not serve yet");
    let remedy = format!("Apply the CRDs of {target} first");
    let finding = Finding::about(new, &image_path(index), message, remedy);
    Ok(Some(finding.at_most(Level::Warn)))
}

fn downgraded(new: &Object, index: usize, target: &Flux, running: &Flux, why: &str) -> Finding {
    let message = format!("{target} would replace the running {running}; {why}");
    let remedy = format!("Apply a manifest of {running} or newer");
    Finding::about(new, &image_path(index), message, remedy)
}

/// The finding if another image replaces the controller's, or its container is gone.
fn foreign((new, now): (&Object, &Workload), was: &Workload, index: usize, image: &str) -> Finding {
    let container = was.start.containers.get(index);
    let place = container
        .and_then(|name| now.start.containers.iter().position(|other| other == name))
        .and_then(|place| Some((place, now.images.get(place)?)));
    let remedy = format!("Keep {image} or a newer version");
    if let Some((place, other)) = place {
        let message = format!("{other} would replace {image}, and its version is unknown");
        return Finding::about(new, &image_path(place), message, remedy).at_most(Level::Warn);
    }
    let message = format!("no container would run {image}");
    Finding::about(new, "/spec/template/spec/containers", message, remedy)
}

fn image_path(index: usize) -> String {
    format!("/spec/template/spec/containers/{index}/image")
}

fn scaled(object: &Object) -> Finding {
    let deployment = Object {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        ..object.clone()
    };
    let name = &deployment.name;
    let message = format!("replicas: 0 stops {name}");
    let namespace = deployment.namespace.as_deref().unwrap_or_default();
    let remedy =
        format!("Start it again: kubectl scale -n {namespace} deployment {name} --replicas=1");
    Finding::about(&deployment, "/spec/replicas", message, remedy).at_most(Level::Warn)
}

/// Finds changes that keep new pods from starting, or run them as another ServiceAccount.
fn started(object: &Object, now: &Start, was: &Start) -> Vec<Finding> {
    let warn = |path: &str, message: String, remedy: &str| {
        Finding::about(object, path, message, remedy.to_owned()).at_most(Level::Warn)
    };
    let mut findings = Vec::new();
    if now.paused && !was.paused {
        let message = "paused: true keeps every later change from the pods".to_owned();
        findings.push(warn("/spec/paused", message, "Remove spec.paused"));
    }
    if now.account != was.account {
        let message = format!(
            "it would run as ServiceAccount {:?}, but {:?} has the rights of Flux",
            now.account, was.account
        );
        let path = "/spec/template/spec/serviceAccountName";
        findings.push(warn(
            path,
            message,
            "Keep its ServiceAccount, or bind the new one first",
        ));
    }
    let mut nodes = now
        .nodes
        .iter()
        .filter(|(key, _)| *key != "kubernetes.io/os");
    if let Some((key, value)) = nodes.find(|(key, value)| was.nodes.get(*key) != Some(*value)) {
        let message = format!("it would run only on nodes with {key}={value}");
        let path = "/spec/template/spec/nodeSelector";
        findings.push(warn(
            path,
            message,
            "Make sure that a node with this label has room",
        ));
    }
    findings
}

fn redirected(new: &Object, now: &Service, was: &Service) -> Option<Finding> {
    if let Some(name) = now.external.as_ref().filter(|_| was.external.is_none()) {
        let message = format!("its name would lead to {name:?} and not to Flux's controller");
        let remedy = "Leave spec.type: ClusterIP on it".to_owned();
        return Some(Finding::about(new, "/spec/type", message, remedy).at_most(Level::Warn));
    }
    let message = "it would select pods other than those of Flux's controller".to_owned();
    let remedy = format!("Keep the selector app: {}", new.name);
    (now.selector != was.selector)
        .then(|| Finding::about(new, "/spec/selector", message, remedy).at_most(Level::Warn))
}
