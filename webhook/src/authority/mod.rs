//! The built-in authority in a cluster. Replicas share it in a Secret, and the apiserver trusts it
//! through the bundles of the webhook configurations.
//!
//! [`plan`](fluxkeep_certs::plan) chooses the next step; this module performs one step per look.
//!
//! - Each write names the version that was read. After a conflict the module looks again, so
//!   replicas need not talk to each other.
//! - The time is the `Date` of the apiserver's answers: the apiserver decides which certificates
//!   are valid. Waiting for apiservers to learn of a bundle is measured by a monotonic clock.
//! - A registration that is new or restored trusts no certificate, so a look follows at once.
//! - A lost or unusable Secret is made anew. Bundles keep the certificates that they hold.
//! - The authority's key is in the Secret, and in memory during a look.

mod api;
mod failure;
mod reconciler;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use reconciler::AuthorityReconciler;
pub use store::{AuthorityStore, REGISTRATION, SecretName};
