//! HelmReleases and release records, as conditions.

use fluxkeep::helm::record::NAME as RECORD;

use super::cel::{NEW, OLD, all, any, list, not, optional, starts_with, text};
use super::engine::{Profile, is_inside};

/// Whether helm-controller leaves a HelmRelease alone.
pub(super) fn is_suspended(object: &str) -> String {
    format!("has({object}.spec) && has({object}.spec.suspend) && {object}.spec.suspend == true")
}

/// Whether an update makes another release of it, which counts as soon as it is resumed.
pub(super) fn becomes_another() -> String {
    let differs = |field: &str| {
        let [old, new] = [OLD, NEW].map(|object| optional(object, field));
        format!("{old} != {new}")
    };
    let fields = [
        "releaseName",
        "targetNamespace",
        "storageNamespace",
        "chart.spec.chart",
        "chartRef.name",
    ];
    all([
        "request.operation == 'UPDATE'".to_owned(),
        any(fields.map(differs)),
    ])
}

/// A HelmRelease that stands in the engine's namespaces or installs into them, and is not fluxkeep's.
pub(super) fn is_engines_release(object: &str, profile: &Profile<'_>) -> String {
    let target = format!(
        "{} in {}",
        optional(object, "targetNamespace"),
        list(&profile.engine.namespaces)
    );
    let own = is_own(object, profile).map(|own| not(&own));
    all([any([is_inside(profile.engine), target])]
        .into_iter()
        .chain(own))
}

/// The HelmRelease that installs fluxkeep itself.
pub(super) fn is_own(object: &str, profile: &Profile<'_>) -> Option<String> {
    let name = profile.release?;
    let is_own = |value: String| format!("{value} == {}", text(name));
    // The apiserver makes up a name behind the mutating phase only.
    let named = all([
        format!("has({object}.metadata.name)"),
        is_own(format!("{object}.metadata.name")),
    ]);
    Some(any([named, is_own(optional(object, "releaseName"))]))
}

/// A Helm release record, by the name that Helm gives it.
pub(super) fn is_record() -> String {
    all([
        format!("has({NEW}.metadata.name)"),
        starts_with(NEW, RECORD),
    ])
}

/// A record of a release in the engine's namespaces that is not fluxkeep's.
pub(super) fn is_engines_record(profile: &Profile<'_>) -> String {
    let own = profile
        .release
        .map(|name| not(&starts_with(NEW, &format!("{RECORD}{name}.v"))));
    all([is_inside(profile.engine)].into_iter().chain(own))
}
