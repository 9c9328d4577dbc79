//! How the cluster comes to ask: webhook configurations and their twin of policies, generated from
//! the table of rules and the engine's profile.

mod applier;
mod apply;
mod cel;
mod claim;
mod command;
mod configuration;
mod disabled;
mod engine;
mod gate;
mod grant;
mod keeper;
mod known;
mod manifest;
pub mod mutation;
mod release;
mod rights;
mod rights_lost;
mod twin;
mod webhook;

pub use apply::{Cluster, Done, Error};
pub use command::{Register, Target, Unregister, What};
pub use engine::Profile;
pub use gate::{GATES, Gate, Phase};
pub(crate) use keeper::Keeper;
pub use keeper::Kept;
pub use known::Known;
pub use manifest::{Manifest, Reference};
pub use rights::rights;
pub(crate) use rights::rule;
pub use webhook::Scope;

use std::collections::BTreeMap;

use fluxkeep::policy::Policy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The name of both configurations, and of the field manager that writes them.
const NAME: &str = crate::REGISTRATION;
/// Ends the names of webhooks and policies.
const DOMAIN: &str = "fluxkeep.io";
/// By these everything that is registered is found again.
const LABELS: [(&str, &str); 2] = [
    ("app.kubernetes.io/component", "registration"),
    ("app.kubernetes.io/part-of", "fluxkeep"),
];

/// Where the server is, for the apiserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Where the apiserver finds it.
    pub address: Address,
    /// The certificates to trust, in PEM; none where somebody else writes them.
    pub authority: Option<String>,
    /// The Helm releases that never fail closed: fluxkeep's own, and what it needs to come back.
    pub releases: Vec<String>,
}

/// Where the apiserver finds the server.
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
    /// Everything that is registered, in the order in which it is: what refuses by itself first. The last
    /// bears the mark of who wants it.
    #[must_use]
    pub fn manifests(&self, policy: &Policy, known: &Known) -> Vec<Manifest> {
        let mut manifests = self.unmarked(policy, known);
        // What is known changes with the cluster, and replicas hear of it one after the other.
        let mark = claim::mark(&self.unmarked(policy, &Known::default()));
        if let Some(last) = manifests.last_mut() {
            last.annotate(claim::REGISTERED_BY, &mark);
        }
        manifests
    }

    fn unmarked(&self, policy: &Policy, known: &Known) -> Vec<Manifest> {
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

/// Every object that a policy with these namespaces of the engine may want, whatever its levels.
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
        .unmarked(&everything, &Known::default())
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
