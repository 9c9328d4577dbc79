//! What this build is.

use fluxkeep::catalogue::Catalogue;

/// The version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, or `unknown`.
pub const COMMIT: &str = env!("FLUXKEEP_COMMIT");

/// One line: version, commit, the newest Flux release in the catalogue.
#[must_use]
pub fn line() -> String {
    let newest = Catalogue::built_in()
        .newest()
        .map(|release| release.version.to_string());
    format!(
        "{VERSION} (commit {COMMIT}, knows Flux up to {})",
        newest.unwrap_or_default()
    )
}
