//! The moves of Flux between a base revision and the repository, per group.

use semver::Version;

use super::{Pin, Repository};
use crate::case::finding::Finding;

/// A group whose Flux moves.
#[derive(Debug)]
pub struct Move<'a> {
    /// The release before the change.
    pub from: Version,
    /// The release after the change.
    pub to: Version,
    /// The pins that come to the new release; never empty.
    pub pins: Vec<&'a Pin>,
    /// The index of the group.
    pub group: usize,
}

impl Repository {
    /// The groups whose Flux moves; none without a base revision. A group has the name that it had
    /// there.
    #[must_use]
    pub fn moves(&self) -> Vec<Move<'_>> {
        let Some(base) = &self.base else {
            return Vec::new();
        };
        let mut moves = Vec::new();
        for (number, group) in self.groups.iter().enumerate() {
            let mut earlier = base.groups.iter();
            let old = earlier.position(|old| old.name == group.name);
            let from = old.and_then(|old| base.engine_of(old));
            let (Some(from), Some(to)) = (from, self.engine_of(number)) else {
                continue;
            };
            if from != to {
                moves.push(Move {
                    from: from.clone(),
                    to: to.clone(),
                    pins: self.steady(number, to),
                    group: number,
                });
            }
        }
        moves
    }

    /// The one release that a group comes to.
    fn engine_of(&self, group: usize) -> Option<&Version> {
        let engine = self.engine(group).filter(|engine| engine.is_fixed)?;
        Some(engine.release)
    }

    /// The pins of a group that come to this release, boot pins last.
    fn steady(&self, group: usize, release: &Version) -> Vec<&Pin> {
        let pins = self.of_group(group).filter(|pin| pin.installs_flux());
        let mut pins: Vec<&Pin> = pins
            .filter(|pin| pin.comes.only() == Some(release))
            .collect();
        pins.sort_by_key(|pin| self.is_boot(pin));
        pins
    }

    /// A finding about a move, at its pins.
    #[must_use]
    pub fn about_move(&self, moved: &Move<'_>, message: String, remedy: String) -> Option<Finding> {
        let (first, rest) = moved.pins.split_first()?;
        let finding = Finding::at(self.place(first), message, remedy);
        let value = format!("Flux {} to {}", moved.from, moved.to);
        Some(finding.with_related(self.related(rest)).with_value(value))
    }

    /// The groups of a message, unless the repository has one alone.
    #[must_use]
    pub fn of_groups(&self, groups: &[usize]) -> String {
        if self.groups.len() < 2 {
            return String::new();
        }
        format!(" in {}", self.names(groups).join(", "))
    }
}
