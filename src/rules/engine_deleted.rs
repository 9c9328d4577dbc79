//! A deletion of a part of the engine.
//!
//! Every kind counts. If only Deployments were guarded, Helm would delete CRDs, ServiceAccounts and
//! bindings. Deleting a CRD deletes its custom resources without a review. A `helm.sh/hook` is
//! never guarded: a refused deletion fails the install and starts remediation. Three owners take
//! the engine along when they are deleted: its HelmRelease unless suspended, its FluxInstance
//! unless paused, and its pruning Kustomization unless suspended.

use crate::adoption::owners::{RECONCILE, holders};
use crate::case::finding::{Finding, Level};
use crate::case::request::{Door, Operation};
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::flux::applier::{FluxInstance, Kustomization, is_paused};
use crate::flux::engine::{Engine, Part};
use crate::helm::release::HelmRelease;
use crate::helm::{Owner, is_namespace_name, is_release_name};
use crate::object::{ALLOW, Body, Object, REASON, UNTIL};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "engine-deleted",
    level: Level::Enforce,
    catches: "a DELETE of any object of Flux, or of the HelmRelease, FluxInstance or Kustomization whose \
              deletion deletes Flux",
    breaks: "Flux stops, or loses its custom resources; for an optional controller only CRD deletions are refused",
    when: Moment::Done,
    doors: &[Door::Engine],
    needs: &[Need::RunningFlux, Need::FluxInstance],
    check,
};

/// Name of the CRD of FluxInstances.
pub const INSTANCES: &str = "fluxinstances.fluxcd.controlplane.io";

fn check(case: &Case<'_>) -> RuleResult {
    let deleted = case.request.operation == Operation::Delete;
    let old = case
        .change()
        .filter(|_| deleted)
        .and_then(|change| change.old.as_ref());
    let Some(object) = old else {
        return Ok(Vec::new());
    };
    let finding = match case.engine().part(object) {
        Some(part) => Some(lost(case, object, part)),
        None => uninstalled(case, object)?,
    };
    Ok(finding.into_iter().collect())
}

fn lost(case: &Case<'_>, object: &Object, part: Part) -> Finding {
    let engine = case.engine();
    let what = match part {
        Part::Definition => {
            "every custom resource of its kind would be deleted too, without a review"
        }
        Part::Optional => "an optional part of Flux stops",
        Part::Shield => "it protects Flux",
        Part::Vital if engine.names(object) => "Flux cannot run without it",
        Part::Vital => "its label marks it as Flux's, for example as a shard",
    };
    let message = format!("{} deletes a part of Flux: {what}", who(case));
    let level = if engine.spares(object) {
        Level::Warn
    } else {
        Level::Enforce
    };
    let home = home(case.engine(), object);
    let remedy = match object.owner().as_ref().and_then(way_out_of_uninstalling) {
        Some(command) => helm_remedy(&command, home),
        None => remedy(home),
    };
    Finding::about(object, "", message, remedy).at_most(level)
}

/// One hour from now in UTC, for every shell. `date` programs differ in adding hours, but all
/// accept a time zone that is one hour ahead.
const IN_AN_HOUR: &str = "$(TZ=UTC-1 date +%FT%TZ)";

/// Says how to proceed instead, and how to remove this namespace's engine on purpose.
#[must_use]
pub fn remedy(home: &str) -> String {
    let on_purpose = on_purpose(home);
    format!("If Helm deletes it, suspend the HelmRelease and correct its chart. {on_purpose}")
}

/// As [`remedy`], for an object of a Helm release. If Helm asks, the refusal leaves the release
/// `uninstalling`.
fn helm_remedy(command: &str, home: &str) -> String {
    let on_purpose = on_purpose(home);
    format!(
        "If Helm deletes it, suspend the HelmRelease and correct its chart; this gets the release out of \
         `uninstalling`: {command}. {on_purpose}"
    )
}

/// The command that gets a release out of `uninstalling`. `None` if an annotation names what Helm
/// would not take as a name: a person may paste the command into a shell.
#[must_use]
pub fn way_out_of_uninstalling(owner: &Owner) -> Option<String> {
    let Owner { name, namespace } = owner;
    let is_named = is_release_name(name) && is_namespace_name(namespace);
    is_named.then(|| format!("fluxkeep rescue --release {name} -n {namespace} --yes"))
}

/// Says how to remove this namespace's engine on purpose.
fn on_purpose(home: &str) -> String {
    format!(
        "To allow the removal of Flux for an hour:\nkubectl annotate --overwrite namespace {home} \
         {ALLOW}={} {REASON}='removed on purpose' {UNTIL}={IN_AN_HOUR}",
        RULE.id
    )
}

/// The engine namespace of an object; for a cluster-scoped object the first engine namespace.
fn home<'a>(engine: &'a Engine, object: &'a Object) -> &'a str {
    let own = object.namespace.as_ref().unwrap_or(&object.name);
    let home = Some(own)
        .filter(|own| engine.is_home(own))
        .or(engine.namespaces.first());
    home.map_or("flux-system", String::as_str)
}

