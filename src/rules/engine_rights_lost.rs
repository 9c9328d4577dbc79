//! A binding of the engine that no longer names the engine's ServiceAccounts.
//!
//! A second Flux in another namespace writes the same ClusterRoleBindings with its own
//! ServiceAccounts. The first Flux's controllers lose their rights at once. Adding subjects takes
//! no rights away, nor does leaving out a controller that does not run. A write of Helm's only
//! warns: Helm is half-way through a release.

use std::collections::BTreeSet;

use crate::engine::{CONTROLLERS, CORE, Part};
use crate::finding::{Finding, Level};
use crate::object::{Account, Binding, Body, Object, Role};
use crate::request::Door;
use crate::rule::{Case, Found, Moment, Need, Rule};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "engine-rights-lost",
    level: Level::Enforce,
    catches: "a binding or role of the engine that no longer grants what Flux's controllers need",
    breaks: "the controllers get 403 from then on and reconcile nothing; optional controllers only warn, and \
             so does a write of Helm's",
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

/// The API groups that the core controllers of every Flux release use.
pub const CORE_GROUPS: [&str; 4] = [
    "helm.toolkit.fluxcd.io",
    "kustomize.toolkit.fluxcd.io",
    "notification.toolkit.fluxcd.io",
    "source.toolkit.fluxcd.io",
];

fn check(case: &Case<'_>) -> Found {
    let is_half_way = case.request.door == Door::Engine && case.request.writer.is_helm();
    let most = if is_half_way {
        Level::Warn
    } else {
        Level::Enforce
    };
    let mut findings = Vec::new();
    for (new, live) in case.rewritten() {
        let finding = match (&new.body, &live.body, case.engine().part(live)) {
            (_, _, None) => None,
            (Body::Binding(now), Body::Binding(was), _) => unbound(case, new, now, was),
            (Body::Role(now), Body::Role(was), Some(Part::Vital)) => emptied(new, now, was),
            _ => None,
        };
        findings.extend(finding.map(|finding| finding.at_most(most)));
    }
    Ok(findings)
}

fn unbound(case: &Case<'_>, new: &Object, now: &Binding, was: &Binding) -> Option<Finding> {
    // A field absent from a manifest leaves the live object unchanged; an update is complete.
    if now.subjects.is_none() && case.request.door != Door::Engine {
        return None;
    }
    let accounts = accounts(case).into_iter();
    let lost: Vec<Account> = accounts
        .filter(|account| was.grants(account) && !now.grants(account))
        .filter(|account| {
            runs(case, account) && !is_granted_elsewhere(case, new, &was.role, account)
        })
        .collect();
    let names: Vec<String> = lost.iter().map(Account::to_string).collect();
    let is_core = lost
        .iter()
        .any(|account| CORE.contains(&account.name.as_str()));
    let level = if is_core { Level::Enforce } else { Level::Warn };
    let names = names.join(", ");
    let message = format!("{names} would no longer have the rights of {}", was.role);
    let remedy = format!(
        "Leave the ServiceAccounts of Flux in its subjects, beside new ones ({names}); a second Flux \
         needs a binding of another name"
    );
    (!lost.is_empty()).then(|| Finding::about(new, "/subjects", message, remedy).at_most(level))
}

/// The engine's ServiceAccounts: those of its controllers, and those with the engine's label.
fn accounts(case: &Case<'_>) -> BTreeSet<Account> {
    let mut accounts = BTreeSet::new();
    for namespace in &case.engine().namespaces {
        accounts.extend(CONTROLLERS.map(|name| Account {
            namespace: namespace.clone(),
            name: name.to_owned(),
        }));
    }
    let live = case.facts.engine(case.engine());
    for object in live.filter(|object| object.kind == "ServiceAccount") {
        accounts.insert(Account {
            namespace: object.namespace.clone().unwrap_or_default(),
            name: object.name.clone(),
        });
    }
    accounts
}

/// False if the account's namespace has Flux Deployments, but none for this account: then no right
/// is lost. True if the namespace shows no Flux Deployment at all.
fn runs(case: &Case<'_>, account: &Account) -> bool {
    let live = case.facts.engine(case.engine());
    let beside = live.filter(|object| {
        object.kind == "Deployment" && object.namespace.as_ref() == Some(&account.namespace)
    });
    let names: Vec<&str> = beside.map(|object| object.name.as_str()).collect();
    names.is_empty() || names.contains(&account.name.as_str())
}

/// True if another binding will grant the same role: a binding that the request writes, or a live
/// binding that stays. `flux bootstrap` and a chart may each name their own bindings.
fn is_granted_elsewhere(case: &Case<'_>, new: &Object, role: &str, account: &Account) -> bool {
    let is_rewritten = |live: &Object| case.written().any(|(new, _)| new.key() == live.key());
    let stays = case.facts.objects().filter(|live| !is_rewritten(live));
    let written = case.written().map(|(new, _)| new);
    let mut others = written.chain(stays).filter(|other| {
        let is_alike = other.kind == new.kind && other.namespace == new.namespace;
        is_alike && other.name != new.name
    });
    others.any(|other| match &other.body {
        Body::Binding(binding) => binding.role == role && binding.grants(account),
        _ => false,
    })
}

fn emptied(new: &Object, now: &Role, was: &Role) -> Option<Finding> {
    let lost: Vec<&str> = CORE_GROUPS
        .into_iter()
        .filter(|group| was.covers(group) && !now.covers(group))
        .collect();
    let groups = lost.join(", ");
    let message = format!("its rules would no longer cover {groups}");
    let remedy = format!("Leave the rules for {groups} in it");
    (!lost.is_empty()).then(|| Finding::about(new, "/rules", message, remedy))
}
