//! Turns gates into webhooks.

use fluxkeep::case::finding::Level;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::rule::Rule;
use fluxkeep::rules::review_unreadable;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, RuleWithOperations, ServiceReference, ValidatingWebhook,
    WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::cel::not;
use super::engine::Profile;
use super::gate::{GATES, Gate, Phase};
use super::{Address, DOMAIN, KnownReleases, Registration};

/// Timeout in seconds for webhooks that fail closed: the apiserver's own default.
const PATIENT: i32 = 10;
/// Timeout in seconds for webhooks that fail open: a hung server delays strangers by this long.
pub(super) const IMPATIENT: i32 = 3;

/// The share of a gate's requests that a webhook is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The engine's share; fails closed.
    Engine,
    /// All other requests; fails open.
    Others,
}

impl Scope {
    /// Both scopes.
    pub const ALL: [Self; 2] = [Self::Engine, Self::Others];

    /// The scope's part of a webhook's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Others => "others",
        }
    }

    /// The server's path for a phase. Each scope has its own path, so the server knows the scope
    /// before it reads the review.
    #[must_use]
    pub const fn path(self, phase: Phase) -> &'static str {
        match (phase, self) {
            (Phase::Mutating, Self::Engine) => "/mutate/engine",
            (Phase::Mutating, Self::Others) => "/mutate/others",
            (Phase::Validating, Self::Engine) => "/validate/engine",
            (Phase::Validating, Self::Others) => "/validate/others",
        }
    }

    /// The `failurePolicy`: the outcome if the server is unreachable.
    #[must_use]
    pub const fn failure_policy(self) -> &'static str {
        match self {
            Self::Engine => "Fail",
            Self::Others => "Ignore",
        }
    }

    /// The `timeoutSeconds` of the scope's webhooks.
    #[must_use]
    pub const fn timeout(self) -> i32 {
        match self {
            Self::Engine => PATIENT,
            Self::Others => IMPATIENT,
        }
    }
}

impl Gate {
    /// The webhook's name, as refusals show it.
    #[must_use]
    pub fn webhook(&self, scope: Scope) -> String {
        format!("{}.{}.{DOMAIN}", self.name, scope.name())
    }

    /// Named match conditions; a request is sent only if all hold.
    #[must_use]
    pub fn conditions(&self, scope: Scope, profile: &Profile<'_>) -> Vec<(&'static str, String)> {
        let closed = (self.closed)(profile);
        let apart = match scope {
            Scope::Engine => ("fails-closed", closed),
            Scope::Others => ("fails-open", not(&closed)),
        };
        (self.sent)(profile).into_iter().chain([apart]).collect()
    }

    /// True if a rule of the gate is on. `review-unreadable` alone does not count: nothing is sent
    /// for its sake.
    fn is_asked(&self, policy: &Policy) -> bool {
        self.deciding()
            .any(|rule| rule.weight(policy) != Level::Off)
    }

    /// The rules for whose sake requests are sent.
    pub(super) fn deciding(&self) -> impl Iterator<Item = &'static Rule> {
        self.rules()
            .filter(|rule| rule.id != review_unreadable::RULE.id)
    }
}

/// The webhooks of a phase.
pub(super) fn webhooks(
    registration: &Registration,
    policy: &Policy,
    known: &KnownReleases,
    phase: Phase,
) -> Vec<ValidatingWebhook> {
    let profile = Profile {
        engine: &policy.engine,
        releases: &registration.releases,
        known,
    };
    let gates = GATES
        .iter()
        .filter(|gate| gate.phase == phase && gate.is_asked(policy));
    let both = gates.flat_map(|gate| Scope::ALL.map(|scope| (gate, scope)));
    both.map(|(gate, scope)| webhook(registration, &profile, gate, scope))
        .collect()
}

pub(super) fn webhook(
    registration: &Registration,
    profile: &Profile<'_>,
    gate: &Gate,
    scope: Scope,
) -> ValidatingWebhook {
    ValidatingWebhook {
        name: gate.webhook(scope),
        client_config: client_config(registration, gate.phase, scope),
        rules: Some(
            (gate.resources)()
                .into_iter()
                .map(|(group, resources)| rule(gate.operations, group, &resources))
                .collect(),
        ),
        match_conditions: Some(match_conditions(gate.conditions(scope, profile))),
        match_policy: Some("Equivalent".to_owned()),
        namespace_selector: Some(LabelSelector::default()),
        object_selector: Some(LabelSelector::default()),
        failure_policy: Some(scope.failure_policy().to_owned()),
        timeout_seconds: Some(scope.timeout()),
        // The only side effect is an Event about a final refusal, which never has to be undone.
        side_effects: "None".to_owned(),
        admission_review_versions: vec!["v1".to_owned()],
    }
}

pub(super) fn rule(operations: &[&str], group: &str, resources: &[&str]) -> RuleWithOperations {
    RuleWithOperations {
        api_groups: Some(vec![group.to_owned()]),
        api_versions: Some(vec!["*".to_owned()]),
        operations: Some(
            operations
                .iter()
                .map(|operation| (*operation).to_owned())
                .collect(),
        ),
        resources: Some(
            resources
                .iter()
                .map(|resource| (*resource).to_owned())
                .collect(),
        ),
        scope: Some("*".to_owned()),
    }
}

pub(super) fn match_conditions(conditions: Vec<(&'static str, String)>) -> Vec<MatchCondition> {
    conditions
        .into_iter()
        .map(|(name, expression)| MatchCondition {
            name: name.to_owned(),
            expression,
        })
        .collect()
}

pub(super) fn client_config(
    registration: &Registration,
    phase: Phase,
    scope: Scope,
) -> WebhookClientConfig {
    let path = scope.path(phase);
    let ca_bundle = registration
        .authority
        .as_ref()
        .map(|pem| ByteString(pem.clone().into_bytes()));
    match &registration.address {
        Address::Url(url) => WebhookClientConfig {
            url: Some(format!("{url}{path}")),
            ca_bundle,
            service: None,
        },
        Address::Service {
            namespace,
            name,
            port,
        } => {
            let (namespace, name) = (namespace.clone(), name.clone());
            let service = ServiceReference {
                namespace,
                name,
                path: Some(path.to_owned()),
                port: Some(*port),
            };
            WebhookClientConfig {
                service: Some(service),
                ca_bundle,
                url: None,
            }
        }
    }
}

/// A webhook of the mutating phase that changes nothing.
pub(super) fn mutating_webhook(webhook: ValidatingWebhook) -> MutatingWebhook {
    MutatingWebhook {
        name: webhook.name,
        client_config: webhook.client_config,
        rules: webhook.rules,
        match_conditions: webhook.match_conditions,
        match_policy: webhook.match_policy,
        namespace_selector: webhook.namespace_selector,
        object_selector: webhook.object_selector,
        failure_policy: webhook.failure_policy,
        timeout_seconds: webhook.timeout_seconds,
        side_effects: webhook.side_effects,
        admission_review_versions: webhook.admission_review_versions,
        ..reinvoked()
    }
}

/// Reinvoked if a later webhook changed the judged object or removed the mutation's addition.
pub(super) fn reinvoked() -> MutatingWebhook {
    MutatingWebhook {
        reinvocation_policy: Some("IfNeeded".to_owned()),
        ..MutatingWebhook::default()
    }
}
