//! Reads a module's files: the controllers of a Flux release, the CRDs of a controller.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use fluxkeep::crd;
use fluxkeep::flux::catalogue::Offer;
use fluxkeep::manifest::{self, Reading};
use semver::Version;

/// The controllers of a release by name, from the downloads in flux2's `manifests/bases`.
///
/// # Errors
/// If the folder cannot be read.
pub(crate) fn controllers(flux2: &Path) -> anyhow::Result<BTreeMap<String, Version>> {
    let mut controllers = BTreeMap::new();
    for folder in entries(&flux2.join("manifests/bases"))? {
        let text = read(&folder.join("kustomization.yaml"))?;
        controllers.extend(text.lines().filter_map(fetched));
    }
    Ok(controllers)
}

/// The controller and version that the line downloads, if any.
fn fetched(line: &str) -> Option<(String, Version)> {
    let (_, release) = line.split_once("github.com/fluxcd/")?;
    let (name, asset) = release.split_once("/releases/download/v")?;
    let (version, _) = asset.split_once('/')?;
    Some((name.to_owned(), version.parse().ok()?))
}

/// The version of the Helm SDK that helm-controller's `go.mod` requires.
pub(crate) fn helm(go_mod: &str) -> Option<Version> {
    let mut lines = go_mod.lines().map(str::trim);
    let line = lines.find(|line| line.starts_with("helm.sh/helm/v"))?;
    line.split_once(" v")?.1.parse().ok()
}

/// The CRDs of a controller's module.
///
/// # Errors
/// If a file is unreadable.
pub(crate) fn bases(module: &Path) -> anyhow::Result<Vec<Offer>> {
    let mut offers = Vec::new();
    for file in entries(&module.join("config/crd/bases"))? {
        let text = read(&file)?;
        let objects = manifest::read(&text, Reading::default())
            .with_context(|| format!("reading {}", file.display()))?;
        for object in objects {
            if let Some(definition) = object.definition() {
                offers.push(Offer {
                    name: object.name.clone(),
                    kind: definition.kind.clone(),
                    versions: sorted(definition.versions.clone()),
                });
            }
        }
    }
    Ok(offers)
}

/// The CRDs of a module's Go types, by their kubebuilder markers. `plural` returns a kind's plural.
/// This is the fallback if the proxy serves only a controller's `api`.
///
/// # Errors
/// If a file is unreadable.
pub(crate) fn types(
    api: &Path,
    plural: impl Fn(&str, &str) -> String,
) -> anyhow::Result<Vec<Offer>> {
    let mut versions = BTreeMap::<(String, String), Vec<crd::Version>>::new();
    for folder in entries(api)?.into_iter().filter(|path| path.is_dir()) {
        let mut group = String::new();
        let mut kinds = Vec::new();
        for file in entries(&folder)? {
            if file.extension().is_none_or(|end| end != "go") {
                continue;
            }
            let text = read(&file)?;
            group = group_of(&text).unwrap_or(group);
            kinds.extend(marked(&text));
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        for (kind, markers) in kinds
            .into_iter()
            .filter(|(_, markers)| !group.is_empty() && !markers.skipped)
        {
            let version = crd::Version {
                name: name.to_string(),
                served: !markers.unserved,
                storage: markers.storage,
                schema: crd::Schema::Full,
                status: true,
            };
            let of_kind = versions.entry((group.clone(), kind)).or_default();
            of_kind.push(version);
        }
    }
    let offers = versions.into_iter().map(|((group, kind), mut versions)| {
        if let [only] = versions.as_mut_slice() {
            only.storage = true;
        }
        Offer {
            name: format!("{}.{group}", plural(&group, &kind)),
            kind,
            versions: sorted(versions),
        }
    });
    Ok(offers.collect())
}

/// Kubebuilder's markers on a version of a kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Markers {
    storage: bool,
    unserved: bool,
    skipped: bool,
}

