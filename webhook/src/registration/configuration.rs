//! The webhook configuration of each admission phase.

use fluxkeep::case::policy::Policy;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};

use super::gate::Phase;
use super::webhook::{mutating_webhook, webhooks};
use super::{KnownReleases, NAME, Registration, metadata, mutation};

/// The configuration of the mutating phase, in which only the mutation changes an object.
pub(super) fn mutating(
    registration: &Registration,
    policy: &Policy,
    known: &KnownReleases,
) -> MutatingWebhookConfiguration {
    let webhooks = webhooks(registration, policy, known, Phase::Mutating)
        .into_iter()
        .map(mutating_webhook);
    let webhooks = webhooks.chain(mutation::webhook(registration, policy));
    MutatingWebhookConfiguration {
        metadata: metadata(NAME),
        webhooks: Some(webhooks.collect()),
    }
}

/// The configuration of the validating phase.
pub(super) fn validating(
    registration: &Registration,
    policy: &Policy,
    known: &KnownReleases,
) -> ValidatingWebhookConfiguration {
    let webhooks = webhooks(registration, policy, known, Phase::Validating);
    ValidatingWebhookConfiguration {
        metadata: metadata(NAME),
        webhooks: Some(webhooks),
    }
}
