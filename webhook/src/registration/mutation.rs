//! The only webhook that changes an object; registered if the policy asks for it.

use fluxkeep::case::policy::Policy;
use fluxkeep::helm::post_renderer::{EVERY_KIND, patch};
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhook, RuleWithOperations};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::cel::{NEW, all, not, text};
use super::engine::Profile;
use super::gate::{Phase, helm_releases};
use super::release::{is_own, is_suspended};
use super::webhook::{IMPATIENT, Scope, client_config, match_conditions, reinvoked, rule};
use super::{DOMAIN, KnownReleases, Registration};

/// Writes of a HelmRelease.
const OPERATIONS: [&str; 2] = ["CREATE", "UPDATE"];

/// The webhook's name.
#[must_use]
pub fn name() -> String {
    format!("post-renderer.mutation.{DOMAIN}")
}

/// Named match conditions for a HelmRelease. Namespaces play no part: a release elsewhere may bring
/// the engine too, and only the server can tell.
#[must_use]
pub fn conditions(profile: &Profile<'_>) -> Vec<(&'static str, String)> {
    let remote = all([
        format!("has({NEW}.spec)"),
        format!("has({NEW}.spec.kubeConfig)"),
    ]);
    let own = is_own(NEW, profile).map(|own| ("not-fluxkeeps-own", not(&own)));
    let sent = [
        ("this-cluster", not(&remote)),
        ("acts", not(&is_suspended(NEW))),
        (
            "stays",
            not(&format!("has({NEW}.metadata.deletionTimestamp)")),
        ),
        ("lacks-it", not(&has_stanza())),
    ];
    own.into_iter().chain(sent).collect()
}

/// True if the post-renderer is there as fluxkeep writes it. Other spellings the server detects.
fn has_stanza() -> String {
    let target = format!(
        "has(one.target) && one.target == {{'kind': {}}}",
        text(EVERY_KIND)
    );
    let one = format!(
        "has(one.patch) && one.patch == {} && {target}",
        text(&patch())
    );
    let patches = format!("each.kustomize.patches.exists(one, {one})");
    let each = format!("has(each.kustomize) && has(each.kustomize.patches) && {patches}");
    let renderers = format!("{NEW}.spec.postRenderers");
    all([
        format!("has({NEW}.spec)"),
        format!("has({renderers})"),
        format!("{renderers}.exists(each, {each})"),
    ])
}

/// The webhook, if the policy asks for it. It fails open, because the gates judge the release
/// afterwards.
pub(super) fn webhook(registration: &Registration, policy: &Policy) -> Option<MutatingWebhook> {
    let profile = Profile {
        engine: &policy.engine,
        releases: &registration.releases,
        known: &KnownReleases::default(),
    };
    let rules = helm_releases()
        .into_iter()
        .map(|(group, resources)| rule(&OPERATIONS, group, &resources));
    policy.mutates_helm_releases.then(|| MutatingWebhook {
        name: name(),
        client_config: client_config(registration, Phase::Mutating, Scope::Others),
        rules: Some(rules.collect::<Vec<RuleWithOperations>>()),
        match_conditions: Some(match_conditions(conditions(&profile))),
        match_policy: Some("Equivalent".to_owned()),
        namespace_selector: Some(LabelSelector::default()),
        object_selector: Some(LabelSelector::default()),
        failure_policy: Some("Ignore".to_owned()),
        timeout_seconds: Some(IMPATIENT),
        side_effects: "None".to_owned(),
        admission_review_versions: vec!["v1".to_owned()],
        ..reinvoked()
    })
}
