//! Which Flux a request would bring, and what told so.

use semver::Version;

use crate::catalogue::{Catalogue, Release};
use crate::flux::Flux;
use crate::helm::range::{self, Range};
use crate::helm::release::HelmRelease;
use crate::object::Object;
use crate::rule::{Case, Need};

/// Names, on a HelmRelease, the Flux version that its chart carries.
pub const FLUX_VERSION: &str = "fluxkeep.io/flux-version";

/// The name of the community's chart, whose versions the catalogue knows.
const CHART: &str = "flux2";

/// The Flux that a request would bring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer<'a> {
    /// Which Flux.
    pub flux: Flux,
    /// What told so, for a message: `chart flux2 2.13.0`.
    pub told: String,
    /// A JSON pointer to what told so.
    pub path: String,
    /// The object that told so.
    pub object: &'a Object,
}

/// What a request brings: a release's images tell the truth, a HelmRelease its intent.
///
/// # Errors
/// When a HelmRelease's chart hides which Flux it carries, if any.
pub fn offered<'a>(case: &Case<'a>) -> Result<Option<Offer<'a>>, Need> {
    if case.release().is_some() {
        return Ok(shipped(case));
    }
    let Some(object) = case.change().and_then(|change| change.new.as_ref()) else {
        return Ok(None);
    };
    // A suspended one is judged when it is resumed: suspending is what mends most.
    let Some(release) = object.helm_release().filter(|release| !release.is_remote() && !release.is_suspended()) else {
        return Ok(None);
    };
    intended(object, release, &case.engine().values_paths).map(Some).ok_or(Need::ChartFlux)
}

/// Whether the request's release is the engine's: it brings Flux, or owns what runs.
///
/// # Errors
/// When neither is known.
pub fn holds_engine(case: &Case<'_>) -> Result<bool, Need> {
    let owner = case.owner();
    if owner.is_some_and(|owner| case.facts.owners(case.engine()).contains(&owner)) {
        return Ok(true);
    }
    offered(case).map(|offer| offer.is_some())
}

/// The Flux that a HelmRelease declares by annotation, chart or values, in this order.
#[must_use]
pub fn intended<'a>(object: &'a Object, release: &HelmRelease, values_paths: &[String]) -> Option<Offer<'a>> {
    let offer = |flux, told, path: &str| Offer { flux, told, path: path.to_owned(), object };
    if let Some(text) = object.annotations.get(FLUX_VERSION) {
        let version = range::version(text)?;
        let path = "/metadata/annotations/fluxkeep.io~1flux-version";
        return Some(offer(Flux::of_version(&version), format!("annotation {FLUX_VERSION}"), path));
    }
    if release.chart() == Some(CHART) {
        let (chart, flux) = newest(release.chart_version())?;
        let told = format!("chart {CHART} {chart}");
        return Some(offer(Flux::of_release(flux), told, "/spec/chart/spec/version"));
    }
    values_paths.iter().find_map(|path| {
        let version = range::version(&release.value(path)?)?;
        let pointer = format!("/spec/values/{}", path.replace('.', "/"));
        Some(offer(Flux::of_version(&version), format!("value {path}"), &pointer))
    })
}

/// The newest chart of a range that the catalogue knows, as Helm would choose it.
fn newest(text: &str) -> Option<(Version, &'static Release)> {
    let range = Range::parse(text).ok()?;
    let releases = Catalogue::built_in().releases();
    let charts = releases.iter().flat_map(|release| &release.charts);
    let chart = range.newest(charts)?.clone();
    let release = Catalogue::built_in().of_chart(&chart)?;
    Some((chart, release))
}

fn shipped<'a>(case: &Case<'a>) -> Option<Offer<'a>> {
    let objects = || case.engine_written().map(|(_, new, _)| new);
    let flux = Flux::of(objects())?;
    let object = objects().find(|object| Flux::of([*object]).is_some())?;
    let path = "/spec/template/spec/containers/0/image".to_owned();
    Some(Offer { flux, told: "the images of its controllers".to_owned(), path, object })
}