/// The finding for an owner that takes the engine along when it is deleted.
fn uninstalled(case: &Case<'_>, object: &Object) -> Result<Option<Finding>, Need> {
    match &object.body {
        Body::HelmRelease(_) => owner(case, object),
        Body::Definition(_) => Ok(instances(case, object)),
        Body::FluxInstance(instance) => Ok(flux_instance(case, object, instance)),
        Body::Kustomization(kustomization) => Ok(root(case, object, kustomization)),
        _ => Ok(None),
    }
}

/// flux-operator's finalizer deletes every object that the FluxInstance applied, unless paused.
fn flux_instance(case: &Case<'_>, object: &Object, instance: &FluxInstance) -> Option<Finding> {
    if is_paused(object) || !instance.applied.holds_flux() {
        return None;
    }
    let definitions = instance.applied.definitions.len();
    let message = format!(
        "deleting it makes flux-operator uninstall Flux: its controllers, {definitions} CRDs and all \
         their custom resources"
    );
    Some(Finding::about(object, "", message, way_out(case, object)))
}

/// Deleting the CRD of FluxInstances deletes the FluxInstance of Flux without its own review.
fn instances(case: &Case<'_>, object: &Object) -> Option<Finding> {
    if object.name != INSTANCES {
        return None;
    }
    let is_applied = |instance: &Object| {
        let mut engine = case.facts.engine(case.engine());
        engine.any(|live| applies(instance, live))
    };
    let mut acting = case
        .facts
        .objects()
        .filter(|live| live.flux_instance().is_some() && !is_paused(live));
    let instance = acting.find(|instance| is_applied(instance))?;
    let message =
        format!("deleting it deletes {instance}, which makes flux-operator uninstall Flux");
    Some(Finding::about(object, "", message, way_out(case, instance)))
}

/// Says how to delete a FluxInstance but keep Flux, and how to delete both.
fn way_out(case: &Case<'_>, instance: &Object) -> String {
    let namespace = instance.namespace.as_deref().unwrap_or_default();
    let on_purpose = on_purpose(home(case.engine(), instance));
    format!(
        "Pause the FluxInstance first; its deletion then keeps Flux: kubectl annotate --overwrite \
         fluxinstance -n {namespace} {} {RECONCILE}=disabled. {on_purpose}",
        instance.name
    )
}

/// kustomize-controller deletes an applied object if the object still carries the Kustomization's
/// labels and nothing on the object disables pruning.
fn root(case: &Case<'_>, object: &Object, kustomization: &Kustomization) -> Option<Finding> {
    if !kustomization.prunes || !kustomization.applied.holds_flux() {
        return None;
    }
    let pruned: Vec<_> = case
        .facts
        .engine(case.engine())
        .filter(|live| is_pruned(live, object))
        .collect();
    let first = pruned.first()?;
    let message = format!(
        "deleting it makes kustomize-controller delete {} and {} more objects of Flux",
        first,
        pruned.len() - 1
    );
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let way_out = format!(
        "Suspend it first; its deletion then keeps Flux: flux suspend kustomization {} -n {namespace}",
        object.name
    );
    let on_purpose = on_purpose(home(case.engine(), object));
    let remedy = format!("{way_out}. {on_purpose}");
    Some(Finding::about(object, "", message, remedy))
}

fn is_pruned(live: &Object, kustomization: &Object) -> bool {
    let is_spared = ["prune", "reconcile"].into_iter().any(|word| {
        let key = format!("kustomize.toolkit.fluxcd.io/{word}");
        let marks = [&live.labels, &live.annotations];
        let mut values = marks.into_iter().filter_map(|marks| marks.get(&key));
        values.any(|value| value.eq_ignore_ascii_case("disabled"))
    });
    !is_spared && applies(kustomization, live)
}

/// True if a live object carries this Kustomization's labels.
pub(super) fn applies(kustomization: &Object, live: &Object) -> bool {
    let mut holders = holders(live);
    holders.any(|holder| {
        holder.tool.owns_as == kustomization.kind
            && holder.namespace == kustomization.namespace
            && holder.name == kustomization.name
    })
}

fn owner(case: &Case<'_>, object: &Object) -> Result<Option<Finding>, Need> {
    if object.helm_release().is_none_or(HelmRelease::is_suspended) {
        return Ok(None);
    }
    let Some(owner) = object.installs() else {
        return Ok(None);
    };
    if !case.owners()?.contains(&owner) {
        return Ok(None);
    }
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let message = format!(
        "deleting it makes helm-controller uninstall Helm release {owner}, which holds Flux"
    );
    let remedy = format!(
        "Suspend it first; its deletion then keeps Flux:\nkubectl patch helmrelease -n {namespace} {} \
         --type=merge -p '{{\"spec\":{{\"suspend\":true}}}}'",
        object.name
    );
    Ok(Some(Finding::about(object, "", message, remedy)))
}

fn who<'a>(case: &Case<'a>) -> &'a str {
    let user = case.request.writer.user.as_str();
    if user.is_empty() { "the request" } else { user }
}