/// The group that a `groupversion_info.go` declares.
fn group_of(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("GroupVersion{Group: \"")?;
    Some(rest.split_once('"')?.0.to_owned())
}

/// The kinds among a file's types: types with the root marker, except lists.
fn marked(text: &str) -> Vec<(String, Markers)> {
    let mut found = Vec::new();
    let (mut is_root, mut markers) = (false, Markers::default());
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("//") {
            let marker = comment.trim();
            is_root |= marker == "+kubebuilder:object:root=true";
            markers.storage |= marker == "+kubebuilder:storageversion";
            markers.unserved |= marker == "+kubebuilder:unservedversion";
            markers.skipped |= marker == "+kubebuilder:skipversion";
            continue;
        }
        if line.trim().is_empty() {
            continue;
        }
        let name = line
            .strip_prefix("type ")
            .and_then(|rest| rest.strip_suffix(" struct {"));
        if let Some(name) = name.filter(|name| is_root && !name.ends_with("List")) {
            found.push((name.to_owned(), markers));
        }
        (is_root, markers) = (false, Markers::default());
    }
    found
}

/// Sorts versions as the catalogue does.
fn sorted(mut versions: Vec<crd::Version>) -> Vec<crd::Version> {
    versions.sort_by(|left, right| left.name.cmp(&right.name));
    versions
}

/// The paths in a folder, sorted.
fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let context = || format!("reading {}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(context)? {
        paths.push(entry.with_context(context)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const TYPES: &str = "\
package v1

// +genclient
// +kubebuilder:storageversion
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=b

// Bucket is the Schema for the buckets API.
type Bucket struct {
\tmetav1.TypeMeta `json:\",inline\"`
}

// +kubebuilder:object:root=true

// BucketList holds some.
type BucketList struct {
}

// BucketSpec is no object.
type BucketSpec struct {
}
";

    fn offer(text: &str) -> Option<(String, String)> {
        fetched(text).map(|(name, version)| (name, version.to_string()))
    }

    #[test]
    fn a_release_fetches_its_controllers_by_version() {
        let line = "- https://github.com/fluxcd/helm-controller/releases/download/v1.6.4/helm-controller.crds.yaml";
        assert_eq!(
            offer(line),
            Some(("helm-controller".to_owned(), "1.6.4".to_owned()))
        );
        assert_eq!(offer("- account.yaml"), None);
    }

    #[test]
    fn the_helm_sdk_is_the_one_that_is_asked_for() {
        let text = "replace helm.sh/helm/v4 => github.com/x/helm/v4 v4.2.4-x\nrequire (\n\thelm.sh/helm/v4 v4.2.2\n)\n";
        assert_eq!(helm(text).unwrap().to_string(), "4.2.2");
        assert_eq!(helm("module a\n"), None);
    }

    #[test]
    fn of_go_types_the_roots_are_kinds_and_the_markers_say_what_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let group = "GroupVersion = schema.GroupVersion{Group: \"source.toolkit.fluxcd.io\", Version: \"v1\"}\n";
        let older = TYPES.replace("storageversion", "unservedversion");
        let oldest = TYPES.replace("storageversion", "skipversion");
        for (version, types) in [("v1", TYPES), ("v1beta2", &older), ("v1beta1", &oldest)] {
            write(&format!("{version}/groupversion_info.go"), group);
            write(&format!("{version}/bucket_types.go"), types);
        }
        write("go.mod", "module a\n");
        let offers = types(folder.path(), |_, kind| format!("{}s", kind.to_lowercase())).unwrap();
        let [offer] = offers.as_slice() else {
            panic!("{offers:?}")
        };
        assert_eq!(
            (offer.name.as_str(), offer.kind.as_str()),
            ("buckets.source.toolkit.fluxcd.io", "Bucket")
        );
        let versions: Vec<_> = offer
            .versions
            .iter()
            .map(|one| (one.name.as_str(), one.served, one.storage))
            .collect();
        assert_eq!(versions, [("v1", true, true), ("v1beta2", false, false)]);
    }
}
