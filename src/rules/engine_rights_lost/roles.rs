//! A role that no longer grants a right which Flux's controllers use.

use std::collections::{BTreeMap, BTreeSet};

use super::rights::{Otherwise, Rights};
use crate::case::finding::{Finding, Level};
use crate::flux::engine::{CORE, controller_in};
use crate::flux::needs::{Needed, rights};
use crate::object::{Account, Object, Role};

/// The rights that the engine's accounts lose by the change of a role.
#[derive(Default)]
struct Lost {
    /// The verbs by resource, in words.
    verbs: BTreeMap<String, BTreeSet<&'static str>>,
    accounts: BTreeSet<String>,
    /// True if a core controller surely stops.
    is_vital: bool,
}

/// The finding for a role that an account of the engine is bound to. The cluster fills in the rules
/// of an aggregated role, so its manifest tells nothing.
pub(super) fn narrowed<'a>(
    all: &Rights<'a>,
    new: &'a Object,
    now: &Role,
    was: &Role,
) -> Option<Finding> {
    if now.is_aggregated {
        return None;
    }
    let mut gone = Vec::new();
    for (index, needed) in rights().iter().enumerate() {
        if was.grants(&needed.right) && !now.grants(&needed.right) {
            gone.push((index, needed));
        }
    }
    let mut lost = Lost::default();
    for account in &all.accounts {
        let is_bound = all.is_bound(account, new) || !all.know_bindings();
        let controller = controller_in(&account.name).filter(|_| is_bound);
        for needed in &gone {
            let uses = |name| needed.1.controllers.contains(&name);
            if controller.is_some_and(uses) {
                lost.add(account, needed.1, all.otherwise(account, new, *needed));
            }
        }
    }
    lost.finding(new)
}

impl Lost {
    fn add(&mut self, account: &Account, needed: &Needed, otherwise: Otherwise) {
        if otherwise == Otherwise::Kept {
            return;
        }
        let verbs = self.verbs.entry(needed.resources()).or_default();
        verbs.insert(needed.right.verb);
        self.accounts.insert(account.to_string());
        let is_core = CORE.contains(&account.name.as_str());
        self.is_vital |= is_core && needed.is_vital && otherwise == Otherwise::Lost;
    }

    fn finding(self, role: &Object) -> Option<Finding> {
        let mut rights = Vec::new();
        for (resource, verbs) in &self.verbs {
            let verbs: Vec<&str> = verbs.iter().copied().collect();
            rights.push(format!("{resource} ({})", verbs.join(", ")));
        }
        let rights = rights.join(", ");
        let accounts: Vec<String> = self.accounts.into_iter().collect();
        let message = format!(
            "its rules would no longer cover what {} needs: {rights}",
            accounts.join(", ")
        );
        let remedy = format!("Keep the rules for {rights}");
        let level = if self.is_vital {
            Level::Enforce
        } else {
            Level::Warn
        };
        let finding = Finding::about(role, "/rules", message, remedy);
        (!accounts.is_empty()).then(|| finding.at_most(level))
    }
}
