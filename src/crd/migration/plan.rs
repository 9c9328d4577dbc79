//! The steps that take old versions off a CRD's `storedVersions`.

use super::super::Definition;

/// The migration of one CRD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationPlan {
    /// The version that becomes the storage version first; `None` if it is the storage version.
    pub moves_from: Option<String>,
    /// The version in which all objects are stored in the end.
    pub storage: String,
    /// The versions that leave `storedVersions`, each once.
    pub leaves: Vec<String>,
    /// A served version, through which objects are read and rewritten.
    pub through: String,
}

/// The reason why a CRD cannot be migrated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MigrationObstacle {
    /// The wanted storage version is not in `spec.versions`.
    #[error("the CRD has no version {wanted}; it has {offered}")]
    Unknown {
        /// The wanted storage version.
        wanted: String,
        /// The names in `spec.versions`.
        offered: String,
    },
    /// No version stores new objects: the apiserver accepts no such CRD.
    #[error("no version of the CRD has the storage flag")]
    NoStorage,
    /// No client can read the objects.
    #[error("the CRD serves no version, so its objects cannot be read")]
    Unserved,
}

/// Plans the migration to the storage version, or to `storage` where one is given. `None` if no
/// object can be stored in another version.
///
/// # Errors
/// If the CRD cannot be migrated.
pub fn plan(
    live: &Definition,
    storage: Option<&str>,
) -> Result<Option<MigrationPlan>, MigrationObstacle> {
    let now = live.storage().ok_or(MigrationObstacle::NoStorage)?;
    let target = storage.unwrap_or(now);
    if !live.offers(target) {
        return Err(MigrationObstacle::Unknown {
            wanted: target.to_owned(),
            offered: live.offered(),
        });
    }
    let mut leaves: Vec<String> = Vec::new();
    for version in live.held() {
        if version != target && !leaves.iter().any(|left| left == version) {
            leaves.push(version.to_owned());
        }
    }
    if leaves.is_empty() {
        return Ok(None);
    }
    let through = if live.serves(target) {
        target
    } else {
        let served = live.versions.iter().find(|version| version.served);
        served
            .map(|version| &version.name)
            .ok_or(MigrationObstacle::Unserved)?
    };
    Ok(Some(MigrationPlan {
        moves_from: (target != now).then(|| now.to_owned()),
        storage: target.to_owned(),
        leaves,
        through: through.to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::crd::{Schema, Version};

    fn definition(versions: &[(&str, bool)], storage: &str, stored: &[&str]) -> Definition {
        let version = |(name, served): &(&str, bool)| Version {
            name: (*name).to_owned(),
            served: *served,
            storage: *name == storage,
            schema: Schema::Full,
            status: true,
        };
        Definition {
            versions: versions.iter().map(version).collect(),
            stored: stored.iter().map(|name| (*name).to_owned()).collect(),
            ..Definition::default()
        }
    }

    #[test]
    fn a_crd_with_one_stored_version_needs_nothing() {
        let live = definition(&[("v1", true)], "v1", &["v1"]);
        assert_eq!(plan(&live, None), Ok(None));
    }

    #[test]
    fn all_but_the_storage_version_leave() {
        let live = definition(
            &[("v1", true), ("v1beta2", true), ("v1beta1", false)],
            "v1",
            &["v1beta1", "v1beta2", "v1"],
        );
        let plan = plan(&live, None).unwrap().unwrap();
        assert_eq!(plan.leaves, ["v1beta1", "v1beta2"]);
        assert_eq!((plan.moves_from, plan.through.as_str()), (None, "v1"));
    }

    /// After a wrong prune, objects are still stored in the storage version that was taken off.
    #[test]
    fn a_storage_version_that_is_not_listed_is_moved_and_left() {
        let live = definition(&[("v1", true), ("v1beta2", true)], "v1beta2", &["v1"]);
        let plan = plan(&live, Some("v1")).unwrap().unwrap();
        assert_eq!(plan.moves_from.as_deref(), Some("v1beta2"));
        assert_eq!(plan.leaves, ["v1beta2"]);
    }

    #[test]
    fn an_unserved_storage_version_is_written_through_another() {
        let live = definition(
            &[("v1", false), ("v1beta2", true)],
            "v1",
            &["v1beta2", "v1"],
        );
        assert_eq!(plan(&live, None).unwrap().unwrap().through, "v1beta2");
    }

    #[test]
    fn obstacles_are_named() {
        let live = definition(&[("v1", false)], "v1", &["v1", "v1beta1"]);
        assert_eq!(plan(&live, None), Err(MigrationObstacle::Unserved));
        let wanted = plan(&live, Some("v2")).unwrap_err().to_string();
        assert_eq!(wanted, "the CRD has no version v2; it has v1");
        let live = definition(&[("v1", true)], "v2", &["v1"]);
        assert_eq!(plan(&live, None), Err(MigrationObstacle::NoStorage));
    }
}
