//! Something deletes a part of the engine.
//!
//! Every kind counts: with Deployments alone guarded, Helm deletes CRDs, ServiceAccounts and
//! bindings, and deleting a CRD deletes its custom resources without a review. A `helm.sh/hook` is
//! never guarded: refusing to delete it makes the install fail and starts the remediation. Deleting
//! the HelmRelease that owns the engine uninstalls it, unless that is suspended.

use crate::engine::{Engine, Part};
use crate::finding::{Finding, Level};
use crate::helm::release::HelmRelease;
use crate::object::{ALLOW, Object, REASON, UNTIL};
use crate::request::{Door, Operation};
use crate::rule::{Case, Found, Need, Rule};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "engine-deleted",
    level: Level::Enforce,
    catches: "a DELETE of any object of the engine, or of the HelmRelease that owns it",
    breaks: "Flux stops, or loses its custom resources; of an optional controller only the CRDs are refused",
    doors: &[Door::Engine],
    needs: &[Need::RunningFlux],
    check,
};

fn check(case: &Case<'_>) -> Found {
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
        None => owner(case, object)?,
    };
    Ok(finding.into_iter().collect())
}

fn lost(case: &Case<'_>, object: &Object, part: Part) -> Finding {
    let what = match part {
        Part::Definition => "every custom resource of its kind would go with it, without a review",
        Part::Vital => "Flux does not run without it",
        Part::Optional => "an optional part of Flux stops",
        Part::Shield => "it shields Flux",
    };
    let message = format!("{} deletes a part of Flux: {what}", who(case));
    let level = if part == Part::Optional {
        Level::Warn
    } else {
        Level::Enforce
    };
    Finding::about(object, "", message, remedy(home(case.engine(), object))).at_most(level)
}

/// What to do instead, and how the engine of this namespace is removed on purpose.
#[must_use]
pub fn remedy(home: &str) -> String {
    format!(
        "If Helm asks for it, suspend the HelmRelease and correct its chart. To remove Flux on purpose: \
         kubectl annotate namespace {home} {ALLOW}={} {REASON}='…' {UNTIL}=<RFC 3339 time>",
        RULE.id
    )
}

/// The namespace of the engine that an object belongs to; the first one's for what is cluster-wide.
fn home<'a>(engine: &'a Engine, object: &'a Object) -> &'a str {
    let own = object.namespace.as_ref().unwrap_or(&object.name);
    let home = Some(own)
        .filter(|own| engine.is_home(own))
        .or(engine.namespaces.first());
    home.map_or("flux-system", String::as_str)
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
    let message =
        format!("deleting it makes helm-controller uninstall Helm release {owner}, which is Flux");
    let remedy = format!(
        "Suspend it first, then deleting it leaves Flux alone: kubectl patch helmrelease -n {namespace} {} \
         --type=merge -p '{{\"spec\":{{\"suspend\":true}}}}'",
        object.name
    );
    Ok(Some(Finding::about(object, "", message, remedy)))
}

fn who<'a>(case: &Case<'a>) -> &'a str {
    let user = case.request.writer.user.as_str();
    if user.is_empty() { "the request" } else { user }
}
