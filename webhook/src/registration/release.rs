//! HelmReleases and Helm's release records, as CEL conditions.

use fluxkeep::helm::record::NAME as RECORD;
use fluxkeep::helm::release::shortened;

use super::KnownReleases;
use super::cel::{NEW, OLD, all, any, list, not, optional, starts_with, text};
use super::engine::{Profile, is_inside};

/// True if helm-controller ignores a HelmRelease.
pub(super) fn is_suspended(object: &str) -> String {
    format!("has({object}.spec) && has({object}.spec.suspend) && {object}.spec.suspend == true")
}

/// True if an update points a HelmRelease to another release, which takes effect on resume.
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

/// True for a HelmRelease that installs into the engine's namespaces or owns the engine, unless it
/// is fluxkeep's own. Its own namespace tells nothing: HelmReleases usually live beside Flux.
pub(super) fn is_engines_release(object: &str, profile: &Profile<'_>) -> String {
    let target = optional(object, "targetNamespace");
    let namespace = format!("({target} == '' ? request.namespace : {target})");
    let installs = format!("{namespace} in {}", list(&profile.engine.namespaces));
    let mut is_engines = vec![installs];
    if !profile.known.owners.is_empty() {
        let owners = list(&profile.known.owners);
        let name = format!("{object}.metadata.name");
        is_engines.push(format!(
            "has({name}) && (request.namespace + '/' + {name}) in {owners}"
        ));
    }
    let remote = format!("has({object}.spec) && has({object}.spec.kubeConfig)");
    let own = is_own(object, profile).map(|own| not(&own));
    all([any(is_engines), not(&remote)].into_iter().chain(own))
}

/// As [`is_engines_release`], before or after a write: a release that moves away uninstalls Flux.
pub(super) fn was_or_is_engines_release(profile: &Profile<'_>) -> String {
    let was = all([
        "request.operation == 'UPDATE'".to_owned(),
        is_engines_release(OLD, profile),
    ]);
    any([is_engines_release(NEW, profile), was])
}

/// True for a HelmRelease that never fails closed. Its own name counts, its Helm release's name, or
/// the name that helm-controller composes.
pub(super) fn is_own(object: &str, profile: &Profile<'_>) -> Option<String> {
    if profile.releases.is_empty() {
        return None;
    }
    let names = list(profile.releases);
    let name = format!("{object}.metadata.name");
    let target = optional(object, "targetNamespace");
    let composed = format!("({target} + '-' + {name})");
    let mut alike = vec![
        format!("{name} in {names}"),
        format!("{composed} in {names}"),
    ];
    alike.extend(
        profile
            .releases
            .iter()
            .filter_map(|name| is_shortened_to(&composed, name)),
    );
    // The apiserver generates names only after the mutating phase.
    let by_name = all([format!("has({name})"), any(alike)]);
    let release = optional(object, "releaseName");
    Some(any([by_name, format!("{release} in {names}")]))
}

/// A condition for names that helm-controller may have shortened to `name`. CEL has no SHA-256, so
/// only the first 40 bytes are compared.
fn is_shortened_to(composed: &str, name: &str) -> Option<String> {
    let (start, hash) = name.rsplit_once('-')?;
    if start.len() != 40 || hash.len() != 12 {
        return None;
    }
    let longer = format!("size({composed}) > 53");
    Some(all([
        longer,
        format!("{composed}.startsWith({})", text(start)),
    ]))
}

/// True for a Helm release record, by its name.
pub(super) fn is_record() -> String {
    all([
        format!("has({NEW}.metadata.name)"),
        starts_with(NEW, RECORD),
    ])
}

/// True for records in the engine's namespaces, except those of fluxkeep's own release and of
/// releases known to install elsewhere. Also true for records elsewhere of the engine's releases.
pub(super) fn is_engines_record(profile: &Profile<'_>) -> String {
    let KnownReleases {
        elsewhere, engines, ..
    } = profile.known;
    let mut open = Vec::new();
    open.extend(is_own_record(profile));
    open.extend(is_record_of(elsewhere));
    let closed = all([is_inside(profile.engine)]
        .into_iter()
        .chain(open.iter().map(|one| not(one))));
    any([closed].into_iter().chain(is_record_of(engines)))
}

/// True for a record of a release that never fails closed; `None` if there is no such release.
fn is_own_record(profile: &Profile<'_>) -> Option<String> {
    let names = profile.releases.iter().cloned().map(shortened);
    let begins: Vec<_> = names.map(|name| format!("{RECORD}{name}.v")).collect();
    let starts = format!("{NEW}.metadata.name.startsWith(begin)");
    (!begins.is_empty()).then(|| format!("{}.exists(begin, {starts})", list(&begins)))
}

/// True if a record's name starts with an entry of the list; `None` for an empty list.
fn is_record_of(begins: &[String]) -> Option<String> {
    let name = format!("(request.namespace + '/' + {NEW}.metadata.name)");
    let listed = list(begins);
    (!begins.is_empty()).then(|| format!("{listed}.exists(begin, {name}.startsWith(begin))"))
}
