//! The built-in authority in a cluster. Replicas share it in a Secret, and the apiserver trusts it
//! through the bundles of the webhook configurations.
//!
//! [`plan`](fluxkeep_certs::plan) chooses the next step; this module performs one step per look.

mod api;
mod custodian;
mod failure;
mod place;
#[cfg(test)]
mod tests;

pub(crate) use custodian::Custodian;
pub use place::{Place, REGISTRATION, SecretName};
