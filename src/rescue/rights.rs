//! The rights that the steps of a rescue need.

use serde_json::Value;

use super::{Action, Plan};
use crate::flux::engine::{EngineKind, MEMBERS};
use crate::object::Key;
use crate::recovery::{Point, key};

/// The group of roles and bindings.
const RBAC: &str = "rbac.authorization.k8s.io";

/// A right on one object, or on all objects of a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// API group, empty for the core group.
    pub group: String,
    /// The plural, for example `deployments`.
    pub resource: String,
    /// For example `patch`.
    pub verb: &'static str,
    /// The namespace. `None` for a cluster-scoped resource or all namespaces.
    pub namespace: Option<String>,
    /// The object's name. `None` for all.
    pub name: Option<String>,
}

/// The rights for these steps. Whoever creates a role or a binding needs all rights in it, or the
/// verb `escalate` or `bind`.
#[must_use]
pub fn rights(plan: &Plan, point: Option<&Point>) -> Vec<Right> {
    let mut rights = Vec::new();
    for step in &plan.steps {
        let object = &step.object;
        match step.action {
            Action::Suspend => rights.push(right(object, "helmreleases", "patch")),
            Action::DeleteRecord => rights.push(right(object, "secrets", "delete")),
            Action::Create => {
                rights.extend(written(object, "create"));
                rights.extend(written(object, "patch"));
            }
            Action::Change => rights.extend(written(object, "patch")),
        }
        if matches!(step.action, Action::Create | Action::Change) {
            let objects = point.map(Point::objects).unwrap_or_default();
            let wanted = objects.iter().find(|wanted| key(wanted) == *object);
            rights.extend(wanted.and_then(granting));
        }
    }
    rights.sort();
    rights.dedup();
    rights
}

fn written(object: &Key, verb: &'static str) -> Option<Right> {
    let same = |member: &&EngineKind| member.kind == object.kind && member.group == object.group;
    let member = MEMBERS.iter().find(same)?;
    Some(right(object, member.resource, verb))
}

/// The right to write an object that grants rights.
fn granting(object: &Value) -> Option<Right> {
    let own = key(object);
    match own.kind.as_str() {
        "ClusterRole" => Some(right(&own, "clusterroles", "escalate")),
        "Role" => Some(right(&own, "roles", "escalate")),
        "ClusterRoleBinding" | "RoleBinding" => {
            let of = |field: &str| object.pointer(&format!("/roleRef/{field}"))?.as_str();
            let is_cluster_wide = of("kind") == Some("ClusterRole");
            let resource = if is_cluster_wide {
                "clusterroles"
            } else {
                "roles"
            };
            Some(Right {
                group: RBAC.to_owned(),
                resource: resource.to_owned(),
                verb: "bind",
                namespace: own.namespace.filter(|_| !is_cluster_wide),
                name: of("name").map(str::to_owned),
            })
        }
        _ => None,
    }
}

fn right(object: &Key, resource: &str, verb: &'static str) -> Right {
    Right {
        group: object.group.clone(),
        resource: resource.to_owned(),
        verb,
        namespace: object.namespace.clone(),
        name: Some(object.name.clone()),
    }
}
