//! The programs that install Flux, and the newest Flux release that each of their releases holds.
//!
//! `installers.json` has, for each Flux release, the first release of the program that holds it.
//! Sources: the manifests embedded in flux-operator, and the default of `flux_bootstrap_git.version`
//! in terraform-provider-flux.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use semver::Version;
use serde::Deserialize;

const DATA: &str = include_str!("installers.json");

/// A program that installs Flux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installer {
    /// flux-operator, and its charts and manifests of the same version.
    FluxOperator,
    /// The terraform provider `fluxcd/flux`.
    TerraformProvider,
}

/// The releases of an installer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InstallerReleases {
    /// The newest release that this fluxkeep knows.
    pub newest: Version,
    /// The first release that holds a Flux release, by Flux release.
    pub first: BTreeMap<Version, Version>,
}

impl Installer {
    const fn name(self) -> &'static str {
        match self {
            Self::FluxOperator => "flux-operator",
            Self::TerraformProvider => "terraform-provider-flux",
        }
    }

    /// The releases of this installer. `None` only if the built-in data were broken.
    #[must_use]
    pub fn releases(self) -> Option<&'static InstallerReleases> {
        static ALL: LazyLock<BTreeMap<String, InstallerReleases>> =
            LazyLock::new(|| serde_json::from_str(DATA).unwrap_or_default());
        ALL.get(self.name())
    }

    /// The newest Flux that a release of the installer holds. `None` for a release that is newer
    /// than this fluxkeep, or older than the first that holds Flux.
    #[must_use]
    pub fn newest_flux(self, release: &Version) -> Option<&'static Version> {
        let releases = self.releases()?;
        if *release > releases.newest {
            return None;
        }
        let held = releases.first.iter().filter(|(_, first)| *first <= release);
        held.map(|(flux, _)| flux).max()
    }

    /// The first release that holds this Flux.
    #[must_use]
    pub fn first_with(self, flux: &Version) -> Option<&'static Version> {
        self.releases()?.first.get(flux)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installer_holds_the_flux_of_its_own_time() {
        let holds = |installer: Installer, minor, patch| {
            let release = Version::new(
                u64::from(installer != Installer::FluxOperator),
                minor,
                patch,
            );
            installer.newest_flux(&release).map(ToString::to_string)
        };
        assert_eq!(
            holds(Installer::FluxOperator, 32, 0).as_deref(),
            Some("2.7.2")
        );
        assert_eq!(
            holds(Installer::FluxOperator, 58, 1).as_deref(),
            Some("2.9.4")
        );
        assert_eq!(holds(Installer::FluxOperator, 99, 0), None);
        assert_eq!(
            holds(Installer::TerraformProvider, 7, 1).as_deref(),
            Some("2.7.0")
        );
    }
}
