//! A case of the judge: the request, the facts and the policy, and what the rules make of them.
//!
//! A door builds a [`Request`](request::Request), gathers [`Facts`](facts::Facts), and gets a
//! [`Verdict`](verdict::Verdict) of [`Finding`](finding::Finding)s back.

pub mod facts;
pub mod finding;
pub mod fix;
pub mod overrides;
pub mod policy;
pub mod policy_file;
pub mod request;
pub mod rule;
pub mod target_flux;
pub mod verdict;
