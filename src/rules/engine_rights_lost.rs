//! A binding of the engine that no longer names the engine's ServiceAccounts, or a role of theirs
//! that no longer grants what the controllers need.
//!
//! A second Flux in another namespace writes the same ClusterRoleBindings with its own
//! ServiceAccounts. The first Flux's controllers lose their rights at once. Adding subjects takes
//! no rights away, nor does leaving out a controller that does not run. A write of Helm's only
//! warns: Helm is half-way through a release.
//!
//! Roles are compared by the rights that controllers use, not by their rules: other rules may grant
//! the same, and so may another role of the same account. A deleted role grants nothing:
//! `cluster-admin`, for example. Roles that are known as Flux's are left to `engine-deleted`.

mod rights;
mod roles;

use std::cell::LazyCell;

use crate::case::finding::{Finding, Level};
use crate::case::request::{Door, Operation};
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::flux::engine::CORE;
use crate::object::{Binding, Body, Object, Role};
use rights::Rights;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "engine-rights-lost",
    level: Level::Enforce,
    catches: "a binding or role of Flux that no longer grants what its controllers need, or a deleted role \
              that Flux is bound to",
    breaks: "the controllers get 403 and stop reconciling; optional controllers and Helm's writes only \
             warn",
    when: Moment::Done,
    doors: &[
        Door::ReleaseRecord,
        Door::Preflight,
        Door::PostRenderer,
        Door::Engine,
    ],
    needs: &[Need::RunningFlux],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    let is_half_way = case.request.door == Door::Engine && case.request.writer.is_helm();
    let most = if is_half_way {
        Level::Warn
    } else {
        Level::Enforce
    };
    let rights = LazyCell::new(|| Rights::of(case));
    let mut findings = Vec::new();
    if let Some((gone, was)) = deleted(case) {
        let finding = roles::narrowed(&rights, gone, &Role::default(), was);
        let finding = finding.map(|finding| removed(gone, &finding));
        findings.extend(finding.map(|finding| finding.at_most(most)));
    }
    for (new, live) in case.rewritten() {
        // A field absent from a manifest leaves the live object unchanged; an update is complete.
        let is_complete = case.request.door == Door::Engine;
        let finding = match (&new.body, &live.body) {
            (Body::Binding(now), Body::Binding(was)) => {
                let is_told = is_complete || now.subjects.is_some();
                let is_judged = is_told && case.engine().part(live).is_some();
                is_judged.then(|| unbound(&rights, new, now, was)).flatten()
            }
            (Body::Role(now), Body::Role(was)) if is_complete || now.rules.is_some() => {
                let is_known = rights.know_bindings() || case.engine().part(live).is_some();
                let narrowed = || roles::narrowed(&rights, new, now, was);
                is_known.then(narrowed).flatten()
            }
            _ => None,
        };
        findings.extend(finding.map(|finding| finding.at_most(most)));
    }
    Ok(findings)
}

/// The role that a request deletes. `None` for a role of the engine itself.
fn deleted<'a>(case: &Case<'a>) -> Option<(&'a Object, &'a Role)> {
    if case.request.operation != Operation::Delete {
        return None;
    }
    let old = case.change()?.old.as_ref()?;
    match &old.body {
        Body::Role(role) if case.engine().part(old).is_none() => Some((old, role)),
        _ => None,
    }
}

/// The finding for a role that would grant less, as one for a role that would be gone.
fn removed(role: &Object, finding: &Finding) -> Finding {
    let message = finding
        .message
        .replace("its rules would no longer cover", "deleting it takes away");
    let remedy = "Keep it. To use another role, bind Flux's ServiceAccounts to that role first";
    Finding::about(role, "", message, remedy.to_owned()).at_most(finding.level)
}

fn unbound(rights: &Rights<'_>, new: &Object, now: &Binding, was: &Binding) -> Option<Finding> {
    let mut lost = Vec::new();
    for account in &rights.accounts {
        let loses = was.grants(account) && !now.grants(account);
        if loses && !rights.are_granted_elsewhere(new, &was.role, account) {
            lost.push(account);
        }
    }
    let names: Vec<String> = lost.iter().map(ToString::to_string).collect();
    let is_core = lost
        .iter()
        .any(|account| CORE.contains(&account.name.as_str()));
    let level = if is_core { Level::Enforce } else { Level::Warn };
    let names = names.join(", ");
    let message = format!("{names} would no longer have the rights of {}", was.role);
    let remedy = format!(
        "Keep Flux's ServiceAccounts in its subjects, beside new ones ({names}); a second Flux \
         needs a binding of another name"
    );
    (!lost.is_empty()).then(|| Finding::about(new, "/subjects", message, remedy).at_most(level))
}
