//! Writes the catalogue's file: an entry for each release, with the CRDs that differ from the
//! release before.

use std::collections::BTreeMap;
use std::fmt::Write;

use fluxkeep::crd::Version;
use fluxkeep::flux::catalogue::{FluxRelease, Offer};

/// The text of a catalogue of these releases, oldest first.
pub(crate) fn write(releases: &[FluxRelease]) -> String {
    let mut before = BTreeMap::new();
    let mut entries = Vec::new();
    for release in releases {
        let now: BTreeMap<&str, &Offer> = release
            .crds
            .iter()
            .map(|crd| (crd.name.as_str(), crd))
            .collect();
        entries.push(entry(release, &changed(&before, &now)));
        before = now;
    }
    format!("[\n{}\n]\n", entries.join(",\n"))
}

/// The CRDs that differ, each with its kind and versions. A removed CRD has an empty list.
fn changed<'a>(
    before: &BTreeMap<&'a str, &'a Offer>,
    now: &BTreeMap<&'a str, &'a Offer>,
) -> BTreeMap<&'a str, Vec<String>> {
    let mut changed = BTreeMap::new();
    for (name, offer) in now {
        if before.get(name) != Some(offer) {
            changed.insert(*name, words(offer));
        }
    }
    for name in before.keys().filter(|name| !now.contains_key(*name)) {
        changed.insert(*name, Vec::new());
    }
    changed
}

fn words(offer: &Offer) -> Vec<String> {
    let mut words = vec![offer.kind.clone()];
    words.extend(offer.versions.iter().map(word));
    words
}

fn word(version: &Version) -> String {
    let mark = if version.storage { "*" } else { "" };
    let unserved = if version.served { "" } else { "-" };
    format!("{}{unserved}{mark}", version.name)
}

fn entry(release: &FluxRelease, crds: &BTreeMap<&str, Vec<String>>) -> String {
    let charts: Vec<_> = release.charts.iter().map(ToString::to_string).collect();
    let controllers: Vec<_> = release
        .controllers
        .iter()
        .map(|one| format!("\"{}\": \"{}\"", one.name, one.version))
        .collect();
    let mut text = format!(
        "  {{\"version\": \"{}\", \"helm\": \"{}\", \"charts\": [{}], \"controllers\": {{{}}}",
        release.version,
        release.helm,
        quoted(&charts),
        controllers.join(", ")
    );
    if !crds.is_empty() {
        let lines: Vec<_> = crds
            .iter()
            .map(|(name, words)| format!("    \"{name}\": [{}]", quoted(words)))
            .collect();
        let _ = write!(text, ", \"crds\": {{\n{}}}", lines.join(",\n"));
    }
    text + "}"
}

fn quoted(texts: &[String]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| format!("\"{text}\"")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use fluxkeep::flux::catalogue::Catalogue;

    #[test]
    fn the_built_in_catalogue_is_written_as_it_is_read() {
        let text = include_str!("../../src/flux/catalogue/releases.json");
        assert_eq!(write(Catalogue::read(text).unwrap().releases()), text);
    }

    #[test]
    fn a_crd_that_is_gone_and_a_version_that_is_not_served_survive_the_file() {
        let mut releases = Catalogue::built_in().releases()[..2].to_vec();
        releases[1].crds.remove(0);
        releases[1].crds[0].versions[0].served = false;
        let read = Catalogue::read(&write(&releases)).unwrap();
        assert_eq!(read.releases(), releases);
    }
}
