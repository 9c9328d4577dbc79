//! A binding of the engine that no longer names the engine's ServiceAccounts.
//!
//! A second Flux in another namespace writes the same ClusterRoleBindings with its own
//! ServiceAccounts. The first Flux's controllers lose their rights at once. Adding subjects takes
//! no rights away, nor does leaving out a controller that does not run. A write of Helm's only
//! warns: Helm is half-way through a release.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::flux::engine::{CONTROLLERS, CORE, Part};
use crate::object::{Account, Binding, Body, Object, Role};

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

fn check(case: &Case<'_>) -> RuleResult {
    let is_half_way = case.request.door == Door::Engine && case.request.writer.is_helm();
    let most = if is_half_way {
        Level::Warn
    } else {
        Level::Enforce
    };
    let rights = LazyCell::new(|| Rights::of(case));
    let mut findings = Vec::new();
    for (new, live) in case.rewritten() {
        let finding = match (&new.body, &live.body, case.engine().part(live)) {
            (_, _, None) => None,
            // A field absent from a manifest leaves the live object unchanged; an update is
            // complete.
            (Body::Binding(now), Body::Binding(_), _)
                if now.subjects.is_none() && case.request.door != Door::Engine =>
            {
                None
            }
            (Body::Binding(now), Body::Binding(was), _) => unbound(&rights, new, now, was),
            (Body::Role(now), Body::Role(was), Some(Part::Vital)) => emptied(new, now, was),
            _ => None,
        };
        findings.extend(finding.map(|finding| finding.at_most(most)));
    }
    Ok(findings)
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
        "Leave the ServiceAccounts of Flux in its subjects, beside new ones ({names}); a second Flux \
         needs a binding of another name"
    );
    (!lost.is_empty()).then(|| Finding::about(new, "/subjects", message, remedy).at_most(level))
}

/// The engine's ServiceAccounts and the bindings that will grant them roles, gathered once: a
/// release may rewrite thousands of bindings.
struct Rights<'a> {
    /// The accounts that something runs as.
    accounts: Vec<Account>,
    /// The names of the bindings that grant a role to an account.
    grants: BTreeMap<(Place<'a>, Account), BTreeSet<&'a str>>,
}

/// The bindings that can replace each other: of one kind, in one namespace, to one role.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a> {
    kind: &'a str,
    namespace: Option<&'a str>,
    role: &'a str,
}

impl<'a> Place<'a> {
    fn of(object: &'a Object, role: &'a str) -> Self {
        Self {
            kind: &object.kind,
            namespace: object.namespace.as_deref(),
            role,
        }
    }
}

impl<'a> Rights<'a> {
    /// Bindings that the request writes count, and live bindings that stay.
    fn of(case: &Case<'a>) -> Self {
        let mut accounts = accounts(case);
        let deployments = deployments(case);
        accounts.retain(|account| runs(&deployments, account));
        let keys = case.written_keys();
        let written = case.written().map(|(new, _)| new);
        let stays = case
            .facts
            .objects()
            .filter(|live| !keys.contains(&live.key()));
        let mut grants = BTreeMap::new();
        for object in written.chain(stays) {
            let Body::Binding(binding) = &object.body else {
                continue;
            };
            for account in accounts.iter().filter(|account| binding.grants(account)) {
                let place = Place::of(object, &binding.role);
                let names: &mut BTreeSet<&str> =
                    grants.entry((place, account.clone())).or_default();
                names.insert(&object.name);
            }
        }
        Self {
            accounts: accounts.into_iter().collect(),
            grants,
        }
    }

    /// True if a binding of another name will grant the same role. `flux bootstrap` and a chart may
    /// each name their own bindings.
    fn are_granted_elsewhere(&self, new: &Object, role: &str, account: &Account) -> bool {
        let names = self.grants.get(&(Place::of(new, role), account.clone()));
        names.is_some_and(|names| names.iter().any(|name| *name != new.name))
    }
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

/// The names of Flux's live Deployments, by namespace.
fn deployments<'a>(case: &Case<'a>) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let live = case.facts.engine(case.engine());
    let mut names = BTreeMap::<&str, BTreeSet<&str>>::new();
    for object in live.filter(|object| object.kind == "Deployment") {
        let namespace = object.namespace.as_deref().unwrap_or_default();
        names.entry(namespace).or_default().insert(&object.name);
    }
    names
}

/// False if the account's namespace has Flux Deployments, but none for this account: then no right
/// is lost. True if the namespace shows no Flux Deployment at all.
fn runs(deployments: &BTreeMap<&str, BTreeSet<&str>>, account: &Account) -> bool {
    let names = deployments.get(account.namespace.as_str());
    names.is_none_or(|names| names.contains(account.name.as_str()))
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
