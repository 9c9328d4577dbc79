//! The migration that a refused CRD needs.

use crate::case::facts::Facts;
use crate::case::finding::Finding;
use crate::crd::kube_version::compare;
use crate::crd::migration::{MigrationPlan, plan};
use crate::crd::{Definition, dropped};
use crate::flux::catalogue::FluxRelease;
use crate::object::{Body, Object};
use crate::rules::stored_version_dropped;

/// The migration of a CRD's stored objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrdMigration {
    /// For example `buckets.source.toolkit.fluxcd.io`.
    pub crd: String,
    /// The versions that leave, and the version that stays.
    pub plan: MigrationPlan,
    /// The number of objects, if known.
    pub objects: Option<u64>,
}

impl CrdMigration {
    /// The command that performs it. `flags` select the cluster, each after a space.
    #[must_use]
    pub fn command(&self, flags: &str) -> String {
        let storage = match self.plan.moves_from {
            Some(_) => format!(" --storage {}", self.plan.storage),
            None => String::new(),
        };
        format!("fluxkeep migrate{flags} --crd {}{storage}", self.crd)
    }
}

/// The migration that answers a finding about a dropped stored version, and the CRD afterwards.
/// `None` for other findings, and if no migration makes the release pass.
pub(super) fn migration(
    finding: &Finding,
    facts: &Facts,
    release: &FluxRelease,
) -> Option<(CrdMigration, Object)> {
    if finding.rule != stored_version_dropped::RULE.id {
        return None;
    }
    let live = facts.definition(&finding.object.name)?;
    let definition = live.definition()?;
    let new = release.crd(&live.name)?.definition();
    let storage = kept_storage(definition, &new)?;
    let plan = plan(definition, Some(storage)).ok()??;
    let migrated = migrated(definition, &plan);
    if dropped(&migrated, &new).next().is_some() {
        return None;
    }
    let object = Object {
        body: Body::Definition(migrated),
        ..live.clone()
    };
    let migration = CrdMigration {
        crd: live.name.clone(),
        plan,
        objects: None,
    };
    Some((migration, object))
}

/// The live storage version, if the release offers it; else the newest later version of both.
/// Objects never move back to an older version.
fn kept_storage<'a>(live: &'a Definition, new: &Definition) -> Option<&'a str> {
    let storage = live.storage()?;
    if new.offers(storage) {
        return Some(storage);
    }
    let offers = live.versions.iter().map(|version| version.name.as_str());
    offers
        .filter(|version| new.offers(version) && compare(version, storage).is_gt())
        .max_by(|left, right| compare(left, right))
}

/// The CRD after the migration.
fn migrated(live: &Definition, plan: &MigrationPlan) -> Definition {
    let mut migrated = live.clone();
    for version in &mut migrated.versions {
        version.storage = version.name == plan.storage;
    }
    migrated.stored = vec![plan.storage.clone()];
    migrated
}
