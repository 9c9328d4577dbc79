//! Conversion of objects between versions: the strategy, and the webhook that converts.

use std::collections::BTreeSet;

use super::Problem;
use crate::case::rule::Case;
use crate::crd::{ClientConfig, Conversion, Definition, ServiceReference};
use crate::object::{Key, Object};

/// The defect for which the apiserver refuses `spec.conversion`.
pub(super) fn refused(definition: &Definition) -> Option<Problem> {
    let conversion = definition.conversion.as_deref()?;
    let at = |path: &str, message: &str, remedy: &str| {
        Some(Problem::at(path, message.to_owned(), remedy))
    };
    match conversion.strategy.as_deref() {
        Some("None") if calls(conversion) => at(
            "/spec/conversion/webhook",
            "strategy is None, but a webhook is set",
            "Remove the webhook, or set strategy: Webhook",
        ),
        Some("None") => None,
        Some("Webhook") => webhook(conversion),
        other => {
            let message = format!(
                "{:?} is not a conversion strategy",
                other.unwrap_or_default()
            );
            at(
                "/spec/conversion/strategy",
                &message,
                "Set strategy: None or Webhook",
            )
        }
    }
}

/// True if `webhook` says anything: an empty map counts as absent.
fn calls(conversion: &Conversion) -> bool {
    conversion.webhook.as_ref().is_some_and(|webhook| {
        webhook.client_config.is_some()
            || webhook
                .conversion_review_versions
                .iter()
                .flatten()
                .next()
                .is_some()
    })
}

fn webhook(conversion: &Conversion) -> Option<Problem> {
    let path = "/spec/conversion/webhook/clientConfig";
    let at = |path: &str, message: &str, remedy: &str| {
        Some(Problem::at(path, message.to_owned(), remedy))
    };
    let webhook = conversion.webhook.as_ref();
    let Some(client) = webhook.and_then(|webhook| webhook.client_config.as_ref()) else {
        let message = "strategy is Webhook, but webhook.clientConfig is missing";
        return at(path, message, "Set its service or url, or strategy: None");
    };
    let ClientConfig { url, service } = client;
    if url.is_some() == service.is_some() {
        let message = "exactly one of url and service must be set";
        return at(path, message, "Set one of the two");
    }
    if let Some(service) = service
        && (is_empty(service.name.as_ref()) || is_empty(service.namespace.as_ref()))
    {
        let message = "the service lacks its name or namespace";
        return at(path, message, "Set both");
    }
    let versions = webhook.and_then(|webhook| webhook.conversion_review_versions.as_ref());
    if versions.is_none_or(Vec::is_empty) {
        return at(
            "/spec/conversion/webhook/conversionReviewVersions",
            "no review version is listed",
            "Set conversionReviewVersions: [v1]",
        );
    }
    None
}

fn is_empty(text: Option<&String>) -> bool {
    text.is_none_or(String::is_empty)
}

/// The Services of the cluster and of the release.
pub(super) struct Services {
    /// The namespaces in which a live Service is known.
    namespaces: BTreeSet<Option<String>>,
    services: BTreeSet<Key>,
}

impl Services {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let is_service = |object: &&Object| object.kind == "Service" && object.group().is_empty();
        let live: Vec<&Object> = case.facts.objects().filter(is_service).collect();
        let written = case.written().map(|(new, _)| new).filter(is_service);
        Self {
            namespaces: live.iter().map(|one| one.namespace.clone()).collect(),
            services: live
                .iter()
                .copied()
                .chain(written)
                .map(Object::key)
                .collect(),
        }
    }
}

/// Warns if the conversion webhook's Service neither exists nor comes with the release. The check
/// needs a known Service in that namespace. The apiserver accepts the CRD, but converts no object.
pub(super) fn unserved(definition: &Definition, services: &Services) -> Option<Problem> {
    let webhook = definition.conversion.as_deref()?.webhook.as_ref()?;
    let service = webhook.client_config.as_ref()?.service.as_ref()?;
    let ServiceReference { namespace, name } = service;
    let key = Key {
        group: String::new(),
        kind: "Service".to_owned(),
        namespace: namespace.clone(),
        name: name.clone()?,
    };
    if !services.namespaces.contains(namespace) || services.services.contains(&key) {
        return None;
    }
    let message =
        format!("conversion calls {key}, which is neither in the cluster nor in the release");
    let remedy = "Install the webhook first; until then no object of this kind can be converted";
    let path = "/spec/conversion/webhook/clientConfig/service";
    Some(Problem::at(path, message, remedy).warning())
}
