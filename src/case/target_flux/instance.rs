//! The Flux that a FluxInstance requests: a version, or a range, which is the recommended form.

use super::TargetFlux;
use crate::case::rule::{Case, Need};
use crate::flux::Flux;
use crate::flux::applier::is_paused;
use crate::flux::catalogue::FluxRelease;
use crate::helm::range::{self, Range};
use crate::object::Object;

const PATH: &str = "/spec/distribution/version";

/// The Flux that a change of a FluxInstance installs. `None` if the change moves nothing.
///
/// A range that matches the running version keeps it. The release that flux-operator selects
/// depends on its own manifests, which are not visible here.
///
/// # Errors
/// If the version is invalid, or a range of releases that the catalogue does not know.
pub(super) fn target_of<'a>(
    case: &Case<'a>,
    object: &'a Object,
) -> Result<Option<TargetFlux<'a>>, Need> {
    let Some(instance) = object.flux_instance() else {
        return Ok(None);
    };
    if is_paused(object) || !is_moved(case, object) {
        return Ok(None);
    }
    let catalogue = &case.engine().catalogue;
    let told = format!("version {}", instance.version);
    let target = |flux, is_range| TargetFlux {
        flux,
        told: told.clone(),
        path: PATH.to_owned(),
        object,
        is_range,
        is_whole: true,
        is_beside: false,
    };
    if let Some(version) = range::version(&instance.version).filter(|_| is_exact(&instance.version))
    {
        return Ok(Some(target(Flux::of_version(&version, catalogue), false)));
    }
    let range = Range::parse(&instance.version).map_err(|_| Need::ChartFlux)?;
    if let Some(running) = case.running()? {
        if running.versions.is_empty() {
            return Err(Need::FluxOrder);
        }
        if running
            .versions
            .iter()
            .any(|version| range.matches(version))
        {
            return Ok(None);
        }
    }
    let versions = catalogue.releases().iter().map(|release| &release.version);
    let newest = range.newest(versions).ok_or(Need::FluxOrder)?;
    Ok(Some(target(Flux::of_version(newest, catalogue), true)))
}

/// The release that a FluxInstance selects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Selected<'a> {
    /// The release: for a range, the newest that the catalogue knows.
    pub(crate) release: &'a FluxRelease,
    /// True if the version is a range: the release is then a prediction.
    pub(crate) is_range: bool,
}

/// The release that a change of a FluxInstance selects, also if the running Flux matches its range.
/// `None` if the change moves nothing.
///
/// # Errors
/// If the catalogue knows no such release, for example because the version is invalid.
pub(crate) fn selected<'a>(case: &Case<'a>, object: &Object) -> Result<Option<Selected<'a>>, Need> {
    let Some(instance) = object.flux_instance() else {
        return Ok(None);
    };
    if is_paused(object) || !is_moved(case, object) {
        return Ok(None);
    }
    let catalogue = &case.engine().catalogue;
    let exact = range::version(&instance.version).filter(|_| is_exact(&instance.version));
    let is_range = exact.is_none();
    let version = if let Some(version) = exact {
        version
    } else {
        let range = Range::parse(&instance.version).map_err(|_| Need::FluxOrder)?;
        let versions = catalogue.releases().iter().map(|release| &release.version);
        range.newest(versions).ok_or(Need::FluxOrder)?.clone()
    };
    let release = catalogue.release(&version).ok_or(Need::FluxOrder)?;
    Ok(Some(Selected { release, is_range }))
}

/// Helm reads `2.7` as a version; flux-operator reads it as a range.
fn is_exact(text: &str) -> bool {
    text.split('.').count() >= 3
}

/// True if a change writes another version, or resumes a paused FluxInstance.
pub(crate) fn is_moved(case: &Case<'_>, object: &Object) -> bool {
    let Some(old) = case.change().and_then(|change| change.old.as_ref()) else {
        return true;
    };
    let version = |object: &Object| object.flux_instance().map(|one| one.version.clone());
    is_paused(old) || version(old) != version(object)
}
