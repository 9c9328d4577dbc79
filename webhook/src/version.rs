//! The version of this build.

use fluxkeep::flux::catalogue::Catalogue;

/// The package's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit of the build, or `unknown`.
pub const COMMIT: &str = env!("FLUXKEEP_COMMIT");

/// A line with version, commit and the newest Flux release in the catalogue.
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
