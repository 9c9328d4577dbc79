//! fluxkeep's judge: plain data in, verdict out.
//!
//! The flow is always one way: bytes → [`Request`](request::Request) → [`Facts`](facts::Facts) →
//! [`judge`](judge::judge) → [`Verdict`](verdict::Verdict) → response. Nothing in this crate reads
//! a file, a clock or the environment, opens a connection or waits: a door gathers what the judge
//! needs, hands it in and carries the verdict out.

#![deny(clippy::disallowed_methods)]

pub mod admission;
pub mod adoption;
pub mod applier;
mod blocks;
pub mod catalogue;
pub mod crd;
pub mod engine;
pub mod facts;
pub mod finding;
pub mod flux;
pub mod helm;
pub mod judge;
pub mod kube_version;
pub mod manifest;
pub mod migration;
pub mod mutation;
pub mod object;
pub mod overrides;
pub mod owners;
pub mod policy;
pub mod policy_file;
pub mod render;
pub mod request;
pub mod rule;
pub mod rules;
pub mod target_flux;
pub mod threads;
pub mod verdict;

pub use fluxkeep_yaml as yaml;
