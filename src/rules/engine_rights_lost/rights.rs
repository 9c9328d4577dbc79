//! The engine's ServiceAccounts, their bindings and their roles, as they will be.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::rule::Case;
use crate::flux::engine::CONTROLLERS;
use crate::flux::needs::{Needed, rights};
use crate::object::{Account, Binding, Body, Object, Role};

/// The engine's ServiceAccounts with the bindings and roles that they will have. Gathered once: a
/// release may rewrite thousands of bindings and roles.
pub(super) struct Rights<'a> {
    /// The accounts that something runs as.
    pub(super) accounts: Vec<Account>,
    /// The names of the bindings that grant a role to an account.
    grants: BTreeMap<(Place<'a>, Account), BTreeSet<&'a str>>,
    /// The accounts with each of their roles.
    bonds: BTreeSet<(Account, Bond<'a>)>,
    /// Two roles at most that grant an account a needed right, by its place in [`rights`].
    granting: BTreeMap<(Account, usize), Vec<RoleKey<'a>>>,
    /// The accounts with a role whose rules are not known; true if it counts in all namespaces.
    unknown: BTreeMap<Account, bool>,
}

/// The needed rights that each role grants.
type Granted<'a> = BTreeMap<RoleKey<'a>, BTreeSet<usize>>;

/// The bindings that can replace each other: of one kind, in one namespace, to one role.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a> {
    kind: &'a str,
    namespace: Option<&'a str>,
    role: &'a str,
}

/// A role as bindings name it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct RoleKey<'a> {
    /// `None` for a ClusterRole.
    namespace: Option<&'a str>,
    name: &'a str,
}

/// A role that an account is bound to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Bond<'a> {
    role: RoleKey<'a>,
    /// True if a RoleBinding limits the role to one namespace.
    is_local: bool,
}

/// Whether an account has a right by another role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// No other role grants it.
    Lost,
    /// The account has a role whose rules are not known.
    Unknown,
    /// Another role grants it.
    Kept,
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

impl<'a> RoleKey<'a> {
    fn of(role: &'a Object) -> Self {
        Self {
            namespace: role.namespace.as_deref().filter(|_| role.kind == "Role"),
            name: &role.name,
        }
    }
}

impl<'a> Bond<'a> {
    /// The bond that a binding makes to `KIND/NAME`.
    fn of(binding: &'a Object, role: &'a str) -> Option<Self> {
        let (kind, name) = role.split_once('/')?;
        let namespace = binding.namespace.as_deref();
        Some(Self {
            role: RoleKey {
                namespace: namespace.filter(|_| kind == "Role"),
                name,
            },
            is_local: binding.kind == "RoleBinding",
        })
    }
}

impl<'a> Rights<'a> {
    /// Bindings and roles that the request writes count, and live ones that stay.
    pub(super) fn of(case: &Case<'a>) -> Self {
        let mut accounts = accounts(case);
        let deployments = deployments(case);
        accounts.retain(|account| runs(&deployments, account));
        let mut all = Self {
            accounts: accounts.into_iter().collect(),
            grants: BTreeMap::new(),
            bonds: BTreeSet::new(),
            granting: BTreeMap::new(),
            unknown: BTreeMap::new(),
        };
        let keys = case.written_keys();
        let written = case.written().map(|(new, _)| new);
        let live = case.facts.objects();
        let stays = live.filter(|live| !keys.contains(&live.key()));
        let mut roles = Granted::new();
        for object in written.chain(stays) {
            match &object.body {
                Body::Binding(binding) => all.bind(object, binding),
                Body::Role(role) => {
                    roles.insert(RoleKey::of(object), granted(role));
                }
                _ => {}
            }
        }
        all.grant(&roles);
        all
    }

    fn bind(&mut self, object: &'a Object, binding: &'a Binding) {
        let bond = Bond::of(object, &binding.role);
        for account in self.accounts.iter().filter(|one| binding.grants(one)) {
            let place = Place::of(object, &binding.role);
            let names = self.grants.entry((place, account.clone())).or_default();
            names.insert(&object.name);
            let bond = bond.clone().map(|bond| (account.clone(), bond));
            self.bonds.extend(bond);
        }
    }

    /// Notes which roles grant what to whom.
    fn grant(&mut self, roles: &Granted<'a>) {
        let all: BTreeSet<usize> = (0..rights().len()).collect();
        for (account, bond) in &self.bonds {
            let is_admin = bond.role.namespace.is_none() && bond.role.name == "cluster-admin";
            let granted = match roles.get(&bond.role) {
                Some(granted) => granted,
                None if is_admin => &all,
                None => {
                    let is_wide = self.unknown.entry(account.clone()).or_default();
                    *is_wide |= !bond.is_local;
                    continue;
                }
            };
            for (index, needed) in rights().iter().enumerate() {
                let is_enough = needed.is_local || !bond.is_local;
                if !is_enough || !granted.contains(&index) {
                    continue;
                }
                let granting = self.granting.entry((account.clone(), index)).or_default();
                if granting.len() < 2 && !granting.contains(&bond.role) {
                    granting.push(bond.role.clone());
                }
            }
        }
    }

    /// True if a binding of another name will grant the same role. `flux bootstrap` and a chart may
    /// each name their own bindings.
    pub(super) fn are_granted_elsewhere(
        &self,
        new: &'a Object,
        role: &'a str,
        account: &Account,
    ) -> bool {
        let names = self.grants.get(&(Place::of(new, role), account.clone()));
        names.is_some_and(|names| names.iter().any(|name| *name != new.name))
    }

    /// True if at least one binding of the engine's accounts is known.
    pub(super) fn know_bindings(&self) -> bool {
        !self.bonds.is_empty()
    }

    /// True if the account is bound to this role.
    pub(super) fn is_bound(&self, account: &Account, role: &'a Object) -> bool {
        [false, true].into_iter().any(|is_local| {
            let role = RoleKey::of(role);
            let bond = Bond { role, is_local };
            self.bonds.contains(&(account.clone(), bond))
        })
    }

    /// Tells if another role than this one grants the account a needed right.
    pub(super) fn otherwise(
        &self,
        account: &Account,
        role: &Object,
        (index, needed): (usize, &Needed),
    ) -> Otherwise {
        let key = RoleKey::of(role);
        let granting = self.granting.get(&(account.clone(), index));
        if granting.is_some_and(|granting| granting.iter().any(|other| *other != key)) {
            return Otherwise::Kept;
        }
        match self.unknown.get(account) {
            Some(is_wide) if *is_wide || needed.is_local => Otherwise::Unknown,
            _ => Otherwise::Lost,
        }
    }
}

/// The needed rights that a role grants.
fn granted(role: &Role) -> BTreeSet<usize> {
    let all = rights().iter().enumerate();
    let granted = all.filter(|(_, needed)| role.grants(&needed.right));
    granted.map(|(index, _)| index).collect()
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
