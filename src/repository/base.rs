//! Findings that stood before a change: the change did not bring them.

use std::collections::BTreeSet;

use super::Repository;
use crate::case::finding::{Baseline, Finding};
use crate::case::verdict::Verdict;
use crate::object::SourceLocation;

/// A place without its line number: the path, and the text of the line.
type Place<'a> = (&'a str, &'a str);

/// Compares the findings of a repository with those before the change.
///
/// A finding stood before if an earlier finding of the same rule has all its places, at least the
/// same weight, and no comment that allows it. Lines may have moved.
pub fn compare(
    verdict: &mut Verdict,
    repository: &Repository,
    before: &Verdict,
    base: &Repository,
) {
    let earlier: Vec<(&Finding, BTreeSet<Place<'_>>)> = before
        .findings
        .iter()
        .filter(|finding| finding.excused.is_none())
        .map(|finding| (finding, base.places(finding)))
        .collect();
    for finding in &mut verdict.findings {
        let places = repository.places(finding);
        let stood = earlier.iter().any(|(old, old_places)| {
            old.rule == finding.rule
                && old.path == finding.path
                && old.level >= finding.level
                && !places.is_empty()
                && places.is_subset(old_places)
        });
        finding.baseline = Some(if stood {
            Baseline::Unchanged
        } else {
            Baseline::New
        });
    }
}

impl Repository {
    fn places(&self, finding: &Finding) -> BTreeSet<Place<'_>> {
        let related = finding.related.iter().map(|related| &related.source);
        let sources = finding.source.iter().chain(related);
        sources.filter_map(|source| self.line(source)).collect()
    }

    fn line(&self, source: &SourceLocation) -> Option<Place<'_>> {
        let text = self.texts.iter().find(|text| text.path == source.file)?;
        let number = usize::try_from(source.line).ok()?.checked_sub(1)?;
        let line = text.lines().nth(number)?;
        Some((&text.path, text.slice(line).trim()))
    }
}
