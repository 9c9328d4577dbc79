//! The Flux that a request would install, and the source of that knowledge.

mod instance;

pub(crate) use instance::{Selected, is_moved, selected};

use std::cmp::Ordering;
use std::collections::BTreeSet;

use semver::Version;

use crate::case::facts::Facts;
use crate::case::rule::{Case, Need, RuleResult};
use crate::flux::catalogue::{Catalogue, FluxRelease};
use crate::flux::engine::{self, Engine};
use crate::flux::{self, Flux};
use crate::helm::Owner;
use crate::helm::range::{self, Range};
use crate::helm::release::HelmRelease;
use crate::object::Object;

/// Annotation that names the Flux version of a HelmRelease's chart.
pub const FLUX_VERSION: &str = "fluxkeep.io/flux-version";

/// The community's chart, whose versions the catalogue knows.
const CHART: &str = "flux2";
/// The names of charts that install Flux.
const CHARTS: [&str; 2] = [CHART, "flux"];
/// Least number of differently named controllers that makes a release Flux, whatever the images.
const MOST_OF_FLUX: usize = 3;

/// The Flux that a request would install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFlux<'a> {
    /// The version and the controllers.
    pub flux: Flux,
    /// The source, for a message: `chart flux2 2.13.0`.
    pub told: String,
    /// JSON pointer to the source.
    pub path: String,
    /// The object that contains the source.
    pub object: &'a Object,
    /// True if the source is a range of chart versions: the version is then a prediction.
    pub is_range: bool,
    /// False if a controller's image tells no version. Findings from other images still count, but
    /// their silence proves nothing.
    pub is_whole: bool,
    /// True if the release rewrites no engine object: its Flux runs beside, on the same CRDs.
    pub is_beside: bool,
}

impl TargetFlux<'_> {
    /// Returns no finding.
    ///
    /// # Errors
    /// If an image tells no version: the other images then prove nothing.
    pub fn passes(&self) -> RuleResult {
        if self.is_whole {
            Ok(Vec::new())
        } else {
            Err(Need::ChartFlux)
        }
    }
}

/// The Flux of a request: a release's images show the fact, a HelmRelease its intent.
///
/// # Errors
/// If a HelmRelease's chart hides its Flux version. If a release contains Flux and no image tells a
/// version. If only a range tells, and the cluster is ahead of the catalogue: the catalogue then
/// lacks the charts that the range may select.
pub fn target<'a>(case: &Case<'a>) -> Result<Option<TargetFlux<'a>>, Need> {
    if case.release().is_some() {
        return shipped(case);
    }
    let written = case.change().and_then(|change| change.new.as_ref());
    if let Some(object) = written.filter(|object| object.flux_instance().is_some()) {
        return instance::target_of(case, object);
    }
    match declared(case)? {
        Some(target) if target.is_range && is_ahead(case)? => Err(Need::FluxOrder),
        target => Ok(target),
    }
}

/// The Flux of a request and the running Flux. `None` if either is missing.
///
/// # Errors
/// Like [`target`] and [`Case::running`].
pub fn over_running<'a>(case: &Case<'a>) -> Result<Option<(TargetFlux<'a>, Flux)>, Need> {
    let Some(target) = target(case)? else {
        return Ok(None);
    };
    Ok(case.running()?.map(|running| (target, running)))
}

/// The Flux that a change's HelmRelease declares. A suspended HelmRelease is judged when it is
/// resumed: suspending is the remedy for most findings.
fn declared<'a>(case: &Case<'a>) -> Result<Option<TargetFlux<'a>>, Need> {
    let Some(object) = case.change().and_then(|change| change.new.as_ref()) else {
        return Ok(None);
    };
    let Some(release) = object
        .helm_release()
        .filter(|release| !release.is_remote() && !release.is_suspended())
    else {
        return Ok(None);
    };
    intended(object, release, case.engine())
        .map(Some)
        .ok_or(Need::ChartFlux)
}

/// True if the cluster runs a newer Flux than any in the catalogue.
fn is_ahead(case: &Case<'_>) -> Result<bool, Need> {
    let newest = case.engine().catalogue.newest().map(Flux::of_release);
    let order = case
        .running()?
        .zip(newest)
        .and_then(|(running, newest)| running.compare(&newest));
    Ok(order == Some(Ordering::Greater))
}

/// True if a HelmRelease is known to hold this cluster's engine: its Helm release owns the running
/// Flux, or it declares Flux. The community's chart counts at any version.
#[must_use]
pub fn holds(object: &Object, facts: &Facts, engine: &Engine) -> bool {
    object.helm_release().is_some() && installs_engine(object, &facts.owners(engine), engine)
}

/// Like [`holds`], with the Helm releases that own the running Flux. A caller that asks for many
/// HelmReleases finds these owners once.
#[must_use]
pub fn installs_engine(object: &Object, owners: &BTreeSet<Owner>, engine: &Engine) -> bool {
    let Some((release, owner)) = object.helm_release().zip(object.installs()) else {
        return false;
    };
    release.chart() == Some(CHART)
        || owners.contains(&owner)
        || intended(object, release, engine).is_some()
}

