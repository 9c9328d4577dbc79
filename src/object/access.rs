//! Access rights: bindings and roles, as far as the engine's rights depend on them.

use std::collections::BTreeSet;
use std::fmt;

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
    /// The API groups of all rules; `*` stands for every group.
    pub groups: BTreeSet<String>,
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

impl Role {
    /// True if any rule covers this API group.
    #[must_use]
    pub fn covers(&self, group: &str) -> bool {
        self.groups.contains(group) || self.groups.contains("*")
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
