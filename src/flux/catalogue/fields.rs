//! The fields that releases of Flux added to or dropped from a version of a CRD.
//!
//! `fields.json` has, per CRD and version, the paths that some release lacks: `2.7.0` for a field
//! since that release, `..2.3.0` for a field before it, `never` for a field that only other versions
//! of the CRD have. A path without an entry is in every release, or in none.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use semver::Version;

const DATA: &str = include_str!("fields.json");

/// The reason why a release lacks a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// The field is there since a later release.
    Later(Version),
    /// An earlier release dropped the field.
    Dropped(Version),
    /// Only other versions of the CRD have the field.
    OtherVersion,
}

type Table = BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>;

/// The paths that a version of a CRD lacks in a release, such as `spec.dependsOn[].readyExpr`.
#[must_use]
pub fn lacking(crd: &str, version: &str, release: &Version) -> Vec<(&'static str, Lack)> {
    static TABLE: LazyLock<Table> =
        LazyLock::new(|| serde_json::from_str(DATA).unwrap_or_default());
    let paths = TABLE.get(crd).and_then(|versions| versions.get(version));
    let mut lacking = Vec::new();
    for (path, life) in paths.into_iter().flatten() {
        lacking.extend(lack(life, release).map(|lack| (path.as_str(), lack)));
    }
    lacking
}

fn lack(life: &str, release: &Version) -> Option<Lack> {
    if life == "never" {
        return Some(Lack::OtherVersion);
    }
    let (since, until) = life.split_once("..").unwrap_or((life, ""));
    let since = Version::parse(since).ok().filter(|since| release < since);
    let until = Version::parse(until).ok().filter(|until| release >= until);
    since.map(Lack::Later).or(until.map(Lack::Dropped))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::flux::catalogue::Catalogue;

    #[test]
    fn every_entry_is_of_a_version_that_a_release_has() {
        let table: Table = serde_json::from_str(DATA).unwrap();
        let releases = Catalogue::built_in().releases();
        for (crd, versions) in &table {
            for (version, paths) in versions {
                let has = |crds: &[crate::flux::catalogue::Offer]| {
                    let offer = crds.iter().find(|offer| offer.name == *crd);
                    offer.is_some_and(|offer| offer.versions.iter().any(|one| one.name == *version))
                };
                assert!(releases.iter().any(|one| has(&one.crds)), "{crd} {version}");
                for (path, life) in paths {
                    let oldest = lack(life, &Version::new(2, 0, 0));
                    let newest = lack(life, &Version::new(2, 99, 0));
                    assert!(oldest.is_some() || newest.is_some(), "{path}: {life}");
                }
            }
        }
    }

    #[test]
    fn a_field_is_lacking_before_it_was_added() {
        let take = "spec.install.disableTakeOwnership";
        let lacks = |minor| {
            let release = Version::new(2, minor, 0);
            let all = lacking("helmreleases.helm.toolkit.fluxcd.io", "v2", &release);
            all.into_iter().find(|(path, _)| *path == take)
        };
        assert_eq!(lacks(4).unwrap().1, Lack::Later(Version::new(2, 5, 0)));
        assert_eq!(lacks(5), None);
    }
}
