//! The target of a bump, and the reasons to refuse it.

use std::collections::BTreeSet;

use semver::Version;

use super::Pin;
use crate::case::facts::Facts;
use crate::crd::dropped;
use crate::flux::catalogue::Catalogue;

/// The release to which pins move.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The Flux release.
    pub release: &'a Version,
    /// The version of the community's chart with it, if the catalogue lacks one.
    pub chart: Option<&'a Version>,
    /// The state of a cluster, whose stored versions then decide.
    pub facts: Option<&'a Facts>,
}

/// The reason why nothing is planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedPlan {
    /// No group has this name.
    #[error("no group is called {0:?}; the groups are {1}")]
    NoGroup(String, String),
    /// The apiserver would refuse CRDs of the target.
    #[error("Flux {to} does not offer what {from} stores: the apiserver refuses {crds}. {advice}")]
    StorageLost {
        /// The wanted release.
        to: String,
        /// The present release.
        from: String,
        /// The names of the CRDs.
        crds: String,
        /// The last safe release, and the way on.
        advice: String,
    },
    /// A chart pin has no version with the target.
    #[error("no known version of the chart flux2 brings Flux {0}; name one with --chart")]
    NoChart(Version),
}

impl<'a> Target<'a> {
    /// A release, judged by the catalogue alone.
    #[must_use]
    pub fn of(release: &'a Version) -> Self {
        Self {
            release,
            chart: None,
            facts: None,
        }
    }

    /// Refuses a target whose CRDs drop what a present release or the cluster stores.
    pub(super) fn stays_stored(
        &self,
        pins: &[&Pin],
        catalogue: &Catalogue,
    ) -> Result<(), RefusedPlan> {
        if let Some(facts) = self.facts {
            return self.stays_stored_in(facts, catalogue);
        }
        for from in present(pins) {
            let lost = catalogue.lost(from, self.release);
            if !lost.is_empty() {
                return Err(RefusedPlan::StorageLost {
                    to: self.release.to_string(),
                    from: format!("Flux {from}"),
                    crds: lost.join(", "),
                    advice: catalogue.way_past(from, self.release),
                });
            }
        }
        Ok(())
    }

    fn stays_stored_in(&self, facts: &Facts, catalogue: &Catalogue) -> Result<(), RefusedPlan> {
        let release = catalogue.release(self.release);
        let mut lost = Vec::new();
        for offer in release.map_or(&[][..], |release| release.crds.as_slice()) {
            let live = facts.definition(&offer.name);
            let Some(live) = live.and_then(|object| object.definition()) else {
                continue;
            };
            let new = offer.definition();
            let versions: Vec<&str> = dropped(live, &new).collect();
            if !versions.is_empty() {
                lost.push(format!("{} ({})", offer.name, versions.join(", ")));
            }
        }
        if lost.is_empty() {
            return Ok(());
        }
        Err(RefusedPlan::StorageLost {
            to: self.release.to_string(),
            from: "the cluster".to_owned(),
            crds: lost.join(", "),
            advice: "First migrate the stored objects:\nfluxkeep migrate".to_owned(),
        })
    }

    /// The CRDs that only a cluster which began with an older Flux would lose. Empty if the facts of
    /// a cluster decided.
    #[must_use]
    pub fn lost_if_grown(&self, pins: &[Pin], catalogue: &Catalogue) -> Vec<String> {
        let pins: Vec<&Pin> = pins.iter().filter(|pin| pin.counts).collect();
        let Some(newest) = present(&pins).pop_last().filter(|_| self.facts.is_none()) else {
            return Vec::new();
        };
        let older = catalogue.releases().iter().map(|one| &one.version);
        let older = older.filter(|one| *one < newest);
        let lost: BTreeSet<String> = older
            .flat_map(|one| catalogue.lost(one, self.release))
            .collect();
        lost.into_iter().collect()
    }
}

/// The releases that pins install.
fn present<'a>(pins: &[&'a Pin]) -> BTreeSet<&'a Version> {
    let installing = pins.iter().filter(|pin| pin.installs_flux());
    installing.filter_map(|pin| pin.comes.only()).collect()
}
