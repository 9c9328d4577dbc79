//! The table of rules: one file per rule, one line here. A rule outside the table never runs.

// All rules share one signature, so some return `Ok` in every case.
#![allow(clippy::unnecessary_wraps)]

pub mod allowance_unused;
pub mod controller_missing;
pub mod crd_group_or_kind_changed;
pub mod crd_invalid;
pub mod crd_scope_changed;
pub mod destructive_remediation;
pub mod engine_deleted;
pub mod engine_disabled;
pub mod engine_in_two_releases;
pub mod engine_label_removed;
pub mod engine_object_removed;
pub mod engine_object_unkept;
pub mod engine_rights_lost;
pub mod engine_source_deleted;
pub mod facts_stale;
pub mod flux_crds_unserved;
pub mod flux_downgraded;
pub mod flux_minor_skipped;
pub mod flux_version_mismatch;
pub mod foreign_owner;
pub mod immutable_field_changed;
pub mod override_in_release;
pub mod pin_floating;
pub mod pin_mirror_stale;
pub mod pin_mismatch;
pub mod pin_missing;
pub mod release_identity_changed;
pub mod review_unreadable;
pub mod served_version_withdrawn;
pub mod storage_version_regressed;
pub mod stored_version_dropped;
pub mod stored_versions_pruned;
pub mod unknown_field;

use crate::case::rule::{Case, Need, Rule};
use crate::crd::Definition;
use crate::object::Object;

/// Every rule, ordered by id.
pub static RULES: [&Rule; 33] = [
    &allowance_unused::RULE,
    &controller_missing::RULE,
    &crd_group_or_kind_changed::RULE,
    &crd_invalid::RULE,
    &crd_scope_changed::RULE,
    &destructive_remediation::RULE,
    &engine_deleted::RULE,
    &engine_disabled::RULE,
    &engine_in_two_releases::RULE,
    &engine_label_removed::RULE,
    &engine_object_removed::RULE,
    &engine_object_unkept::RULE,
    &engine_rights_lost::RULE,
    &engine_source_deleted::RULE,
    &facts_stale::RULE,
    &flux_crds_unserved::RULE,
    &flux_downgraded::RULE,
    &flux_minor_skipped::RULE,
    &flux_version_mismatch::RULE,
    &foreign_owner::RULE,
    &immutable_field_changed::RULE,
    &override_in_release::RULE,
    &pin_floating::RULE,
    &pin_mirror_stale::RULE,
    &pin_mismatch::RULE,
    &pin_missing::RULE,
    &release_identity_changed::RULE,
    &review_unreadable::RULE,
    &served_version_withdrawn::RULE,
    &storage_version_regressed::RULE,
    &stored_version_dropped::RULE,
    &stored_versions_pruned::RULE,
    &unknown_field::RULE,
];

/// Returns the rule with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Rule> {
    RULES.into_iter().find(|rule| rule.id == id)
}

/// The id that shares the most words with a misspelt id.
#[must_use]
pub fn nearest(id: &str) -> &'static str {
    let alike = |rule: &&Rule| {
        let same = |word: &&str| id.split('-').any(|own| own == *word);
        let words = rule.id.split('-').filter(same).count();
        let start = rule
            .id
            .bytes()
            .zip(id.bytes())
            .take_while(|(left, right)| left == right)
            .count();
        (words, start)
    };
    RULES
        .into_iter()
        .max_by_key(alike)
        .map_or("", |rule| rule.id)
}

/// A CRD that is written over a live CRD.
#[derive(Debug, Clone, Copy)]
struct Redefined<'a> {
    object: &'a Object,
    new: &'a Definition,
    live: &'a Definition,
}

/// The CRDs that are written over live CRDs. A change carries its own old definition; a release
/// with CRDs needs the definitions of the cluster. Only the live `status.storedVersions` counts:
/// the written copy proves nothing.
fn redefined<'a>(case: &Case<'a>) -> Result<impl Iterator<Item = Redefined<'a>>, Need> {
    let mut brought = case
        .brought()
        .filter(|object| object.definition().is_some());
    if brought.next().is_some() && !case.facts.knows_definitions() {
        return Err(Need::Definitions);
    }
    // Other API versions describe storage differently and are skipped: `crd-invalid` refuses them.
    let pair = |(object, live): (&'a Object, &'a Object)| {
        crd_invalid::is_current(object).then_some(())?;
        Some(Redefined {
            object,
            new: object.definition()?,
            live: live.definition()?,
        })
    };
    Ok(case.rewritten().filter_map(pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_ordered_and_names_each_rule_once() {
        assert!(RULES.is_sorted_by(|left, right| left.id < right.id));
    }

    #[test]
    fn a_misspelt_rule_is_near_to_the_one_that_was_meant() {
        assert_eq!(nearest("stored-version-droped"), "stored-version-dropped");
        assert_eq!(nearest("engine-delete"), "engine-deleted");
    }
}
