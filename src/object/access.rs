//! Access rights: bindings and roles, as far as the engine's rights depend on them.

use std::collections::BTreeSet;
use std::fmt;

use crate::walks::counted;

/// A RoleBinding or ClusterRoleBinding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Binding {
    /// `roleRef` as `Kind/name`.
    pub role: String,
    /// `subjects`; `None` if the object has no such field.
    pub subjects: Option<BTreeSet<Grantee>>,
}

/// The user or group to which a binding grants its role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grantee {
    /// A user; a ServiceAccount counts as the user that it authenticates as.
    User(String),
    /// A group.
    Group(String),
}

/// A Role or ClusterRole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Role {
    /// `rules`; `None` if the object has no such field.
    pub rules: Option<Vec<PolicyRule>>,
    /// True if the cluster fills in the rules from other roles.
    pub is_aggregated: bool,
}

/// A rule of a role. In each set `*` stands for everything. A rule about URLs has no groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyRule {
    /// API groups, empty for the core group.
    pub groups: BTreeSet<String>,
    /// For example `buckets`, `buckets/status` or `*/status`.
    pub resources: BTreeSet<String>,
    /// For example `get`.
    pub verbs: BTreeSet<String>,
    /// True if the rule counts for objects of some names only.
    pub is_named: bool,
}

/// A verb on the objects of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// The plural, with a subresource if one is meant: `buckets/status`.
    pub resource: String,
    /// For example `get`.
    pub verb: &'static str,
}

/// A ServiceAccount by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl Binding {
    /// True if the binding grants its role to the account: by name or by one of its groups.
    #[must_use]
    pub fn grants(&self, account: &Account) -> bool {
        let Some(subjects) = &self.subjects else {
            return false;
        };
        account
            .grantees()
            .iter()
            .any(|grantee| subjects.contains(grantee))
    }
}

impl Account {
    /// The names under which a binding may grant a role to the account: its user and its groups.
    fn grantees(&self) -> [Grantee; 4] {
        let Self { namespace, name } = self;
        [
            Grantee::User(format!("system:serviceaccount:{namespace}:{name}")),
            Grantee::Group(format!("system:serviceaccounts:{namespace}")),
            Grantee::Group("system:serviceaccounts".to_owned()),
            Grantee::Group("system:authenticated".to_owned()),
        ]
    }
}

/// Verbs on a collection, which a rule for some names does not grant.
pub const UNNAMED: [&str; 3] = ["create", "list", "watch"];

impl Role {
    /// True if any rule grants this right.
    #[must_use]
    pub fn grants(&self, right: &Right) -> bool {
        let mut rules = counted(self.rules.iter().flatten());
        rules.any(|rule| rule.grants(right))
    }
}

impl PolicyRule {
    /// True if the rule grants this right. Names that a rule is limited to are trusted to be those
    /// that matter.
    fn grants(&self, right: &Right) -> bool {
        let holds = |set: &BTreeSet<String>, one: &str| set.contains(one) || set.contains("*");
        let subresource = right.resource.split_once('/');
        let is_resource = holds(&self.resources, &right.resource)
            || subresource.is_some_and(|(_, sub)| self.resources.contains(&format!("*/{sub}")));
        let is_unlimited = !self.is_named || !UNNAMED.contains(&right.verb);
        is_unlimited
            && is_resource
            && holds(&self.groups, right.group)
            && holds(&self.verbs, right.verb)
    }
}

/// Writes kubectl's `--serviceaccount` form with a slash: `flux-system/helm-controller`.
impl fmt::Display for Account {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_granted_by_its_name_or_by_a_group_that_it_is_in() {
        let account = Account {
            namespace: "flux-system".to_owned(),
            name: "helm-controller".to_owned(),
        };
        let user = |name: &str| Grantee::User(name.to_owned());
        let group = |name: &str| Grantee::Group(name.to_owned());
        for (grantee, expected) in [
            (
                user("system:serviceaccount:flux-system:helm-controller"),
                true,
            ),
            (group("system:serviceaccounts:flux-system"), true),
            (group("system:serviceaccounts"), true),
            (user("system:serviceaccount:flux:helm-controller"), false),
            (group("system:serviceaccounts:flux"), false),
            (user("system:serviceaccounts"), false),
        ] {
            let binding = Binding {
                role: String::new(),
                subjects: Some([grantee.clone()].into()),
            };
            assert_eq!(binding.grants(&account), expected, "{grantee:?}");
        }
    }
}