/// True if the request's release holds the engine: it declares Flux, or owns the running Flux.
///
/// # Errors
/// If neither is known.
pub fn holds_engine(case: &Case<'_>) -> Result<bool, Need> {
    let owner = case.owner();
    if owner.is_some_and(|owner| case.facts.owners(case.engine()).contains(&owner)) {
        return Ok(true);
    }
    declared(case).map(|target| target.is_some())
}

/// The Flux that a HelmRelease declares by annotation, chart or values, in this order. Values count
/// only if the release goes to the engine's namespace: elsewhere they mean something else.
#[must_use]
pub fn intended<'a>(
    object: &'a Object,
    release: &HelmRelease,
    engine: &Engine,
) -> Option<TargetFlux<'a>> {
    let target = |flux, told, path: &str| TargetFlux {
        flux,
        told,
        path: path.to_owned(),
        object,
        is_range: false,
        is_whole: true,
        is_beside: false,
    };
    if let Some(text) = object.annotations.get(FLUX_VERSION) {
        let version = range::version(text)?;
        let path = "/metadata/annotations/fluxkeep.io~1flux-version";
        return Some(target(
            Flux::of_version(&version, &engine.catalogue),
            format!("annotation {FLUX_VERSION}"),
            path,
        ));
    }
    if release.chart() == Some(CHART) {
        let (chart, flux) = newest(release.chart_version(), &engine.catalogue)?;
        let is_range = range::version(release.chart_version()).as_ref() != Some(&chart);
        let told = format!("chart {CHART} {chart}");
        return Some(TargetFlux {
            is_range,
            ..target(Flux::of_release(flux), told, "/spec/chart/spec/version")
        });
    }
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let goes_home = release
        .release(namespace, &object.name)
        .is_some_and(|owner| engine.is_home(&owner.namespace));
    // A general path like `cli.tag` may name the version of any software.
    let brings_flux = release.chart().is_some_and(|chart| CHARTS.contains(&chart));
    let counts = |path: &&String| goes_home && (brings_flux || names_flux(path));
    let mut paths = engine.values_paths.iter().filter(counts);
    paths.find_map(|path| {
        let version = range::version(&release.value(path)?)?;
        let pointer = format!("/spec/values/{}", path.replace('.', "/"));
        Some(target(
            Flux::of_version(&version, &engine.catalogue),
            format!("value {path}"),
            &pointer,
        ))
    })
}

/// True if a path of values names Flux.
fn names_flux(path: &str) -> bool {
    path.to_ascii_lowercase().contains("flux")
}

/// The newest known chart of a range, as Helm would choose it.
fn newest<'a>(text: &str, catalogue: &'a Catalogue) -> Option<(Version, &'a FluxRelease)> {
    let range = Range::parse(text).ok()?;
    let charts = catalogue
        .releases()
        .iter()
        .flat_map(|release| &release.charts);
    let chart = range.newest(charts)?.clone();
    let release = catalogue.of_chart(&chart)?;
    Some((chart, release))
}

/// The Flux of a release's images, in any namespace: its CRDs are cluster-scoped.
fn shipped<'a>(case: &Case<'a>) -> Result<Option<TargetFlux<'a>>, Need> {
    let workloads = workloads(case);
    let catalogue = &case.engine().catalogue;
    let Some(flux) = Flux::of(workloads.iter().copied(), catalogue) else {
        return if workloads.is_empty() {
            Ok(None)
        } else {
            Err(Need::ChartFlux)
        };
    };
    let told = workloads
        .iter()
        .filter(|object| Flux::of([**object], catalogue).is_some());
    let object = told.min_by_key(|object| object.key());
    let object = object.ok_or(Need::ChartFlux)?;
    let rewrites = case
        .rewritten()
        .any(|(_, live)| case.engine().part(live).is_some());
    Ok(Some(TargetFlux {
        flux,
        told: "the images of its controllers".to_owned(),
        path: "/spec/template/spec/containers/0/image".to_owned(),
        object,
        is_range: false,
        is_whole: !workloads.iter().any(|object| flux::is_untold(object)),
        is_beside: !rewrites,
    }))
}

/// The release's workloads that run controllers of Flux.
fn workloads<'a>(case: &Case<'a>) -> Vec<&'a Object> {
    let written = case.written().map(|(new, _)| new);
    let (mut workloads, away): (Vec<_>, Vec<_>) = written
        .filter(|object| flux::runs_controller(object))
        .partition(|object| case.engine().part(object).is_some());
    let away: Vec<_> = away
        .into_iter()
        .filter(|object| !object.is_hook())
        .collect();
    if is_flux(case, &away) {
        workloads.extend(away);
    }
    workloads
}

/// True if workloads outside the engine's namespaces are Flux's. A name alone proves nothing: a
/// stranger may call a controller `source-controller`.
fn is_flux(case: &Case<'_>, away: &[&Object]) -> bool {
    let says_so = |object: &&Object| {
        engine::is_labelled(object) || object.images().iter().any(|image| flux::is_official(image))
    };
    let names = away.iter().flat_map(|object| flux::controllers_of(object));
    let names: BTreeSet<&str> = names.map(|(name, _)| name).collect();
    let defines = case
        .written()
        .any(|(new, _)| new.definition().is_some() && engine::is_flux_group(&new.name));
    away.iter().any(says_so) || names.len() >= MOST_OF_FLUX || defines
}
