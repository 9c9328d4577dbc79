//! How the cluster comes to ask: webhook configurations and their twin of policies, generated from
//! the table of rules and the engine's profile.

mod applier;
mod apply;
mod cel;
mod command;
mod configuration;
mod disabled;
mod engine;
mod gate;
mod keeper;
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
    /// The Helm release that fluxkeep itself is installed by.
    pub release: Option<String>,
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
    /// Everything that is registered, in the order in which it is: what refuses by itself first.
    #[must_use]
    pub fn manifests(&self, policy: &Policy) -> Vec<Manifest> {
        let mut manifests = Vec::new();
        for (policy, bindings) in twin::twins(policy) {
            manifests.push(Manifest::of(&policy));
            manifests.extend(bindings.iter().map(Manifest::of));
        }
        manifests.push(Manifest::of(&configuration::mutating(self, policy)));
        manifests.push(Manifest::of(&configuration::validating(self, policy)));
        manifests
    }
}

fn metadata(name: &str) -> ObjectMeta {
    let labels = LABELS.map(|(key, value)| (key.to_owned(), value.to_owned()));
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(BTreeMap::from(labels)),
        ..ObjectMeta::default()
    }
}
