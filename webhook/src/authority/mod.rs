//! The built-in authority in a cluster: shared by replicas in one Secret, trusted by the apiserver
//! through the bundles of the registrations.
//!
//! [`plan`](fluxkeep_certs::plan) says what to do next; here it is done, one step a look.

mod api;
mod custodian;
mod failure;
mod place;
#[cfg(test)]
mod tests;

pub(crate) use custodian::Custodian;
pub use place::{Place, REGISTRATION, SecretName};
