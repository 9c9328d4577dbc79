//! The registration as data for the Helm chart. The chart's template puts names in place of the
//! tokens, leaves out what the policy turns off, and adds the server's address.
//!
//! A token stands in a quoted name, alone or with text around it. The template repeats such a name
//! for each namespace or release, which makes a longer CEL list.

use fluxkeep::case::policy::Policy;
use fluxkeep::flux::engine::Engine;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::gate::Phase;
use super::webhook::{mutating_webhook, webhook};
use super::{Address, DOMAIN, GATES, KnownReleases, Profile, Registration, Scope, mutation, twin};

/// Stands for each of the engine's namespaces.
pub const NAMESPACE: &str = "@NS@";
/// Stands for each Helm release that never fails closed.
pub const RELEASE: &str = "@RELEASE@";

/// Everything that can be registered: `webhooks` and `policies`, each with the rules that ask for it.
#[must_use]
pub fn chart() -> Value {
    let policy = Policy {
        engine: Engine {
            namespaces: vec![NAMESPACE.to_owned()],
            ..Engine::default()
        },
        mutates_helm_releases: true,
        ..Policy::default()
    };
    let registration = Registration {
        address: Address::Url(String::new()),
        authority: None,
        releases: vec![RELEASE.to_owned()],
    };
    json!({
        "webhooks": webhooks(&registration, &policy),
        "policies": policies(&policy),
    })
}

/// The webhooks in the order of both configurations, the mutation last of its phase.
fn webhooks(registration: &Registration, policy: &Policy) -> Vec<Value> {
    let known = KnownReleases::default();
    let profile = Profile {
        engine: &policy.engine,
        releases: &registration.releases,
        known: &known,
    };
    let mut entries = Vec::new();
    for phase in [Phase::Mutating, Phase::Validating] {
        for gate in GATES.iter().filter(|gate| gate.phase == phase) {
            for scope in Scope::ALL {
                let rules: Vec<_> = gate.deciding().map(|rule| rule.id).collect();
                let webhook = webhook(registration, &profile, gate, scope);
                let written = match phase {
                    Phase::Mutating => without_address(&mutating_webhook(webhook)),
                    Phase::Validating => without_address(&webhook),
                };
                entries.push(entry(phase, scope, &rules, &written));
            }
        }
        if phase == Phase::Mutating
            && let Some(webhook) = mutation::webhook(registration, policy)
        {
            let written = without_address(&webhook);
            entries.push(entry(phase, Scope::Others, &[], &written));
        }
    }
    entries
}

/// `rules` is empty for the mutation, which the policy file switches on.
fn entry(phase: Phase, scope: Scope, rules: &[&str], webhook: &Value) -> Value {
    let kind = match phase {
        Phase::Mutating => "MutatingWebhookConfiguration",
        Phase::Validating => "ValidatingWebhookConfiguration",
    };
    json!({
        "kind": kind,
        "path": scope.path(phase),
        "scope": scope.name(),
        "rules": rules,
        "webhook": webhook,
    })
}

/// The policies with their bindings. The template writes the actions that follow from the level.
fn policies(policy: &Policy) -> Vec<Value> {
    let mut policies = Vec::new();
    for (policy, bindings) in twin::twins(policy, &KnownReleases::default()) {
        let name = policy.metadata.name.unwrap_or_default();
        let rule = name.strip_suffix(&format!(".{DOMAIN}")).unwrap_or(&name);
        let bindings: Vec<_> = bindings.iter().map(binding).collect();
        policies.push(json!({
            "rule": rule,
            "name": name,
            "spec": policy.spec,
            "bindings": bindings,
        }));
    }
    policies
}

fn binding(binding: &ValidatingAdmissionPolicyBinding) -> Value {
    json!({"name": binding.metadata.name, "spec": binding.spec})
}

fn without_address(webhook: &impl Serialize) -> Value {
    // Serializing cannot fail: a webhook holds only strings, numbers and lists.
    let mut object: Map<_, _> = match serde_json::to_value(webhook) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    };
    object.remove("clientConfig");
    Value::Object(object)
}
