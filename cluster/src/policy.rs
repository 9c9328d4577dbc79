//! Reads the policy file and the catalogue of Flux releases from disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fluxkeep::case::policy::Policy;
use fluxkeep::case::policy_file;
use fluxkeep::flux::catalogue::Catalogue;
use jiff::Timestamp;

/// Reads the policy; without a file, returns the default. `catalogue` overrides the policy's own,
/// whose path is relative to the policy file. Without either, the built-in catalogue counts.
///
/// # Errors
/// A message with file, line and column, if a file is missing or invalid.
pub fn load(
    policy: Option<&Path>,
    catalogue: Option<&Path>,
    now: Timestamp,
) -> Result<Policy, String> {
    let given = catalogue.map(read_catalogue).transpose()?;
    let Some(path) = policy else {
        let mut policy = Policy::default();
        if let Some(catalogue) = given {
            policy.engine.catalogue = catalogue;
        }
        return Ok(policy);
    };
    let context = |why: String| format!("reading policy {}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| context(error.to_string()))?;
    let named = |name: &str| match &given {
        Some(catalogue) => Ok(catalogue.clone()),
        None => read_catalogue(&beside(path, name)),
    };
    let mut policy =
        policy_file::read_with(&text, now, named).map_err(|error| context(error.to_string()))?;
    if let Some(catalogue) = given {
        policy.engine.catalogue = catalogue;
    }
    Ok(policy)
}

/// A path relative to the file that names it.
fn beside(file: &Path, name: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(name)
}

fn read_catalogue(path: &Path) -> Result<Arc<Catalogue>, String> {
    let context = |why: String| format!("reading catalogue {}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| context(error.to_string()))?;
    let catalogue = Catalogue::read(&text).map_err(|error| context(error.to_string()))?;
    Ok(Arc::new(catalogue))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NEW: &str = r#"[{"version": "2.99.0", "helm": "4.9.9", "charts": [],
        "controllers": {"helm-controller": "1.99.0"}}]"#;

    fn newest(policy: Option<&Path>, catalogue: Option<&Path>) -> Result<String, String> {
        let policy = load(policy, catalogue, Timestamp::UNIX_EPOCH)?;
        let newest = policy.engine.catalogue.newest().unwrap();
        Ok(newest.version.to_string())
    }

    #[test]
    fn a_catalogue_comes_from_the_flag_from_beside_the_policy_or_from_the_build() {
        let folder = tempfile::tempdir().unwrap();
        let (policy, catalogue) = (
            folder.path().join("policy.yaml"),
            folder.path().join("new.json"),
        );
        std::fs::write(&catalogue, NEW).unwrap();
        let built_in = Catalogue::built_in().newest().unwrap().version.to_string();
        assert_eq!(newest(None, None), Ok(built_in.clone()));
        assert_eq!(newest(None, Some(&catalogue)), Ok("2.99.0".to_owned()));
        std::fs::write(&policy, "levels: {}\n").unwrap();
        assert_eq!(newest(Some(&policy), None), Ok(built_in));
        assert_eq!(
            newest(Some(&policy), Some(&catalogue)),
            Ok("2.99.0".to_owned())
        );
        std::fs::write(&policy, "catalogue: new.json\n").unwrap();
        assert_eq!(newest(Some(&policy), None), Ok("2.99.0".to_owned()));
        std::fs::write(&policy, "catalogue: none.json\n").unwrap();
        assert_eq!(
            newest(Some(&policy), Some(&catalogue)),
            Ok("2.99.0".to_owned())
        );
    }

    #[test]
    fn a_bad_catalogue_is_refused_with_both_places() {
        let folder = tempfile::tempdir().unwrap();
        let (policy, catalogue) = (
            folder.path().join("policy.yaml"),
            folder.path().join("new.json"),
        );
        std::fs::write(&policy, "levels: {}\ncatalogue: new.json\n").unwrap();
        let why = newest(Some(&policy), None).unwrap_err();
        assert!(
            why.contains("policy.yaml: line 2, column 12: reading catalogue"),
            "{why}"
        );
        std::fs::write(&catalogue, "[\n{\"version\": 2}]").unwrap();
        let why = newest(Some(&policy), None).unwrap_err();
        assert!(why.contains("new.json: line 2, column "), "{why}");
        let why = newest(None, Some(&catalogue)).unwrap_err();
        assert!(why.starts_with("reading catalogue "), "{why}");
    }
}
