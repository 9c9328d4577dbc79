//! The registration: webhook configurations and policies, generated from the table of rules and the
//! engine's profile. They make the apiserver ask the server.
//!
//! - `gate`: the requests that are sent, by door; at the engine's door by rule.
//! - `webhook`: two webhooks per gate, with a CEL condition and its negation. So there is no gap
//!   and no overlap. The engine's share fails closed, the rest fails open.
//! - `twin`, `grant`: policies that refuse in the apiserver itself, without the server.
//! - `known`: facts in the conditions, so that the apiserver can decide while the server is down.
//! - `reconciler`, `claim`: the server that keeps the registration as wanted.
//! - `chart`, `comparison`: the registration that a chart writes, and the server that watches it.

mod answer;
mod applier;
mod apply;
mod cel;
mod changes;
mod chart;
mod claim;
mod command;
mod comparison;
mod configuration;
mod disabled;
mod engine;
mod gate;
mod grant;
mod known;
mod manifest;
pub mod mutation;
mod pace;
mod reconciler;
mod release;
mod rights;
mod rights_lost;
mod twin;
mod webhook;

pub(crate) use pace::jitter;

pub use apply::{ObjectChange, RegistrationClient};
pub use chart::{NAMESPACE, RELEASE, chart};
pub use command::{Register, RegistrationTarget, Unregister, What};
pub use comparison::Compared;
pub(crate) use comparison::Comparison;
pub use engine::Profile;
pub use gate::{GATES, Gate, Phase};
pub use known::KnownReleases;
pub use manifest::{Manifest, Reference};
pub use reconciler::Kept;
pub(crate) use reconciler::RegistrationReconciler;
pub use rights::rights;
pub(crate) use rights::rule;
pub use webhook::Scope;

use std::collections::BTreeMap;

use fluxkeep::case::policy::Policy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The name of both webhook configurations and of their field manager.
const NAME: &str = crate::REGISTRATION;
/// The suffix of the names of webhooks and policies.
const DOMAIN: &str = "fluxkeep.io";
/// Labels on every registered object; `left_over` finds the objects by them.
const LABELS: [(&str, &str); 2] = [
    ("app.kubernetes.io/component", "registration"),
    ("app.kubernetes.io/part-of", "fluxkeep"),
];

/// The server's address and trust, as the apiserver sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The URL or Service under which the apiserver reaches the server.
    pub address: Address,
    /// The PEM certificates to trust; `None` if another program writes them.
    pub authority: Option<String>,
    /// Helm releases that never fail closed: fluxkeep's own and those it needs to come back.
    pub releases: Vec<String>,
}

/// The address under which the apiserver reaches the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `https://host[:port][/path]`, without a slash at the end.
    Url(String),
    /// A Service.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port.
        port: i32,
    },
}

impl Registration {
    /// All objects to register, in the order of writing: policies first, since they refuse without
    /// the server. The last object carries the mark of the server that wants it.
    #[must_use]
    pub fn manifests(&self, policy: &Policy, known: &KnownReleases) -> Vec<Manifest> {
        let mut manifests = self.unmarked(policy, known);
        // The mark ignores `known`: replicas learn of facts at different times.
        let mark = claim::mark(&self.unmarked(policy, &KnownReleases::default()));
        if let Some(last) = manifests.last_mut() {
            last.annotate(claim::REGISTERED_BY, &mark);
        }
        manifests
    }

    fn unmarked(&self, policy: &Policy, known: &KnownReleases) -> Vec<Manifest> {
        let mut manifests = Vec::new();
        for (policy, bindings) in twin::twins(policy, known) {
            manifests.push(Manifest::of(&policy));
            manifests.extend(bindings.iter().map(Manifest::of));
        }
        manifests.push(Manifest::of(&configuration::mutating(self, policy, known)));
        manifests.push(Manifest::of(&configuration::validating(
            self, policy, known,
        )));
        manifests
    }
}

/// References to all objects that any policy with these engine namespaces may want.
fn references(policy: &Policy) -> Vec<Reference> {
    let everything = Policy {
        engine: policy.engine.clone(),
        ..Policy::default()
    };
    let registration = Registration {
        address: Address::Url(String::new()),
        authority: None,
        releases: Vec::new(),
    };
    let manifests = registration
        .unmarked(&everything, &KnownReleases::default())
        .into_iter();
    manifests.map(|manifest| manifest.reference).collect()
}

fn metadata(name: &str) -> ObjectMeta {
    let labels = LABELS.map(|(key, value)| (key.to_owned(), value.to_owned()));
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(BTreeMap::from(labels)),
        ..ObjectMeta::default()
    }
}
